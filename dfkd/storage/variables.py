"""What environment variables say, HOME among them."""

import os
from pathlib import Path


def variable(name: str) -> str | None:
    """Return the value of an environment variable; None where it is not set, or set to blanks."""
    return os.environ.get(name, "").strip() or None


def expanded(path: str | Path) -> Path:
    """Return a path with the home folder in place of "~". ValueError where nobody knows that."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(
            f"the home folder in {str(path)!r} is not known here: write the path without '~', or "
            "set HOME"
        ) from error
