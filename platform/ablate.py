"""`python -m platform.ablate`: compute an ablation study and test its differences, paired by block."""

from dfkd import cli


def main() -> None:
    parser = cli.parser("ablate", str(__doc__), "python -m platform.ablate ablations.components --blocks 10")
    parser.add_argument("study", nargs="?", default="ablations.components", help="module with `study = Study(...)`")
    parser.add_argument("--blocks", type=int, default=None, help="blocks instead of the study's own number")
    cli.add_compute(parser)
    arguments = parser.parse_args()

    from dataclasses import replace

    from dfkd.cluster.study import run_study
    from dfkd.cluster.study_report import show
    from dfkd.modules import load

    compute, console = cli.compute_and_console(arguments)
    study = load(arguments.study, "study", "ablations")
    if arguments.blocks is not None:
        study = replace(study, blocks=arguments.blocks)
    show(run_study(arguments.study.split(".")[-1], study, compute, console), study, compute, console)


if __name__ == "__main__":
    cli.run(main)
