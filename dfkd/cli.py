"""What every command shares: common options, one line for bad input, an orderly end. Imports nothing heavy."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dfkd.cluster.session import Compute
    from dfkd.console import Console
    from dfkd.experiment import Cell

BAD_INPUT, INTERRUPTED = 2, 130


def parser(command: str, purpose: str, example: str) -> argparse.ArgumentParser:
    """A parser with the options that all commands have."""
    result = argparse.ArgumentParser(
        prog=f"python -m platform.{command}",
        description=purpose,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument(
        "--storage",
        type=Path,
        default=None,
        help="folder for teachers, scores, cells and MLflow's database; on a cluster one that every node sees "
        "(default: $DFKD_STORAGE, else ./runs, in a Ray job ~/dfkd-runs)",
    )
    return result


def add_compute(result: argparse.ArgumentParser) -> None:
    """Options of commands that compute cells."""
    where = result.add_argument_group("where it is computed")
    where.add_argument("--workers", type=int, default=1, help="Ray Train workers per cell (default: 1, no Ray Train)")
    where.add_argument("--cpus", type=int, default=1, help="CPUs and threads per worker (default: 1)")
    where.add_argument("--gpus", type=float, default=0.0, help="GPUs per worker; 0.25: four cells on one (default: 0)")
    where.add_argument("--concurrency", type=int, default=None, help="cells at a time (default: all that fit)")
    where.add_argument(
        "--tracking-uri",
        default=None,
        help="MLflow server (default: $MLFLOW_TRACKING_URI, else mlflow.db in the storage folder)",
    )


def storage_folder(chosen: Path | None) -> Path:
    """Absolute, so that workers and MLflow mean the same folder as the driver."""
    if chosen is not None:
        return chosen.expanduser().absolute()
    if "DFKD_STORAGE" in os.environ:
        return Path(os.environ["DFKD_STORAGE"]).expanduser().absolute()
    # a job's working directory is a scratch folder of Ray's: results written there would be lost
    return Path.home() / "dfkd-runs" if "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ else Path("runs").absolute()


def add_recipe(result: argparse.ArgumentParser) -> None:
    """Options of commands that work on one cell."""
    result.add_argument(
        "recipe", nargs="?", default="digits", help="a recipe of dfkd/recipes.py, or a module with `experiment = ...`"
    )
    result.add_argument("--seed", type=int, default=0, help="the block's seed (default: 0)")
    result.add_argument("--draw", type=int, default=0, help="the block's draw of the pool (default: 0)")
    result.add_argument("--teacher-seed", type=int, default=0, help="the block's teacher (default: 0)")


def cell_of(arguments: argparse.Namespace) -> Cell:
    """The cell that these options name. ValueError for an unknown recipe, with those that there are."""
    from dfkd.experiment import Cell
    from dfkd.modules import load, module_exists
    from dfkd.randomness import Block
    from dfkd.recipes import RECIPES

    name = arguments.recipe
    if name not in RECIPES and not module_exists(name):
        raise ValueError(f"there is no recipe {name!r}: ours are {', '.join(RECIPES)}; or name a module, my.module")
    experiment = RECIPES[name]() if name in RECIPES else load(name, "experiment", "ablations")
    block = Block(seed=arguments.seed, draw=arguments.draw, teacher=arguments.teacher_seed)
    return Cell(experiment=experiment, block=block)


def compute_and_console(arguments: argparse.Namespace) -> tuple[Compute, Console]:
    """What the options say of where to compute, checked; and the terminal."""
    from dfkd.cluster.session import Compute
    from dfkd.console import Console

    compute = Compute(
        storage=storage_folder(arguments.storage), tracking_uri=arguments.tracking_uri, workers=arguments.workers,
        cpus=arguments.cpus, gpus=arguments.gpus, concurrency=arguments.concurrency,
    )  # fmt: skip
    return compute, Console()


def run(main: Callable[[], None]) -> None:
    """Run a command. Bad input is one line and exit code 2; Ctrl-C says how to go on."""
    try:
        main()
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(BAD_INPUT)
    except KeyboardInterrupt:
        print("\nstopped; everything that was finished is kept. Go on with the same command.", file=sys.stderr)
        sys.exit(INTERRUPTED)
