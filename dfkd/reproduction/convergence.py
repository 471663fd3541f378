"""How fast each variant of a study gets where it ends: by steps, images and device seconds.

What is followed is validation accuracy, or the probe where the task has no validation images. The
seconds of a point are the cell's own, shared out evenly over its steps, after those of the
synthesis of its pool, where that is synthesised: evaluations are in them, scores and teachers,
which the cells share, are not.
"""

import pandas as pd

from dfkd.stats.outcomes import STATES
from dfkd.storage.outcome import SYNTHESIS
from dfkd.studies.findings import StudyData

NEAR = 0.95  # of the final value
X = {"step": "steps", "images": "images", "seconds": "device seconds"}
COLUMNS = ("variant", "n", "final", *X, "to_full")


def measure(data: StudyData) -> str | None:
    """Return what the curves show: "validation" or "probe"; None where there are none."""
    known = (name for name in ("validation", "probe") if data.curves[name].notna().any())
    return next(known, None)


def followed(data: StudyData) -> str:
    """Return what the curves show in words."""
    return "validation accuracy" if measure(data) == "validation" else "agreement on the probe"


def points(data: StudyData) -> pd.DataFrame:
    """Return the points of all curves: variant, block, step, images, seconds, value.

    Cells that diverged are left out.
    """
    name = measure(data)
    if name is None:
        return pd.DataFrame(columns=["variant", "block", *X, "value"])
    cells = data.cells[data.cells["state"] == STATES[0]]
    before = cells[SYNTHESIS].fillna(0.0) if SYNTHESIS in cells else 0.0
    cells = cells.assign(before=before)[["variant", "block", "seconds", "before"]]
    cells = cells.astype({"variant": object})
    curves = data.curves.astype({"variant": object}).merge(cells, on=["variant", "block"])
    batch = {variant: int(params["schedule.batch"]) for variant, params in data.params.items()}
    last = curves.groupby(["variant", "block"])["step"].transform("max")
    return curves.assign(
        images=curves["step"] * curves["variant"].map(batch),
        seconds=curves["before"] + (curves["seconds"] - curves["before"]) * curves["step"] / last,
        value=curves[name],
    )[["variant", "block", *X, "value"]]


def reached(data: StudyData, baseline: str) -> pd.DataFrame:
    """Return rows of COLUMNS: medians over blocks of when a cell is at NEAR of its final value.

    final: the mean of the last values. to_full: the seconds to NEAR of the baseline's mean final
    value, NaN for a variant of which half the cells never are. All are told to the next evaluation.
    """
    found = points(data)
    ends = found.groupby("variant")["value"].agg(list)
    if baseline not in ends.index:
        return pd.DataFrame(columns=COLUMNS)
    goal = NEAR * _last(found[found["variant"] == baseline]).mean()
    rows = [
        _row(variant, found[found["variant"] == variant], goal)
        for variant in data.params
        if variant in ends.index
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(variant: str, curves: pd.DataFrame, goal: float) -> dict[str, object]:
    last = _last(curves)
    near = curves[curves["value"] >= NEAR * curves["block"].map(last)]
    own = near.groupby("block")[[*X]].min().median()
    seconds = curves[curves["value"] >= goal].groupby("block")["seconds"].min()
    all_blocks = seconds.reindex(last.index).fillna(float("inf"))
    to_full = float(all_blocks.median())
    return {
        "variant": variant,
        "n": len(last),
        "final": float(last.mean()),
        **own.to_dict(),
        "to_full": to_full if to_full < float("inf") else float("nan"),
    }


def _last(curves: pd.DataFrame) -> pd.Series:
    """Return the last value of each block."""
    return curves.sort_values("step").groupby("block")["value"].last()
