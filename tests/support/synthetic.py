"""Studies whose cells were never computed.

A ledger and a record as `run_study` leaves them, made in milliseconds.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ablations.components import study as components
from dfkd import recipes
from dfkd.experiment import Experiment
from dfkd.storage import FolderStorage
from dfkd.storage.ledger import Ledger
from dfkd.storage.outcome import Outcome
from dfkd.studies import Study
from dfkd.studies.findings import StudyData
from dfkd.studies.reading import from_ledger
from dfkd.studies.record import StudyRecord, write
from dfkd.training.cells import outcome_of
from dfkd.training.environment import Environment
from dfkd.training.inputs import inputs_key
from dfkd.training.jobs import Job, RunContext

STUDY = replace(components, blocks=8)
GAINS = {"without selection": -0.08, "without dropping": 0.0005}
ENVIRONMENT = Environment(device="cpu AVX2", workers=1, threads=1, torch=torch.__version__)


def jobs_of(study: Study, **tags: str) -> dict[tuple[str, int], Job]:
    cells = study.cells()
    digests = {inputs_key(cell): ("teacher0", "pool0") for cell in cells.values()}
    run_context = RunContext(
        environment=ENVIRONMENT, digests=digests, tags={"git_commit": "abc1234", **tags}
    )
    return {at: run_context.job(cell, read_test=True) for at, cell in cells.items()}


def outcome(job: Job, test: float, *, state: str = "finished", seconds: float = 3.0) -> Outcome:
    """A curve of three points that ends at `test`."""
    steps = job.cell.experiment.schedule.steps
    points = [
        {
            "step": float(steps * i // 3),
            "probe": test * i / 3,
            "validation": test * (i + 1) / 4,
            "train.kd": 1.0 / i,
        }
        for i in (1, 2, 3)
    ]
    return outcome_of(job, state, points, seconds)


def write_cell(storage: Path, job: Job, test: float, **kwargs: object) -> Outcome:
    ledger = Ledger(FolderStorage(storage))
    ledger.write(outcome(job, test, **kwargs), None)
    ledger.write_test(job.name, test)
    written = ledger.read(job.name)
    assert written is not None
    return written


def write_study(
    storage: Path,
    name: str,
    study: Study,
    gains: Mapping[str, float],
    *,
    diverged: tuple[tuple[str, int], ...] = (),
) -> StudyRecord:
    """Accuracies around 0.9 plus the variant's gain.

    Blocks differ more than variants do within a block.
    """
    rng = np.random.default_rng(7)
    of_block = rng.normal(0, 0.01, study.blocks)
    jobs = jobs_of(study, computed_by=f"study {name}")
    for (variant, block), job in jobs.items():
        test = 0.9 + gains.get(variant, 0.0) + of_block[block] + rng.normal(0, 0.004)
        seconds = 3 + 0.5 * list(study.variants).index(variant) + 0.1 * block
        if (variant, block) in diverged:
            write_cell(storage, job, 0.1, state="diverged", seconds=seconds)
        else:
            write_cell(storage, job, round(600 * test) / 600, seconds=seconds)
    names = {at: job.name for at, job in jobs.items()}
    record = StudyRecord.of(name, study, names, test_images=600)
    record = replace(record, looked=[study.blocks])
    write(FolderStorage(storage), record)
    return record


def data(storage: Path, study: Study, gains: Mapping[str, float], **kwargs: object) -> StudyData:
    write_study(storage, "made", study, gains, **kwargs)
    return from_ledger(FolderStorage(storage), "made")


def factors() -> tuple[Experiment, dict]:
    full = recipes.digits()
    bare = replace(full, dropping=None, explicit=None, implicit=None)
    return bare, {
        n: lambda e, n=n: replace(e, **{n: getattr(full, n)})
        for n in ("dropping", "explicit", "implicit")
    }


def with_classes(made: StudyData, count: int) -> StudyData:
    """Class k is k / 1000 below the cell's accuracy.

    "without selection" loses ten points on class 2 besides.
    """
    lost = [0.1 * (variant == "without selection") for variant in made.cells["variant"]]
    of_class = {
        f"test.class.{k}": made.cells["value"] - k / 1000 - (np.array(lost) if k == 2 else 0.0)
        for k in range(count)
    }
    return replace(made, cells=pd.concat([made.cells, pd.DataFrame(of_class)], axis=1))
