"""`python -m platform.ablate`: compute an ablation study and its differences, paired by block."""

import argparse
import sys

from dfkd import cli


def _arguments() -> argparse.Namespace:
    parser = cli.parser(
        "ablate", str(__doc__), "python -m platform.ablate ablations.components --blocks 10"
    )
    parser.add_argument(
        "study",
        nargs="?",
        help="module with `study = Study(...)`; without any argument: all of ours",
    )
    parser.add_argument(
        "--recipe", help="ask it of another recipe, if the module has `study_of(recipe)`"
    )
    parser.add_argument("--blocks", type=int, help="blocks instead of the study's own number")
    parser.add_argument(
        "--race",
        action="store_true",
        help="look at planned numbers of blocks and stop computing what is decided",
    )
    parser.add_argument(
        "--retune",
        type=int,
        metavar="TRIALS",
        help="first search the best settings of each variant, label-free, with so many trials "
        "for each",
    )
    parser.add_argument(
        "--space",
        default="search_spaces.digits",
        help="for --retune: module with `space` and `default`, the recipe",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="say what it would cost and could find, compute nothing",
    )
    parser.add_argument(
        "--sd", type=float, help="for --dry-run: sd of paired differences, in points"
    )
    parser.add_argument(
        "--no-check", action="store_true", help="do not compute one reused cell again as a check"
    )
    parser.add_argument(
        "--max-device-hours", type=float, help="begin no block that would go beyond"
    )
    cli.add_settings(parser, "every variant")
    cli.add_register(parser, "the student that stands for the best variant")
    cli.add_compute(parser)
    cli.add_accept(parser)
    cli.add_note(parser)
    return parser.parse_args()


def main(output: cli.Output) -> None:
    arguments = _arguments()
    if arguments.study is None:
        return list_studies(arguments, output)

    from dataclasses import replace

    from dfkd.reporting.shell import command
    from dfkd.studies.driver import StudyOptions, run_study
    from dfkd.studies.forecast import forecast
    from dfkd.studies.naming import study_named
    from dfkd.studies.terminal import print_forecast, print_result

    compute, console = cli.compute_and_console(arguments, output)
    values = cli.values_in(arguments)
    named = study_named(arguments.study, arguments.recipe, values)
    name, study = named.name, named.study
    if arguments.blocks is not None:
        study = replace(study, blocks=arguments.blocks)
    for line in named.lines:
        console.line(f"set  {line}")
    retuning = None
    if arguments.retune is not None:
        from dfkd.studies.retuning import run_retuned_study  # Optuna takes seconds to import
        from dfkd.studies.variant_search import Retuning

        retuning = Retuning(space=arguments.space, trials=arguments.retune)
        name = f"{name}-retuned-{arguments.retune}"
    asked = {
        "recipe": arguments.recipe,
        "blocks": study.blocks,
        "race": arguments.race,
        "retune": arguments.retune,
        "space": arguments.space if arguments.retune else None,
    }
    options = StudyOptions(
        race=arguments.race,
        check=not arguments.no_check,
        max_device_hours=arguments.max_device_hours,
        register=arguments.register,
        note=arguments.note,
        tags=tuple(arguments.tag),
        command=command("ablate", arguments.study, asked, values),
    )
    if arguments.dry_run:
        sd = None if arguments.sd is None else arguments.sd / 100
        print_forecast(forecast(name, study, compute, sd, retuning), compute, console)
        return
    if retuning is None:
        result = run_study(name, study, compute, console, options)
    else:
        result = run_retuned_study(name, study, retuning, compute, console, options)
    print_result(result, compute, console)


def list_studies(arguments: argparse.Namespace, output: cli.Output) -> None:
    """Print the studies that there are, each with its question. Nothing heavy is imported."""
    from dfkd.user_modules import argument_in, modules_in

    if set(sys.argv[1:]) - {"--json", "--quiet"}:
        raise ValueError("name a study; `python -m platform.ablate` alone lists them")
    console, studies = output.console(arguments), modules_in("ablations")
    width = max(map(len, studies), default=0)
    for name, path in studies.items():
        question = argument_in(path, "question")
        console.document.add("modules", {"name": name, "question": question})
        console.line(f"{name:<{width}}  {question}")
    console.line("what one costs:  python -m platform.ablate ablations.components --dry-run")


if __name__ == "__main__":
    cli.run(main)
