"""A user's own study, outside the repository."""

from dataclasses import replace

from tiny_space import default

from dfkd.studies import Study

study = Study(
    question="Does anything matter in thirty steps?",
    variants={"full": default, "no dropping": replace(default, dropping=None)},
    baseline="full",
    blocks=2,
)
