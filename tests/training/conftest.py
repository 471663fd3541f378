"""Shared by the tests of training: the tiny cell, and the steps that are taken for it."""

import pytest

from dfkd.training.distill import Run
from dfkd.training.jobs import Job


@pytest.fixture
def job(tiny, job_of) -> Job:
    made: Job = job_of(tiny)
    return made


@pytest.fixture
def steps(monkeypatch) -> list[int]:
    """The training steps that are taken in this process, as they are taken."""
    taken: list[int] = []
    train_step = Run._train_step

    def counted(run: Run) -> None:
        taken.append(run.step)
        train_step(run)

    monkeypatch.setattr(Run, "_train_step", counted)
    return taken
