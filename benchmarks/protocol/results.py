"""What the cells say: tables in Markdown, made from outcomes alone."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from benchmarks.protocol.plan import GENERATOR, ORACLE, SETTINGS, Round
from dfkd.reporting.numbers import interval, p, percent, points
from dfkd.stats.comparisons import compare
from dfkd.stats.paired import equivalence_test, paired_interval
from dfkd.stats.summaries import rank_correlation
from dfkd.storage.outcome import Outcome

MARGIN = 0.015  # of the gap to the oracle on digits
METRICS = ("probe", "probe.soft", "probe.low", "probe.middle", "probe.high")

Tuned = Mapping[str, Sequence[Outcome]]  # method -> the outcomes of SETTINGS, in their order
Confirmed = Mapping[str, Sequence[float]]  # method -> test accuracy in each block


def best(outcomes: Sequence[Outcome]) -> int:
    """Return the number of the setting with the highest probe; of equal ones the earlier."""
    return int(np.argmax([outcome.metrics["probe"] for outcome in outcomes]))


def tuning_table(task: str, tuned: Tuned) -> str:
    rows = [
        f"| {method} | {(s := SETTINGS[best(found)]).rate:g} | {s.ratio:g} | {s.temperature:g} | "
        f"{found[best(found)].metrics['probe']:.3f} |"
        for method, found in tuned.items()
    ]
    return _table(
        f"{task}: the setting of each method with the highest probe",
        "| method | learning rate, times | ratio | temperature | probe |\n|---|--:|--:|--:|--:|",
        rows,
    )


def rival_table(task: str, tests: Confirmed, of: Round) -> str:
    """Compare a round's method with its rivals; Holm's correction runs over them."""
    ours = of.ours
    frame = _frame({name: tests[name] for name in (ours, *of.rivals)})
    rows = [f"| {ours} | {percent(float(np.mean(tests[ours])))} | | | | |"]
    for c in compare(frame, baseline=ours):
        low, high = (None if v is None else -v for v in (c.high, c.low))
        rows.append(
            f"| {c.variant} | {percent(c.mean)} | {points(-c.difference)} | {interval(low, high)} "
            f"| {p(c.p_holm)} | {c.n} |"
        )
    head = (
        f"| method | test % | {ours} less it | 95 % interval | p (Holm) | n |\n"
        "|---|--:|--:|--:|--:|--:|"
    )
    return _table(f"{task}: {ours} and its rivals", head, rows)


def gap_table(tests_of: Mapping[str, Confirmed], of: Round) -> str:
    rows = []
    for task, tests in tests_of.items():
        gaps = [np.array(tests[ORACLE]) - np.array(tests[m]) for m in (of.before, of.ours)]
        share = 1 - gaps[1].mean() / gaps[0].mean()
        equal = equivalence_test(gaps[1], MARGIN)
        said = [f"{points(gap.mean())} ({_range(gap)})" for gap in gaps]
        rows.append(
            f"| {task} | {percent(float(np.mean(tests[ORACLE])))} | {said[0]} | {said[1]} | "
            f"{100 * share:.0f} % | {p(equal)} |"
        )
    head = (
        f"| task | oracle % | gap of {of.before} | gap of {of.ours} | closed | "
        "p (TOST at 1.5 points) |\n|---|--:|--:|--:|--:|--:|"
    )
    return _table("The gap to the oracle at equal steps, each tuned", head, rows)


def probe_table(tuned_of: Mapping[str, Tuned]) -> str:
    """Compare what a probe's metrics say with validation accuracy, over all trials on the pool.

    Rank correlation over all and over the better half of them, and the points of validation
    accuracy that a method loses where it is tuned by the metric, in the mean over methods. The
    probes of the oracle and of the generator lie in other pools.
    """
    rows = []
    for task, tuned in tuned_of.items():
        of_pool = [found for method, found in tuned.items() if method not in (ORACLE, GENERATOR)]
        cells = [_agreement(of_pool, metric) for metric in METRICS]
        rows.append(f"| {task} | {sum(map(len, of_pool))} | " + " | ".join(cells) + " |")
    head = "| task | trials | " + " | ".join(METRICS) + " |\n|---|--:|" + "--:|" * len(METRICS)
    title = "Rank correlation with validation accuracy, all / the better half; points lost"
    return _table(title, head, rows)


def _agreement(of_pool: Sequence[Sequence[Outcome]], metric: str) -> str:
    told, right = (
        np.array([[o.metrics.get(name, 0.0) for o in found] for found in of_pool])
        for name in (metric, "validation")
    )
    half = np.argsort(-right, axis=None, kind="stable")[: right.size // 2]
    all_, better = (
        rank_correlation(told.ravel()[of], right.ravel()[of]) for of in (slice(None), half)
    )
    chosen = np.take_along_axis(right, told.argmax(axis=1)[:, None], axis=1)[:, 0]
    return f"{all_:.2f} / {better:.2f}; {100 * (right.max(axis=1) - chosen).mean():.1f}"


def _frame(tests: Confirmed) -> pd.DataFrame:
    rows = [
        (name, i, "finished", v) for name, values in tests.items() for i, v in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=["variant", "block", "state", "value"])


def _range(gaps_N: np.ndarray) -> str:
    found = paired_interval(gaps_N, 0.95)
    return interval(found.low, found.high)


def _table(title: str, head: str, rows: Sequence[str]) -> str:
    return "\n".join([f"**{title}**", "", head, *rows, ""])
