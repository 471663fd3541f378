"""Hand-over: a student as files that need nothing of this project, each checked against the
original, with its card.
"""

from dfkd.export.formats import load
from dfkd.export.standalone import Standalone, standalone

__all__ = ["Standalone", "load", "standalone"]
