"""Contact sheets.

The rows that a run selects, shown from a storage that has the pool and the scores, else left out.
"""

import io
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from synthetic import write_cell

from dfkd.experiment import Cell, Experiment
from dfkd.method.dropping import WholeClass
from dfkd.method.selection import Confident, Random
from dfkd.reporting.sheets import Selected
from dfkd.seeding import Block
from dfkd.storage import FolderStorage
from dfkd.studies import Study
from dfkd.studies.findings import StudyData, find
from dfkd.studies.page import html
from dfkd.studies.reading import from_ledger
from dfkd.studies.record import StudyRecord, write
from dfkd.studies.selected_images import selected
from dfkd.training.distill import Inputs, Run
from dfkd.training.jobs import Job
from dfkd.training.recorded_inputs import GONE


@dataclass(frozen=True, kw_only=True)
class Own(Random):
    """A rule of the user's, in a module that is loaded."""


@pytest.fixture(scope="module")
def study(tiny: Experiment) -> Study:
    variants = {
        "full": tiny,
        "no dropping": replace(tiny, dropping=None),  # selects the same
        "random": replace(tiny, selection=Random(ratio=0.3)),
        "confident": replace(tiny, selection=Confident(ratio=0.02)),  # leaves classes empty
        "classes dropped": replace(tiny, dropping=WholeClass(rate=0.3)),
    }
    return Study(question="What is selected?", variants=variants, baseline="full", blocks=2)


@pytest.fixture(scope="module")
def storage(
    study: Study,
    source_storage: Path,
    inputs: Inputs,
    job_of: Callable[..., Job],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Pool, scores and memory map of the tiny experiment, and a study that was not computed."""
    storage = tmp_path_factory.mktemp("storage")
    shutil.copytree(source_storage, storage, dirs_exist_ok=True)
    jobs = {
        at: job_of(cell.experiment, cell.block.seed, read_test=True)
        for at, cell in study.cells().items()
    }
    for job in jobs.values():
        write_cell(storage, job, 0.5)
    write(
        FolderStorage(storage),
        StudyRecord.of("made", study, {at: job.name for at, job in jobs.items()}, test_images=600),
    )
    return storage


@pytest.fixture(scope="module")
def data(storage: Path) -> StudyData:
    return from_ledger(FolderStorage(storage), "made")


@pytest.fixture(scope="module")
def found(data: StudyData, storage: Path) -> Selected:
    return selected(data, FolderStorage(storage))


def test_variants_that_select_alike_share_a_sheet(found: Selected, study: Study) -> None:
    assert [sheet.variants for sheet in found.sheets] == [
        ("full", "no dropping"),
        ("random",),
        ("confident",),
        ("classes dropped",),
    ]
    assert found.absent == "" and found.block == "0"


def test_a_sheet_holds_what_a_run_selects(found: Selected, study: Study, inputs: Inputs) -> None:
    for sheet in found.sheets:
        cell = Cell(experiment=study.variants[sheet.variants[0]], block=Block(seed=0))
        rows_N = Run(cell, inputs).rows_N
        label_N, confidence_N = (
            np.asarray(c)[rows_N]
            for c in (inputs.scores.pseudo_label_N, inputs.scores.confidence_N)
        )
        assert (sheet.rows, sheet.of_rows) == (len(rows_N), 600)
        assert list(sheet.counts.values()) == np.bincount(label_N, minlength=10).tolist()
        for label, pictures in sheet.pictures.items():
            own = confidence_N[label_N == label]
            assert len(pictures) == min(3, len(own))
            if len(own):
                assert pictures[0].confidence == own.max() and pictures[-1].confidence == own.min()


def test_pictures_are_the_pools_pixels(found: Selected, inputs: Inputs) -> None:
    picture = found.sheets[0].pictures[3][0]
    pixels = np.asarray(Image.open(io.BytesIO(picture.png)))
    [row] = [i for i in range(600) if (inputs.images_NHWC[i, :, :, 0] == pixels).all()]
    assert inputs.scores.confidence_N[row] == np.float32(picture.confidence)
    assert inputs.scores.pseudo_label_N[row] == 3


def test_the_page_holds_them_and_is_the_same_again(
    data: StudyData, storage: Path, found: Selected
) -> None:
    findings = find(data)
    page = html(findings, found)
    shown = sum(len(pictures) for sheet in found.sheets for pictures in sheet.pictures.values())
    assert len(re.findall(r'src="data:image/png;base64,', page)) == shown > 60
    assert "full, no dropping: 153 of 600 rows" in page and "confident: 10 of 600 rows" in page
    assert html(findings, selected(data, FolderStorage(storage))) == page


@pytest.mark.parametrize("gone", ["packs", "pools"])
def test_without_pool_or_scores_the_section_says_so_in_a_line_and_nothing_is_made(
    data: StudyData, storage: Path, tmp_path: Path, gone: str
) -> None:
    shutil.copytree(storage, tmp_path / "s")
    shutil.rmtree(tmp_path / "s" / gone)
    before = set(tmp_path.rglob("*"))
    none = selected(data, FolderStorage(tmp_path / "s"))
    assert none.sheets == () and none.absent == f"no images: {GONE}"
    assert f"<li>no images: {escape(GONE)}</li>" in html(find(data), none)
    assert set(tmp_path.rglob("*")) == before


def test_another_machine_that_has_only_records_says_so(data: StudyData, tmp_path: Path) -> None:
    assert selected(data, FolderStorage(tmp_path)).absent == f"no images: {GONE}" and not list(
        tmp_path.iterdir()
    )


def test_a_variant_with_a_piece_of_the_users_is_named_with_the_reason(
    data: StudyData, storage: Path
) -> None:
    params = {**data.params, "random": {**data.params["random"], "selection": "my_package.Mine"}}
    found = selected(replace(data, params=params), FolderStorage(storage))
    assert len(found.sheets) == 3 and found.absent.startswith(
        "no images of random: selection is my_package.Mine"
    )


def test_a_piece_of_the_users_is_shown_where_its_module_is_loaded(
    data: StudyData, storage: Path, found: Selected
) -> None:
    params = {**data.params, "random": {**data.params["random"], "selection": f"{__name__}.Own"}}
    own = selected(replace(data, params=params), FolderStorage(storage))
    assert own.absent == "" and own.sheets[1].counts == found.sheets[1].counts


def test_a_pool_with_other_pixels_is_not_shown(data: StudyData, storage: Path) -> None:
    other = {**data.provenance, "pool": ("another",)}
    found = selected(
        replace(data, provenance=other, cells=data.cells.assign(cell="not-in-the-ledger")),
        FolderStorage(storage),
    )
    assert found.absent == "no images: the pool in the storage has other pixels than the study's"
