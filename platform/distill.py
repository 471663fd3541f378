"""`python -m platform.distill`: compute one cell, here or, with `--workers 2`, under Ray Train."""

from dfkd import cli


def main(output: cli.Output) -> None:
    parser = cli.parser(
        "distill",
        str(__doc__),
        "python -m platform.distill digits --set selection.ratio=0.3 --seed 7",
    )
    cli.add_recipe(parser)
    cli.add_compute(parser)
    cli.add_accept(parser)
    parser.add_argument("--steps", type=int, help="the same as --set schedule.steps=...")
    parser.add_argument("--test", action="store_true", help="read the test set at the end")
    arguments = parser.parse_args()

    from dfkd.runs.one_cell import compute_one
    from dfkd.runs.terminal import print_difference, print_outcome
    from dfkd.training.inputs import check

    arguments.set = [f"{name}={value}" for name, value in cli.values_in(arguments).items()]
    cell = cli.cell_of(arguments)
    compute, console = cli.compute_and_console(arguments, output)
    if arguments.run or arguments.set:
        print_difference(cli.origin_of(arguments), cell, console)
    check(cell, compute.storage, arguments.test)
    outcome, hint = compute_one(cell, arguments.test, compute, console)
    print_outcome(outcome, hint, compute, console)


if __name__ == "__main__":
    cli.run(main)
