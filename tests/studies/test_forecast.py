"""What a study would cost and could find, before anything is computed."""

from dataclasses import replace
from pathlib import Path

import pytest
from pretended import NOBODY, pretended

from ablations.components import study as components
from dfkd.execution.compute import Compute
from dfkd.reporting.console import Console
from dfkd.storage import FolderStorage
from dfkd.studies.driver import run_study
from dfkd.studies.forecast import forecast


def test_a_forecast_before_anything_is_there(tmp_path: Path) -> None:
    told = forecast("made", components, Compute(storage=FolderStorage(tmp_path)))
    assert (told.cells, told.done, told.prepared) == (25, 0, False)
    assert told.seconds is None and told.sd is None
    assert 2.2 < told.detectable < 3.2  # 1.7 standard deviations for one comparison, more for four
    stated = forecast("made", components, Compute(storage=FolderStorage(tmp_path)), sd=0.01)
    assert stated.detectable == pytest.approx(told.detectable / 100)


def test_a_forecast_goes_by_the_cells_of_the_study_itself(tmp_path: Path) -> None:
    where = Compute(storage=FolderStorage(tmp_path), tracking_uri=NOBODY)
    run_study(
        "made", replace(components, blocks=3), where, Console(quiet=True), open_executor=pretended()
    )
    told = forecast("made", components, where)
    assert told.prepared and (told.cells, told.done) == (25, 15)
    assert told.seconds == 10 * 3600 and told.hours == 10  # an hour a cell, as those that are there
    assert told.sd is not None and 0 < told.sd < 0.01 and told.sd_from == "seen so far"
    other = replace(where, cpus=2)  # cells with two threads are other cells
    assert forecast("made", components, other).done == 0
