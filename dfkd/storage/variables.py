"""What environment variables say."""

from __future__ import annotations

import os


def variable(name: str) -> str | None:
    """Return the value of an environment variable; None where it is not set, or set to nothing."""
    return os.environ.get(name) or None
