"""What every command shares: common options, one line for bad input, an orderly end.

Nothing heavy is imported before it is needed, so that `--help` comes at once.
"""

from __future__ import annotations

import argparse
import re
import shlex
from typing import TYPE_CHECKING, NoReturn

import dfkd
from dfkd.reporting.command import Output as Output
from dfkd.reporting.command import run as run
from dfkd.reporting.shell import options

if TYPE_CHECKING:
    from dfkd.execution.compute import Compute
    from dfkd.experiment import Cell
    from dfkd.reporting.console import Console
    from dfkd.storage import Storage


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Raise ValueError: bad options are bad input like any other."""
        raise ValueError(f"{message}: see {self.prog} --help")


def parser(command: str, purpose: str, example: str) -> argparse.ArgumentParser:
    """Return a parser with the options that all commands have."""
    result = _Parser(
        prog=f"python -m platform.{command}",
        description=purpose,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument("--version", action="version", version=f"dfkd {dfkd.__version__}")
    result.add_argument(
        "--storage",
        help="folder or s3://, gs://, az:// address for teachers, scores, cells and, in a folder, "
        "MLflow's database; on a cluster one that every node sees "
        "(default: $DFKD_STORAGE, else ./runs, in a Ray job ~/dfkd-runs)",
    )
    result.add_argument(
        "--quiet", action="store_true", help="print nothing but notes and errors, both on stderr"
    )
    result.add_argument(
        "--json",
        action="store_true",
        help="print one JSON document (dfkd/reporting/output.schema.json) on stdout; all else goes "
        "to stderr",
    )
    return result


def add_compute(result: argparse.ArgumentParser) -> None:
    """Add the options of commands that compute cells."""
    result.set_defaults(accept_changed_code=False)
    where = result.add_argument_group("where it is computed")
    where.add_argument(
        "--workers",
        metavar="N|MIN:MAX",
        default="1",
        help="Ray Train workers per cell (default: 1, no Ray Train); 2:8: always 8, for the same "
        "results, on the CPUs of 8 where there are so many, else on those of 2 or more, slower",
    )
    where.add_argument(
        "--cpus", type=int, default=1, help="CPUs and threads per worker (default: 1)"
    )
    where.add_argument(
        "--gpus",
        type=float,
        default=0.0,
        help="GPUs per worker; 0.25: four cells on one (default: 0)",
    )
    where.add_argument(
        "--precision",
        choices=("float32", "bfloat16", "auto"),
        default="float32",
        help="of the networks while they train; auto: bfloat16 where the hardware is fast in it "
        "(default: float32)",
    )
    where.add_argument(
        "--compile",
        action="store_true",
        help="compile the networks' passes (torch.compile): to try for long cells, large networks; "
        "it takes each worker seconds, the first one half a minute (default: no)",
    )
    where.add_argument("--concurrency", type=int, help="cells at a time (default: all that fit)")
    where.add_argument(
        "--tracking-uri",
        help="MLflow server (default: $MLFLOW_TRACKING_URI, else a database in the storage folder)",
    )


def add_register(result: argparse.ArgumentParser, what: str) -> None:
    """Add the option of commands that find a best student."""
    result.add_argument(
        "--register",
        metavar="NAME",
        help=f"put {what} into MLflow's model registry, as NAME@champion (default: no)",
    )


def add_note(result: argparse.ArgumentParser) -> None:
    """Add the options by which people say something of a study or sweep."""
    said = result.add_argument_group("what you say of it, shown in lists, reports and MLflow")
    said.add_argument("--note", help="one line; an empty one takes it away")
    said.add_argument(
        "--tag",
        action="append",
        default=[],
        metavar="WORD",
        help="a word to find it by, more by further --tag; --tag=-WORD takes it away",
    )


def add_accept(result: argparse.ArgumentParser) -> None:
    """Add the option of commands that use cells which were computed before."""
    result.add_argument(
        "--accept-changed-code",
        action="store_true",
        help="use finished cells although the code of a class of yours has changed since, at the "
        "same `version`",
    )


def chosen_storage(chosen: str | None) -> Storage:
    """Return the storage that the option names, or the usual one; see `storage.opening`."""
    from dfkd.storage import opening

    return opening.chosen_storage(chosen)


def add_recipe(result: argparse.ArgumentParser) -> None:
    """Add the options of commands that work on one cell."""
    result.set_defaults(tracking_uri=None)
    result.add_argument(
        "recipe",
        nargs="?",
        help="a recipe of dfkd/experiment/recipes.py, or a module with `experiment = ...` "
        "(default: digits)",
    )
    result.add_argument("--run", help="instead of a recipe: a cell's name, or a run's id in MLflow")
    result.add_argument(
        "--from", dest="source", help="the storage that knows the run (default: --storage)"
    )
    _add_set(result, "as they are named in MLflow: selection.ratio=0.3 dropping=none")
    add_module(result)
    result.add_argument("--seed", type=int, help="the block's seed (default: the run's, else 0)")
    result.add_argument(
        "--draw", type=int, help="the block's draw of the pool (default: as for --seed)"
    )
    result.add_argument(
        "--teacher-seed", type=int, help="of the block's teacher (default: as for --seed)"
    )


def add_module(result: argparse.ArgumentParser) -> None:
    """Add the option that names modules, as no record chooses what is imported."""
    result.add_argument(
        "--module",
        action="append",
        default=[],
        help="a module of yours with classes of the run, more by further --module",
    )


def _add_set(result: argparse.ArgumentParser, which: str) -> None:
    result.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help=f"parameters to change, {which}",
    )


def add_settings(result: argparse.ArgumentParser, of_all: str) -> None:
    """Add the options that change parameters of every experiment of a study or sweep."""
    _add_set(
        result,
        f"in {of_all}, as they are named in MLflow; what one of them changes itself it keeps. "
        "Other values are another name",
    )
    result.add_argument("--steps", type=int, help="the same as --set schedule.steps=...")


def values_in(arguments: argparse.Namespace) -> dict[str, str]:
    """Return the parameters that --set and --steps name, with their values as text."""
    from dfkd.experiment.rebuild import parse_changes
    from dfkd.experiment.settings import values_of

    return values_of(parse_changes(arguments.set), arguments.steps)


def origin_of(arguments: argparse.Namespace) -> Cell:
    """Return the cell that these options start from, before `--set`: a recipe's or a run's."""
    from dfkd.experiment import Cell
    from dfkd.experiment.recipes import recipe_named
    from dfkd.seeding import Block

    if arguments.run is None:
        return Cell(experiment=recipe_named(arguments.recipe or "digits"), block=Block(seed=0))
    if arguments.recipe is not None:
        raise ValueError(
            f"name a recipe or a run, not both, but got {arguments.recipe} and --run "
            f"{arguments.run}"
        )
    from dfkd.experiment.rebuild import experiment
    from dfkd.runs.finding import find_outcome

    tracking_uri = arguments.tracking_uri
    outcome = find_outcome(
        arguments.run, chosen_storage(arguments.source or arguments.storage), tracking_uri
    )
    return Cell(
        experiment=experiment(outcome.params, {}, arguments.module), block=Block(**outcome.block)
    )


def cell_of(arguments: argparse.Namespace) -> Cell:
    """Return the cell that these options name. Raises ValueError for what there is not."""
    from dataclasses import replace

    from dfkd.experiment.rebuild import changed, parse_changes

    cell = origin_of(arguments)
    given = {"seed": arguments.seed, "draw": arguments.draw, "teacher": arguments.teacher_seed}
    block = replace(
        cell.block, **{name: value for name, value in given.items() if value is not None}
    )
    changes = parse_changes(arguments.set)
    return replace(
        cell, experiment=changed(cell.experiment, changes, arguments.module), block=block
    )


def arguments_of(arguments: argparse.Namespace) -> str:
    """Return the options that name the same cell in the same storage to another command."""
    given = {
        "run": arguments.run,
        "from": arguments.source,
        "seed": arguments.seed,
        "draw": arguments.draw,
        "teacher-seed": arguments.teacher_seed,
        "storage": arguments.storage,
    }
    start = [] if arguments.run else [arguments.recipe or "digits"]
    modules = [f"--module {module}" for module in arguments.module]
    changes = [f"--set {shlex.join(arguments.set)}"] if arguments.set else []
    return " ".join([*start, *options(given), *modules, *changes])


def workers_of(text: str) -> tuple[int | None, int]:
    """Return what --workers says: (None, 8) of "8", (2, 8) of "2:8"."""
    match = re.fullmatch(r"(?:(\d+):)?(\d+)", text)
    if match is None:
        raise ValueError(f"--workers is a number, or a range such as 2:8, but got {text!r}")
    return None if match[1] is None else int(match[1]), int(match[2])


def compute_and_console(arguments: argparse.Namespace, output: Output) -> tuple[Compute, Console]:
    """Return what the options say of where to compute, checked, and the terminal."""
    from dfkd.execution.compute import Compute

    least, workers = workers_of(arguments.workers)
    compute = Compute(
        storage=chosen_storage(arguments.storage),
        tracking_uri=arguments.tracking_uri,
        workers=workers,
        least_workers=least,
        cpus=arguments.cpus,
        gpus=arguments.gpus,
        precision=arguments.precision,
        compiled=arguments.compile,
        concurrency=arguments.concurrency,
        accept_changed_code=arguments.accept_changed_code,
    )
    output.document.storage = str(compute.storage)
    return compute, output.console(arguments)


def storage_and_console(arguments: argparse.Namespace, output: Output) -> tuple[Storage, Console]:
    """Return the storage that the options name, and the terminal."""
    storage = chosen_storage(arguments.storage)
    output.document.storage = str(storage)
    return storage, output.console(arguments)
