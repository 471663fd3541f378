"""An outcome of other code of the user's is never taken for the job's own."""

import re
import sys
import types
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
from commands import ROOT
from torch import Tensor, nn

import dfkd.training.cells
from dfkd.method.losses import Outputs, Sizes
from dfkd.storage import FolderStorage
from dfkd.storage.ledger import Ledger
from dfkd.training.cells import Computation, compute
from dfkd.training.jobs import look_up
from dfkd.training.provenance import NO_SOURCE, changed_classes, code_of, require_same_code


@dataclass(frozen=True, kw_only=True)
class Closer:
    """A user's own loss."""

    weight: float = 1.0
    ramp: float = 0.0
    version: ClassVar[int] = 1

    def module(self, sizes: Sizes) -> nn.Module:
        return _Closer()


class _Closer(nn.Module):
    def forward(self, student: Outputs, teacher: Outputs) -> Tensor:
        return (student.features_BD.mean() - teacher.features_BD.mean()) ** 2


NAME = f"code.{__name__}.Closer"
EARLIER = {NAME: "1-0123456789abcdef"}
CHANGED = f"^{__name__}.Closer has changed since: raise its version, or --accept-changed-code$"


@pytest.fixture
def mine(tiny):
    return replace(tiny, explicit=Closer())


@pytest.fixture
def job(mine, job_of):
    """As a run context makes it."""
    return replace(job_of(mine), tags=code_of(mine))


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    return Ledger(FolderStorage(tmp_path))


def test_version_and_digest_of_an_own_class_are_its_code(mine, tiny):
    assert code_of(tiny) == {}
    assert list(code_of(mine)) == [NAME]
    assert re.fullmatch("1-[0-9a-f]{16}", code_of(mine)[NAME])
    assert code_of(replace(mine, explicit=Closer(weight=0.0))) == {}  # it is not computed with


@pytest.mark.parametrize(
    ("recorded", "now", "changed"),
    [
        ({}, {"code.a.B": "1-x"}, []),  # a record from before there were such tags
        ({"code.a.B": "1-x"}, {}, []),
        ({"code.a.B": "1-x"}, {"code.a.B": "1-x"}, []),
        ({"code.a.B": "1-x"}, {"code.a.B": "2-y"}, []),  # another version is another cell
        ({"code.a.B": "1-x", "git_commit": "c"}, {"code.a.B": "1-y", "git_commit": "d"}, ["a.B"]),
    ],
)
def test_a_change_is_another_digest_at_the_same_version(recorded, now, changed):
    assert changed_classes(recorded, now) == changed


def test_an_outcome_of_other_code_is_looked_up_only_where_that_is_accepted(job, inputs, ledger):
    known = compute(job, inputs, ledger.storage)
    assert look_up(job, ledger) == known and known.tags[NAME] == job.tags[NAME]
    other = replace(job, tags=EARLIER)
    with pytest.raises(ValueError, match=CHANGED):
        look_up(other, ledger)
    assert look_up(replace(other, accept_changed_code=True), ledger) == known


def test_a_worker_with_other_code_than_the_driver_computes_nothing(job, inputs, ledger, steps):
    with pytest.raises(ValueError, match=f"^{__name__}.Closer has changed while"):
        compute(replace(job, tags=EARLIER), inputs, ledger.storage)
    assert steps == []


def test_a_checkpoint_of_other_code_is_not_gone_on_from(job, inputs, ledger, steps, monkeypatch):
    monkeypatch.setattr(dfkd.training.cells, "CHECKPOINT_EVERY_S", 0.0)
    stopped = Computation(job, inputs, ledger)
    stopped.advance()
    stopped.close()
    resumed = Computation(job, inputs, ledger)
    assert resumed.advance() is not None and steps == list(range(5))  # told from the checkpoint
    resumed.close()
    state = ledger.restore(job.name)
    assert state is not None
    ledger.checkpoint(job.name, state | {"code": EARLIER})
    assert compute(job, inputs, ledger.storage).final
    assert steps == [*range(5), *range(20)]


def test_code_that_lies_in_no_file_is_not_known_to_be_the_same(job, inputs, ledger, mine):
    cell = types.ModuleType("a_notebook")
    sys.modules[cell.__name__] = cell
    try:
        kind = type("Closer", (Closer,), {"__module__": cell.__name__})
        here = replace(mine, explicit=kind())
        assert code_of(here) == {"code.a_notebook.Closer": f"1-{NO_SOURCE}"}
        its_job = replace(job, cell=replace(job.cell, experiment=here), tags=code_of(here))
        require_same_code([here], ledger, False, print)  # nothing was computed with it
        known = compute(its_job, inputs, ledger.storage)
        assert look_up(its_job, ledger) == known  # within one call
        with pytest.raises(
            ValueError, match=r"a_notebook.Closer lies in no file.*--accept-changed"
        ):
            require_same_code([here], ledger, False, print)
        lines: list[str] = []
        require_same_code([here], ledger, True, lines.append)
        assert len(lines) == 1 and "a_notebook.Closer" in lines[0]
    finally:
        del sys.modules[cell.__name__]


def test_jobs_are_looked_up_in_no_other_way():
    around = re.compile(r"\.read\((self\.)?job\.name\)")
    found = {p.name for p in (ROOT / "dfkd").rglob("*.py") if around.search(p.read_text())}
    assert found == {"jobs.py", "cells.py"}  # `look_up`, and the outcome that was just written
