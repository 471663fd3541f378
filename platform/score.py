"""`python -m platform.score`: ask the teacher about every row of the pool, with Ray Data, once."""

from dfkd import cli


def main(output: cli.Output) -> None:
    parser = cli.parser("score", str(__doc__), "python -m platform.score digits")
    cli.add_recipe(parser)
    cli.add_compute(parser)
    arguments = parser.parse_args()

    from dfkd.execution.preparing import prepared_cell
    from dfkd.runs.teacher import print_scores

    compute, console = cli.compute_and_console(arguments, output)
    with prepared_cell(cli.cell_of(arguments), compute, console) as prepared:
        print_scores(prepared.source, compute.storage, console)
    console.line(f"next:  python -m platform.distill {cli.arguments_of(arguments)}")


if __name__ == "__main__":
    cli.run(main)
