"""What a study does with its blocks: races, limits, failures, reuse. No cell is computed."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pretended import NOBODY, accuracy, pretended
from synthetic import ENVIRONMENT, jobs_of, write_cell

from ablations.components import study as components
from dfkd.execution.compute import Compute
from dfkd.reporting.console import Console
from dfkd.storage import FolderStorage
from dfkd.studies import Study
from dfkd.studies.driver import StudyOptions, run_study
from dfkd.studies.plan import plan_study
from dfkd.studies.record import read
from dfkd.studies.result import StudyResult
from dfkd.studies.terminal import print_result
from dfkd.training.inputs import inputs_key
from dfkd.training.jobs import RunContext


@pytest.fixture
def pretend(tmp_path: Path) -> Callable[..., StudyResult]:
    """`pretend(blocks=..., race=...)`: the components study; options of the executor as a dict."""

    def call(
        study: Study = components,
        blocks: int = 5,
        executor: dict[str, Any] | None = None,
        **options: Any,
    ) -> StudyResult:
        return run_study(
            "made",
            replace(study, blocks=blocks),
            Compute(storage=FolderStorage(tmp_path), tracking_uri=NOBODY),
            Console(),
            StudyOptions(**options),
            open_executor=pretended(**(executor or {})),
        )

    return call


@pytest.mark.slow
def test_a_race_stops_what_is_decided_and_computes_no_more_for_it(
    pretend: Callable[..., StudyResult],
) -> None:
    result = pretend(blocks=10, race=True)
    counts = result.outcomes["variant"].value_counts()
    assert counts["without selection"] == counts["without explicit"] == 5 and counts["full"] == 10
    verdicts = {c.variant: (c.verdict, c.n) for c in result.comparisons}
    assert verdicts["without selection"] == ("worse", 5) and verdicts["without explicit"] == (
        "better",
        5,
    )
    assert result.computed == 5 + 5 + 10 * 3
    assert pretend(blocks=10, race=True).computed == 0


def test_looks_are_fixed_before_the_first_cell(pretend: Callable[..., StudyResult]) -> None:
    pretend(blocks=10, race=True)
    with pytest.raises(ValueError, match="was begun as a race"):
        pretend(blocks=12, race=True)
    with pytest.raises(ValueError, match="was begun as a race"):
        pretend(blocks=10)


def test_a_study_without_looks_cannot_become_a_race(pretend: Callable[..., StudyResult]) -> None:
    pretend(blocks=5)
    with pytest.raises(ValueError, match="was begun without --race"):
        pretend(blocks=10, race=True)


def test_no_block_is_begun_that_would_go_beyond_the_hours(
    pretend: Callable[..., StudyResult],
) -> None:
    result = pretend(blocks=5, max_device_hours=12)  # an hour a cell, five cells a block
    assert result.computed == 10 and "--max-device-hours 12" in result.stopped
    assert result.outcomes.groupby("block").size().tolist() == [5, 5]
    rest = pretend(blocks=5)
    assert rest.computed == 15 and rest.stopped == ""


def test_a_study_grows_by_blocks_and_says_after_how_many_it_was_seen(
    pretend: Callable[..., StudyResult],
) -> None:
    assert pretend(blocks=2).computed == 10
    grown = pretend(blocks=3)
    assert grown.computed == 5 and len(grown.outcomes) == 15
    assert any("seen after 2 and 3 blocks" in note for note in grown.findings.notes)


def test_what_another_command_computes_meanwhile_is_not_counted_as_ones_own(
    pretend: Callable[..., StudyResult], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = jobs_of(replace(components, blocks=3))
    theirs = frozenset(job.name for (_, block), job in jobs.items() if block > 0)
    result = pretend(blocks=3, max_device_hours=10, executor={"elsewhere": theirs})
    assert not result.stopped and (result.computed, result.elsewhere) == (5, 10)  # 5 hours' worth
    print_result(result, Compute(storage=FolderStorage(tmp_path)), Console())
    assert "5 cells computed, 10 from the ledger, 10 of these by another" in capsys.readouterr().out


def test_a_cell_whose_test_set_is_read_only_now_is_neither_ones_own_nor_another_commands(
    pretend: Callable[..., StudyResult], tmp_path: Path
) -> None:
    [job] = [job for at, job in jobs_of(components).items() if at == ("without implicit", 2)]
    write_cell(tmp_path, job, 0.9)
    (tmp_path / "cells" / job.name / "test.json").unlink()
    result = pretend(executor={"elsewhere": frozenset({job.name})})
    assert (result.computed, result.elsewhere) == (len(result.outcomes) - 1, 0)


def test_a_cell_that_fails_is_said_left_out_and_tried_again(
    pretend: Callable[..., StudyResult],
) -> None:
    failing = jobs_of(components)["without implicit", 2].name
    first = pretend(executor={"failing": frozenset({failing})})
    assert (first.outcomes["state"] == "errored").sum() == 1
    assert any("killed" in note for note in first.findings.notes)
    second = pretend()
    assert second.computed == 1 and not (second.outcomes["state"] == "errored").any()


def test_a_cell_is_called_by_its_study_variant_and_block() -> None:
    """So Ray's dashboard and messages name it."""
    digests = {inputs_key(cell): ("teacher0", "pool0") for cell in components.cells().values()}
    context = RunContext(environment=ENVIRONMENT, digests=digests)
    plan = plan_study("made", components, context, race=False, retuned=None, earlier=None)
    called = plan.jobs[plan.record.cells["without implicit"][2]].shown
    assert called.endswith(" (made: without implicit, block 2)")


@pytest.mark.parametrize("blocks", [2, 5])
def test_a_study_in_which_everything_failed_says_why(
    pretend: Callable[..., StudyResult], blocks: int
) -> None:
    jobs = jobs_of(replace(components, blocks=blocks))
    failing = frozenset(job.name for job in jobs.values())
    first = jobs["full", 0].name
    line = (
        rf"^the study made has no cell of its baseline 'full': {5 * blocks} cells "
        rf"failed\. The first one: killed \(its log:  python -m platform.show {first} --storage "
        r"/\S+\)\. The same command tries again$"
    )
    with pytest.raises(ValueError, match=line):
        pretend(blocks=blocks, executor={"failing": failing})
    assert pretend(blocks=blocks).computed == len(failing)


def test_a_study_without_its_baseline_keeps_the_rest(pretend: Callable[..., StudyResult]) -> None:
    failing = frozenset(jobs_of(components)["full", seed].name for seed in range(5))
    with pytest.raises(
        ValueError, match=r"5 cells failed; 20 of other variants are kept\. The fir"
    ):
        pretend(executor={"failing": failing})
    assert pretend().computed == 5


def test_cells_of_other_work_are_marked_and_one_is_computed_again(
    pretend: Callable[..., StudyResult], tmp_path: Path
) -> None:
    for at in (("full", 0), ("full", 1)):
        job = jobs_of(components)[at]
        write_cell(tmp_path, job, accuracy(job))
    result = pretend()
    assert result.computed == 23 and result.outcomes.loc[
        result.outcomes["reused"], "block"
    ].tolist() == [0, 1]
    assert any("equal to the last bit" in note for note in result.findings.notes)
    shutil.rmtree(tmp_path / "studies")
    assert any("DIFFER" in note for note in pretend(executor={"again": 0.123}).findings.notes)
    shutil.rmtree(tmp_path / "studies")
    pretend(check=False)
    record = read(FolderStorage(tmp_path), "made")
    assert record is not None and record.check is None


def test_the_record_says_all_that_a_comparison_needs(
    pretend: Callable[..., StudyResult], tmp_path: Path
) -> None:
    pretend()
    record = read(FolderStorage(tmp_path), "made")
    assert (
        record is not None and record.question == components.question and record.test_images == 600
    )
    assert record.cells["full"] == [jobs_of(components)["full", i].name for i in range(5)]
    assert record.changes["without dropping"]["dropping"] == ["none", "tail"]


def test_a_variant_whose_cells_have_changed_is_computed_anew_and_said(
    pretend: Callable[..., StudyResult], capsys: pytest.CaptureFixture[str]
) -> None:
    pretend(blocks=2)
    other = replace(components.variants["without dropping"], implicit=None)
    changed = replace(components, variants={**components.variants, "without dropping": other})
    result = pretend(changed, blocks=2)
    assert result.computed == 2
    assert "changed since the last call: without dropping" in capsys.readouterr().out
    pretend(changed, blocks=3)
    assert "changed" not in capsys.readouterr().out


def test_cells_on_another_teacher_are_other_cells(
    pretend: Callable[..., StudyResult], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend(blocks=2)
    (tmp_path / "studies" / "made" / "setting.json").unlink()  # as if the teacher was made again
    assert pretend(blocks=2, executor={"teacher": "teacher1"}).computed == 10
    assert (
        f"changed since the last call: {', '.join(components.variants)}" in capsys.readouterr().out
    )
