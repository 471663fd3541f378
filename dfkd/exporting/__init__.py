"""Hand-over: a student as files that need nothing of this project, each checked against the original, with its card."""

from dfkd.exporting.formats import load
from dfkd.exporting.standalone import Standalone, standalone

__all__ = ["Standalone", "load", "standalone"]
