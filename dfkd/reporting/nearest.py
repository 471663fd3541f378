"""The end of an error line that names what was perhaps meant."""

import difflib
from collections.abc import Iterable

CLOSE = 0.5  # difflib's ratio from which a name counts as perhaps meant
MOST = 20  # names that a line may list where none is close


def nearest(name: str, known: Iterable[str], most: int = 1) -> str:
    """Return "did you mean digits?" with at most `most` names, else which names there are.

    A last part counts as well: "rate" is close to "dropping.rate".
    """
    names = list(dict.fromkeys(known))
    last = name.split(".")[-1]
    close = difflib.get_close_matches(name, names, n=most, cutoff=CLOSE)
    close = close or [other for other in names if other.split(".")[-1] == last][:most]
    if close:
        return f"did you mean {' or '.join(close)}?"
    if len(names) > MOST:
        return f"there are {len(names)}, such as {', '.join(names[:3])}"
    return f"there are {', '.join(names)}" if names else "there are none"
