"""Companions are what systems and tools leave beside images: no reader counts or opens them."""

# Files and folders, in lower case; those that begin with a dot need no name
NAMED = {
    b"__macosx",  # macOS, in archives
    b"icon\r",  # a folder's picture in the Finder
    b"network trash folder",
    b"temporary items",
    b"thumbs.db",  # Windows
    b"ehthumbs.db",
    b"ehthumbs_vista.db",
    b"desktop.ini",
    b"$recycle.bin",
    b"system volume information",
    b"@eadir",  # network storages: Synology and QNAP
    b"@tmp",
    b"#recycle",
    b"#snapshot",
    b"@recycle",
    b"@recently-snapshot",
    b"lost+found",  # Linux
    b"__pycache__",
}
BEGIN = (b"~$",)  # what an office program holds open


def is_companion(name: bytes) -> bool:
    """Return whether a file is one, or lies in a folder that is, by its name below the place.

    name: with "/" between folders, as in `Entry`. Hidden files and folders are companions
    (`._a.png`, `.DS_Store`, `.ipynb_checkpoints/`); names that begin with two dots are not hidden.
    """
    return any(map(_is_one, name.split(b"/")))


def _is_one(part: bytes) -> bool:
    hidden = part.startswith(b".") and not part.startswith(b"..") and part != b"."
    return hidden or part.startswith(BEGIN) or part.lower() in NAMED
