"""What a study found, in the terminal: a row per variant, its difference to the baseline, and the verdict."""

from __future__ import annotations

from dfkd.cluster.session import Compute
from dfkd.cluster.study import StudyResult
from dfkd.console import Console
from dfkd.evidence.statistics import Comparison
from dfkd.experiment import Study
from dfkd.tracking import Tracker

HEADER = ("variant", "test %", "n", "difference", "95 % interval", "p (Holm)", "verdict")


def show(result: StudyResult, study: Study, compute: Compute, console: Console) -> None:
    console.table(f"{study.question} ({result.name})", HEADER, rows(result, study))
    for comparison in result.comparisons:
        if comparison.note:
            console.line(f"{comparison.variant}: {comparison.note}")
    console.line("differences to the baseline, paired by block, in points of test accuracy; p corrected by Holm")
    console.line("blocks vary the seed of the student; conditional on this teacher and this pool")
    console.line(f"{result.computed} cells computed, {len(result.outcomes) - result.computed} from the ledger")
    console.line(f"written to {compute.storage}: cells/, studies/{result.name}/")
    console.line(f"see all runs:  {Tracker(compute.storage, compute.tracking_uri).open_command()}")


def rows(result: StudyResult, study: Study) -> list[list[str]]:
    """The baseline first, then the comparisons in the study's order."""
    summary = result.summary.set_index("variant").loc[study.baseline]
    first = [study.baseline, f"{100 * summary['mean']:.1f}", str(int(summary["n"])), "", "", "", "baseline"]
    return [first, *(_row(comparison) for comparison in result.comparisons)]


def _row(c: Comparison) -> list[str]:
    interval = f"{100 * c.low:+.1f} to {100 * c.high:+.1f}" if c.low is not None and c.high is not None else "none"
    p = "none" if c.p_holm is None else f"{c.p_holm:.3f}" if c.p_holm >= 0.001 else "< .001"
    return [c.variant, f"{100 * c.mean:.1f}", str(c.n), f"{100 * c.difference:+.1f}", interval, p, c.verdict]
