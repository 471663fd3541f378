"""Terminals and logs of any encoding: a sign that one cannot show is written in another way."""

import codecs
import io
import os
import sys
import unicodedata

SIGNS = {
    **{"–": "-", "—": "-", "−": "-", "…": "...", "“": '"', "”": '"', "‘": "'", "’": "'"},
    **{"≥": ">=", "≤": "<=", "≈": "~", "×": "x", "±": "+/-", "→": "->", "·": "-", "•": "*"},
}
LOWEST_RAW, HIGHEST_RAW = 0xDC80, 0xDCFF  # bytes of an argument that Python could not decode
STEERING = ("Cc", "Cf", "Zl", "Zp")  # categories: control, format, separators of lines
REPLACING = "dfkd.replacing"  # the name of our handler among Python's codecs


def open_all() -> None:
    """Let what the caller has closed (`2>&-`) lead nowhere: the next file would take its place."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


def show_everything() -> None:
    """Let stdout and stderr take any text, whatever the locale: nothing printed is an error."""
    register()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=REPLACING)


def register() -> None:
    """Make `replacement` known to Python under the name REPLACING."""
    codecs.register_error(REPLACING, replacement)


def replacement(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return what stands for text that an encoding has no signs for, and where to go on.

    Known signs and accented letters become ASCII, raw bytes stay, all else becomes an escape.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    sign = error.object[error.start]
    if LOWEST_RAW <= ord(sign) <= HIGHEST_RAW:
        return bytes([ord(sign) - LOWEST_RAW + 0x80]), error.start + 1
    plain = unicodedata.normalize("NFKD", sign).encode("ascii", "ignore").decode("ascii")
    escape = sign.encode("ascii", "backslashreplace").decode("ascii")
    return SIGNS.get(sign) or plain or escape, error.start + 1


def leave_closed_output() -> None:
    """Send what is still to be written to nowhere, after the reader of stdout has gone away."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())


def plain(text: str, encoding: str = "utf-8") -> str:
    """Return a text as a terminal of this encoding can show it.

    What would steer the terminal becomes visible. `register` was called before.
    """
    visible = "".join(_visible(sign) for sign in text)
    return visible.encode(encoding, REPLACING).decode(encoding, "surrogateescape")


def in_one_line(text: str) -> str:
    """Return a text of one line for a terminal: what breaks lines or steers becomes visible."""
    return "".join(_visible(sign, kept="") for sign in text)


def _visible(sign: str, kept: str = "\n\t\u200d") -> str:
    if sign in kept or unicodedata.category(sign) not in STEERING:
        return sign
    return sign.encode("unicode_escape").decode("ascii")
