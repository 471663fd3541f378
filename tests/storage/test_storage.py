"""What a folder as a storage does beside what every storage promises, and addresses."""

from pathlib import Path

import pytest

from dfkd.storage import FolderStorage, open_storage
from dfkd.storage.layout import Key

# ---- folders


def test_half_written_files_are_not_listed(tmp_path: Path) -> None:
    (tmp_path / f".one.{'0' * 32}").touch()
    (tmp_path / ".kept").touch()
    assert FolderStorage(tmp_path).list(Key(".")) == [".kept"]


def test_it_is_its_path(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    assert str(storage) == str(tmp_path) and storage.address(Key("a/b")) == str(tmp_path / "a/b")


# ---- addresses


@pytest.mark.parametrize("address", ["file:///tmp/x", "hdfs://h:1/x", "s3:///x", "s3://b/../x", ""])
def test_what_is_no_storage_is_refused_in_one_line(address: str) -> None:
    with pytest.raises(ValueError, match="the storage must be a folder") as raised:
        open_storage(address)
    assert "\n" not in str(raised.value) and repr(address) in str(raised.value)


def test_a_folder_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for address in ("runs", tmp_path / "runs", "runs/"):
        assert str(open_storage(address)) == str(tmp_path / "runs")
    assert str(open_storage("~/runs")) == str(tmp_path / "home" / "runs")
    assert str(open_storage("at:12/runs")) == str(tmp_path / "at:12" / "runs")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("left", [b"", b'{"state": "fin', b"\xff\xfe"])
def test_a_record_that_was_cut_off_is_named(left: bytes, tmp_path: Path) -> None:
    (tmp_path / "study.json").write_bytes(left)
    with pytest.raises(ValueError, match="must hold JSON, but is damaged") as raised:
        FolderStorage(tmp_path).read_json(Key("study.json"))
    assert str(raised.value).startswith(f"{tmp_path / 'study.json'} must")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("below", ["", "runs"])
def test_a_file_is_no_storage(below: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match=r"must be a folder, but .*file is a file"):
        open_storage(tmp_path / "file" / below)
