"""Export: a student as files that need nothing of this project, checked against the original."""

from dfkd.export.formats import load
from dfkd.export.standalone import Standalone, standalone

__all__ = ["Standalone", "load", "standalone"]
