"""Changed parameters in words."""

from collections.abc import Mapping

from dfkd.reporting.numbers import short_number


def changed_lines(pairs: Mapping[str, tuple[str, str]], other: str) -> list[str]:
    """Return pairs of parameter -> (here, in the other) in words, a line each.

    other: what the other side is called. Parameters of a piece that is gone are left out.
    """
    gone = {name for name, (here, _) in pairs.items() if here == "none"}
    return [
        f"{name}: {_change(_short(here), _short(there), other)}"
        for name, (here, there) in pairs.items()
        if not (here == "None" and any(name.startswith(f"{piece}.") for piece in gone))
    ]


def _change(here: str, there: str, other: str) -> str:
    if here == "None":
        return f"not there ({other}: {there})"
    return here if there == "None" else f"{here} ({other}: {there})"


def _short(text: str) -> str:
    try:
        return text if text.lstrip("-").isdigit() else short_number(float(text))
    except ValueError:
        return text
