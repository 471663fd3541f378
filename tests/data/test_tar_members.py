"""Tars whose samples have several images: all are rows, or the ones that are asked for."""

import io
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hostile_files import encoded, photo

from dfkd.data.importing.samples import is_member, several_images
from dfkd.data.pools import PoolFiles, WebDatasetTars
from dfkd.identity import spec
from dfkd.storage import FolderStorage

SHAPE = (8, 8, 3)


def write(path: Path, names: list[str], first: int = 0) -> None:
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for number, name in enumerate(names):
            content = b"{}" if name.endswith("json") else encoded(photo(first + number), "PNG")
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def pool(folder: Path, member: str = "", storage: str = "out") -> PoolFiles:
    tars = WebDatasetTars(path=str(folder), member=member)
    return tars.files(SHAPE, FolderStorage(folder.parent / storage))


def names(files: PoolFiles) -> list[str]:
    return [n for shard in files.shards for n in pq.read_table(shard.path)["name"].to_pylist()]


@pytest.fixture
def tars(tmp_path: Path) -> Path:
    kinds = ("input.jpg", "mask.png", "json")
    for tar in range(2):
        members = [f"s/{tar}{n}.{kind}" for n in range(3) for kind in kinds]
        write(tmp_path / "tars" / f"{tar}.tar", members, first=50 * tar)
    return tmp_path / "tars"


def test_all_images_are_rows_and_it_is_said_that_samples_have_several(tars):
    files = pool(tars)
    assert (files.rows, files.set_aside.counts) == (12, (("another kind of file", 6),))
    said = files.set_aside.line(files.rows)
    assert "; 6 samples have several images (input.jpg, mask.png), and each is a row" in said
    assert said.endswith("member='input.jpg' takes one of them")
    assert pool(tars).set_aside == files.set_aside  # found again


@pytest.mark.parametrize("member", ["input.jpg", "INPUT.JPG", "input.jpg;input.png"])
def test_the_member_that_is_asked_for_is_the_image(tars, member):
    files = pool(tars, member)
    assert names(files) == [f"s/{tar}{n}.input.jpg" for tar in range(2) for n in range(3)]
    assert files.set_aside.counts == (("another kind of file", 12),)
    assert files.set_aside.note == ""


def test_one_storage_keeps_the_pools_of_all_members_apart(tars):
    digests = [pool(tars, member).digest for member in ("", "input.jpg", "mask.png", "")]
    assert digests[0] == digests[3] and len(set(digests)) == 3


def test_a_member_that_is_not_there_leaves_no_image(tars):
    with pytest.raises(ValueError, match=r"^there is no image .* \(18 another kind of file\): "):
        pool(tars, "jpg")


def test_member_is_no_identity_where_it_is_left_out():
    assert "member" not in spec(WebDatasetTars(path="x"))


@pytest.mark.parametrize(
    ("members", "together"),
    [
        (["0.jpg", "1.jpg", "2.png"], {}),
        (["a/0.jpg", "b/0.jpg"], {}),  # the same key in two folders
        (["0.jpg", "0.seg.png", "1.jpg"], {"jpg, seg.png": 1}),
        (["0/input.jpg", "0/mask.png", "1/input.jpg", "1/mask.png"], {"input.jpg, mask.png": 2}),
        (["cat/1.jpg", "cat/2.jpg", "dog/1.jpg", "dog/2.jpg"], {}),
        (["cat/1.jpg", "cat/2.jpg", "dog/3.jpg", "dog/4.jpg"], {}),
    ],
)
def test_samples_are_told_by_name_and_by_folder(members, together):
    assert several_images(members) == together


@pytest.mark.parametrize(
    ("name", "member", "taken"),
    [
        ("a.b/0.jpg", "jpg", True),
        ("0.mask.jpg", "jpg", False),
        ("x/input.jpg", "input.jpg", True),
        ("x/7.Input.JPG", "input.jpg", True),
        ("x/7.webp", "jpg;webp", True),
    ],
)
def test_a_member_is_what_stands_behind_the_first_dot(name, member, taken):
    assert is_member(name, member) == taken
