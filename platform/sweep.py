"""`python -m platform.sweep`: search a space with Ray Tune and Optuna, and confirm the winner."""

import argparse

from dfkd import cli


def _arguments() -> argparse.Namespace:
    parser = cli.parser(
        "sweep", str(__doc__), "python -m platform.sweep search_spaces.digits --trials 24"
    )
    parser.add_argument(
        "space", nargs="?", default="search_spaces.digits", help="module with `space` and `default`"
    )
    parser.add_argument(
        "--trials", type=int, default=24, help="trials in all, those of earlier calls included"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the sampler; another seed is another sweep"
    )
    parser.add_argument(
        "--sampler",
        default="tpe",
        help="Optuna's sampler: tpe, gp (a Gaussian process) or random; another is another sweep "
        "(default: tpe)",
    )
    parser.add_argument(
        "--minimise",
        "--minimize",
        metavar="COST",
        help="a second objective: parameters or operations of the student; no trial is stopped "
        "early then, and the cheapest of the best is confirmed (default: none)",
    )
    parser.add_argument(
        "--probe",
        default="agreement",
        help="what trials are judged by: agreement with the teacher's classes, or soft, with its "
        "probabilities; another is another sweep (default: agreement)",
    )
    parser.add_argument(
        "--deterministic",
        action="store_true",
        help="in fixed batches: the same table on any cluster",
    )
    parser.add_argument(
        "--recipe",
        help="search around this recipe instead of the space's default; another recipe is another "
        "sweep",
    )
    parser.add_argument(
        "--blocks", type=int, default=10, help="blocks of the confirmation, winner against default"
    )
    cli.add_settings(parser, "every trial and the default")
    cli.add_register(parser, "the winner's student")
    cli.add_compute(parser)
    cli.add_accept(parser)
    cli.add_note(parser)
    return parser.parse_args()


def main(output: cli.Output) -> None:
    arguments = _arguments()

    from dfkd.sweeps.driver import run_sweep
    from dfkd.sweeps.sweep import Sweep
    from dfkd.sweeps.terminal import print_result

    compute, console = cli.compute_and_console(arguments, output)
    sweep = Sweep(
        space=arguments.space,
        trials=arguments.trials,
        seed=arguments.seed,
        deterministic=arguments.deterministic,
        sampler=arguments.sampler,
        minimise=arguments.minimise,
        probe=arguments.probe,
        confirmation_blocks=arguments.blocks,
        recipe=arguments.recipe,
        values=cli.values_in(arguments),
    )
    for line in sweep.set_lines():
        console.line(f"set  {line}")
    said = {"note": arguments.note, "tags": arguments.tag}
    data = run_sweep(sweep, compute, console, register=arguments.register, **said)
    print_result(data, compute, console)


if __name__ == "__main__":
    cli.run(main)
