"""What a storage holds, in a list; what people say of a study or sweep, wherever it is shown."""

import re
from pathlib import Path

import pytest
from searches import write_sweep
from synthetic import STUDY, jobs_of, write_study

from dfkd.comparison.comparing import compare
from dfkd.reporting.console import Console
from dfkd.runs.listing import entries, holdings, print_listing
from dfkd.storage import FolderStorage, layout
from dfkd.storage.ledger import Ledger
from dfkd.storage.notes import NO_NOTE, Note, annotate, read_note

SWEEP = "digits-174ed102"


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    """A storage with one study of 40 cells, of which one is missing, and one sweep of 24 trials."""
    write_study(tmp_path, "components", STUDY, {"without selection": -0.08})
    write_sweep(tmp_path)
    storage = FolderStorage(tmp_path)
    missing = jobs_of(STUDY)["full", 7].name
    storage.delete(layout.cell(missing))
    Ledger(storage).write_error(missing, "RuntimeError: gone")
    return storage


def test_studies_sweeps_and_cells_by_state(storage: FolderStorage) -> None:
    study, sweep = entries(storage)
    assert (study.kind, study.name, study.state) == ("study", "components", "39 of 40 cells")
    assert study.about == STUDY.question and study.bytes > 1000
    assert (sweep.kind, sweep.name, sweep.state) == ("sweep", SWEEP, "24 trials, confirmed")
    found = {holding.kind: holding for holding in holdings(storage)}
    cells = storage.list(layout.CELLS)
    assert found["cells"].count == len(cells) == sum(found["cells"].states.values())
    assert found["cells"].states["unfinished"] == 1
    assert found["cells"].states["pruned"] == 15 and "teachers" not in found


def test_a_storage_with_nothing_in_it_and_none_at_all(tmp_path: Path) -> None:
    assert entries(FolderStorage(tmp_path)) == holdings(FolderStorage(tmp_path)) == []
    print_listing(FolderStorage(tmp_path), Console(quiet=True))
    with pytest.raises(ValueError, match="there is no storage"):
        print_listing(FolderStorage(tmp_path / "nowhere"), Console(quiet=True))


def test_the_list_and_its_document(
    storage: FolderStorage, capsys: pytest.CaptureFixture[str]
) -> None:
    annotate(storage, layout.sweep(SWEEP), "for [the] paper", ["fig 3"])
    console = Console()
    print_listing(storage, console)
    said = capsys.readouterr().out
    assert re.search(r"components +study +39 of 40 cells", said)
    assert "for [the] paper [fig 3]" in said and "platform.clean --study components" in said
    listing = console.document.result["listing"]
    assert listing["entries"][1]["note"] == {"text": "for [the] paper", "tags": ["fig 3"]}


def test_a_note_stays_until_it_is_taken_away(storage: FolderStorage) -> None:
    folder = layout.study("components")
    assert read_note(storage, folder) == NO_NOTE
    assert annotate(storage, folder, "first", ["a", "b"]) == Note(text="first", tags=("a", "b"))
    assert annotate(storage, folder, None, ["b", "c"]).tags == ("a", "b", "c")
    assert annotate(storage, folder, "second", ["-a"]) == Note(text="second", tags=("b", "c"))
    assert annotate(storage, folder, "", ["-b", "-c"]) == NO_NOTE == read_note(storage, folder)


@pytest.mark.parametrize(("text", "tags"), [("a\nb", []), (None, ["a,b"]), (None, [" "])])
def test_a_note_is_a_line_and_tags_are_words(
    storage: FolderStorage, text: str | None, tags: list[str]
) -> None:
    with pytest.raises(ValueError, match=r"one line|without commas"):
        annotate(storage, layout.study("components"), text, tags)


@pytest.mark.parametrize(("name", "file"), [("components", "studies"), (SWEEP, "sweeps")])
def test_reports_show_what_people_say(
    storage: FolderStorage, capsys: pytest.CaptureFixture[str], name: str, file: str
) -> None:
    told = {"note": "see *this* <b>", "tags": ["paper"]}
    compare([name], storage, None, log=False, console=Console(), **told)
    report = storage.root / file / name / "report"
    assert "note: see *this* <b>\ntags: paper\n" in capsys.readouterr().out
    assert "note: see *this* &lt;b&gt;" in (report / "index.html").read_text(encoding="utf-8")
    assert r"- note: see \*this\* \<b>" in (report / "report.md").read_text(encoding="utf-8")


def test_a_note_needs_one_name(storage: FolderStorage) -> None:
    with pytest.raises(ValueError, match="name one of components, digits-174ed102"):
        compare([], storage, None, log=False, console=Console(quiet=True), note="x")
