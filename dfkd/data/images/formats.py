"""What a file is by its first bytes, where it is no image that is read, and PNG without texts."""

import struct

HEAD = 1024  # bytes that `unread_format` looks at
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
# Pictures whose decoders are not here: to be converted. By where the mark stands and what it is
UNREAD = (
    ((0, b"\xff\x0a"), "JPEG XL"),
    ((0, b"\0\0\0\x0cJXL \r\n\x87\n"), "JPEG XL"),
    ((0, b"II\xbc\x01"), "JPEG XR"),
    ((0, b"8BPS"), "Photoshop"),
    ((0, b"\0\0\1\0"), "Windows icon"),
    ((0, b"v/1\x01"), "OpenEXR"),
    ((0, b"#?RADIANCE"), "Radiance HDR"),
    ((0, b"DDS "), "DirectDraw surface"),
    ((0, b"qoif"), "QOI"),
    ((0, b"BPG\xfb"), "BPG"),
    ((0, b"SIMPLE  ="), "FITS"),
    ((128, b"DICM"), "DICOM"),
    ((0, b"gimp xcf"), "GIMP"),
    ((0, b"FUJIFILMCCD-RAW"), "camera raw (RAF)"),
    ((0, b"IIRO"), "camera raw (ORF)"),
    ((0, b"IIU\0"), "camera raw (RW2)"),
    ((8, b"CR\x02"), "camera raw (CR2)"),
)
# Of ISO media files, "ftyp" and a brand
BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), "HEIC"),
    **dict.fromkeys((b"mif1", b"msf1", b"mif2"), "HEIF"),
    b"crx ": "camera raw (CR3)",
}
# No pictures, whatever they are called
OTHERS = (
    (LFS_POINTER, "a git-lfs pointer: run git lfs pull where it comes from"),
    (b"\0\5\x16\7", "macOS's companion of a file"),
    (b"%PDF", "a PDF document"),
    (b"PK\3\4", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x1a\x45\xdf\xa3", "a video (Matroska)"),
)
READ_BRANDS = {b"avif", b"avis"}
SPACE = b"\xef\xbb\xbf \t\r\n"  # before a text begins
TIFF = {b"II*\0": "<", b"MM\0*": ">"}  # and the order of bytes
DNG_VERSION, CFA_PATTERN = 50706, 33422  # tags
PNG = b"\x89PNG\r\n\x1a\n"
PNG_TEXTS = {b"iCCP", b"tEXt", b"zTXt", b"iTXt", b"eXIf"}  # colours are not managed: no pixel


def unread_format(head: bytes) -> str:
    """Return the name of a format of pictures that is not read, "" where none is known."""
    for (at, mark), name in UNREAD:
        if head[at:].startswith(mark):
            return name
    if head[4:8] == b"ftyp":
        return BRANDS.get(head[8:12], "")
    if b"<svg" in head and head.lstrip(SPACE).startswith((b"<svg", b"<?xml", b"<!--")):
        return "SVG"
    return _raw_photograph(head)


def other_kind(head: bytes) -> str:
    """Return in words what a file is that holds no picture, "" where that is not known."""
    if head.lstrip(SPACE).lower().startswith((b"<!doctype html", b"<html")):
        return "a web page: the download failed"
    if head[4:8] == b"ftyp" and head[8:12] not in {*BRANDS, *READ_BRANDS}:
        return "a video (MP4 or QuickTime)"
    return next((what for mark, what in OTHERS if head.startswith(mark)), "")


def _raw_photograph(head: bytes) -> str:
    """Return "DNG" or "camera raw" for a TIFF whose first tags say so, else ""."""
    order = TIFF.get(head[:4])
    if order is None or len(head) < 8:
        return ""
    (start,) = struct.unpack_from(f"{order}I", head, 4)
    if start + 2 > len(head):
        return ""
    (count,) = struct.unpack_from(f"{order}H", head, start)
    places = range(start + 2, min(start + 2 + 12 * count, len(head) - 1), 12)
    tags = {struct.unpack_from(f"{order}H", head, place)[0] for place in places}
    return "DNG" if DNG_VERSION in tags else "camera raw" if CFA_PATTERN in tags else ""


def without_texts(encoded: bytes) -> bytes:
    """Return a PNG without its colour profile and texts, of which Pillow unpacks few megabytes.

    What is no PNG, or has none of them, comes back as it is. No pixel depends on them.
    """
    if not encoded.startswith(PNG):
        return encoded
    kept, at = [PNG], len(PNG)
    while at + 12 <= len(encoded):
        (length,) = struct.unpack_from(">I", encoded, at)
        end = at + 12 + length
        if encoded[at + 4 : at + 8] not in PNG_TEXTS:
            kept.append(encoded[at:end])
        at = end
    kept.append(encoded[at:])
    shorter = b"".join(kept)
    return shorter if len(shorter) < len(encoded) else encoded
