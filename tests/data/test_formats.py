"""Large profiles and texts are no damage, and what is no image is called what it is."""

import struct

import numpy as np
import pyarrow.parquet as pq
import pytest
from hostile_files import encoded, photo
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from dfkd.data.images.decoding import Rejected, decode
from dfkd.data.pools.image_folder import ImageFolder
from dfkd.storage import FolderStorage

SHAPE = (8, 8, 3)


def texts(count: int, size: int, packed: bool) -> PngInfo:
    info = PngInfo()
    for number in range(count):
        info.add_text(f"k{number}", "x" * size, zip=packed)
    return info


def international(size: int) -> PngInfo:
    info = PngInfo()
    info.add_itxt("prompt", "ü" * size, zip=True)
    return info


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {"icc_profile": bytes(2_000_000)}),
        ("PNG", {"pnginfo": texts(1, 5_000_000, packed=True)}),
        ("PNG", {"pnginfo": texts(70, 1_000_000, packed=False)}),
        ("PNG", {"pnginfo": international(3_000_000)}),
        ("PNG", {"exif": bytes(3_000_000), "icc_profile": bytes(9_000_000)}),
        ("JPEG", {"icc_profile": bytes(5_000_000)}),
        ("TIFF", {"icc_profile": bytes(5_000_000)}),
        ("WEBP", {"icc_profile": bytes(5_000_000)}),
    ],
)
def test_a_large_profile_or_text_changes_no_pixel(kind, options):
    plain, large = (decode(encoded(photo(0), kind, **o), SHAPE) for o in ({}, options))
    assert np.array_equal(plain, large)


def test_damage_beside_a_large_profile_is_damage():
    whole = encoded(photo(0, size=(90, 90)), "PNG", icc_profile=bytes(2_000_000))
    with pytest.raises(Rejected, match="truncated or damaged"):
        decode(whole[:-200], SHAPE)


def media(brand: bytes) -> bytes:
    return struct.pack(">I4s4sI", 24, b"ftyp", brand, 0) + b"mif1heic" + bytes(200)


def tiff(order: str, *tags: int) -> bytes:
    """A TIFF of no picture that Pillow knows, with these tags and a camera's colour filter."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entries = {256: 8, 257: 8, 258: 8, 259: 1, 262: 32803} | dict.fromkeys(tags, 1)
    body = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, entries[tag]) for tag in sorted(entries))
    return mark + struct.pack(f"{order}IH", 8, len(entries)) + body + bytes(400)


UNREAD = {
    "HEIC": media(b"heic"),
    "HEIF": media(b"mif1"),
    "JPEG XL": b"\xff\x0a" + bytes(99),
    "DNG": tiff("<", 50706),
    "camera raw": tiff(">", 33422),
    "camera raw (CR2)": b"II*\0\x10\0\0\0CR\2\0" + bytes(99),
    "camera raw (CR3)": media(b"crx "),
    "Photoshop": b"8BPS\0\1" + bytes(99),
    "SVG": b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>',
    "OpenEXR": b"v/1\x01" + bytes(99),
}
OTHERS = {
    "a git-lfs pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n",
    "a web page": b"\n<!DOCTYPE html><html><svg/></html>",
    "a PDF document": b"%PDF-1.7",
    "a video": media(b"isom"),
    "12 bytes that begin with": b"nothing much",
}


@pytest.mark.parametrize("name", UNREAD)
def test_a_format_that_is_not_read_is_named(name):
    with pytest.raises(Rejected) as why:
        decode(UNREAD[name], SHAPE)
    assert why.value.args == (f"{name}, which is not read", "convert it to PNG or JPEG")


@pytest.mark.parametrize("what", OTHERS)
def test_what_is_no_image_is_named_where_that_is_known(what):
    with pytest.raises(Rejected) as why:
        decode(OTHERS[what], SHAPE)
    assert why.value.reason == "not an image" and why.value.detail.startswith(what)


def test_colours_that_pillow_cannot_convert_are_named():
    image = Image.new("LAB", (8, 8))
    with pytest.raises(Rejected, match="which are not read"):
        decode(encoded(image, "TIFF"), SHAPE)


def test_a_damaged_avif_is_damaged():
    whole = encoded(photo(0), "AVIF")
    with pytest.raises(Rejected, match=r"truncated or damaged|not an image"):
        decode(whole[:60], SHAPE)


def test_a_folder_of_a_phone_says_what_is_in_it(tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(3):
        (tmp_path / "in" / f"{number}.jpg").write_bytes(encoded(photo(number), "JPEG"))
        (tmp_path / "in" / f"{number}.HEIC").write_bytes(media(b"heic"))
    files = ImageFolder(path=str(tmp_path / "in")).files(SHAPE, FolderStorage(tmp_path))
    assert (files.rows, files.set_aside.why) == (3, "3 HEIC, which is not read")
    assert {*pq.read_table(files.set_aside.path)["detail"].to_pylist()} == {
        "convert it to PNG or JPEG"
    }
