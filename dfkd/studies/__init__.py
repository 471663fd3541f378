"""Studies: a question, its variants in paired blocks, and what they say."""

from dfkd.studies.study import Study

__all__ = ["Study"]
