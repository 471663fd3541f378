"""What is said of a sweep: the result in a sentence, facts, and what each figure shows."""

from dfkd.reporting.numbers import interval, points
from dfkd.storage import layout
from dfkd.sweeps.findings import SweepData, short, verdict
from dfkd.sweeps.trial import cost, front

FRONT = "Trials that none beats in both probe and"  # and what they cost
TITLES = {
    "confirmation": "Winner against default, on fresh blocks",
    "history": "History of the search",
    "trade_off": "What a higher probe costs",
    "importance": "Importance of the parameters",
    "slices": "Slices",
    "parallel": "Parallel coordinates",
    "trust": "What the probe is worth",
    "curves": "The probe over the steps",
}
MARKS = (
    "Filled: finished; hollow: stopped by the search, at the probe it had then; cross: diverged."
)
READING = {
    "confirmation": "Left: test accuracy in each block, of both; right: the mean paired "
    "difference with its 95 % t-interval. Nothing was chosen on these blocks, so the winner's luck "
    "in the search is not in them.",
    "history": MARKS,
    "trade_off": "The line joins the trials that none beats in both: each further one costs more "
    "and agrees more with the teacher. No trial was stopped early.",
    "importance": "fANOVA by Optuna, on the probe of trials at the same step. It says what "
    "moved the probe within this space and these trials, not what helps.",
    "slices": MARKS
    + " The search asks more often where it was good: dense parts are no evidence by themselves.",
    "parallel": "A line a trial, each parameter on its own axis; grey: stopped early or diverged.",
    "trust": "The search saw the probe only; validation labels are looked at here, after the fact.",
    "curves": "Blue: finished; grey: stopped or diverged; black: the winner, or the default "
    "where it won.",
}
HOW_TO_READ = (
    "Search, choice and confirmation: the search ranks trials by the probe on one block; the best "
    "three are run again on fresh blocks, because the best of many carries the luck of its block; "
    "what is best there is compared with the default on blocks of its own. Only these read the "
    "test set.",
    f"{layout.OPTUNA_LOG} beside this report opens in optuna-dashboard, with Optuna's own plots of "
    "the same trials.",
    "A trial's cell can be looked at and computed again by its name: python -m platform.show CELL.",
)


def said(data: SweepData) -> tuple[str, str]:
    """Return a title, and the result in a sentence."""
    title = f"Which settings of {', '.join(data.scales) or 'the recipe'}?"
    if data.confirmation is None:
        return title, f"The search is under way: {data.states()}; nothing is confirmed yet."
    *_, first = [
        line
        for line in verdict(data.confirmation)
        if not line.startswith(("winner:", "conditional"))
    ]
    return title, f"{first[0].upper()}{first[1:]}."


def facts(data: SweepData) -> list[str]:
    """Return what a reader has to know before the numbers, a line each."""
    lines = [f"{len(data.trials)} trials: {data.states()}"]
    if data.confirmation is not None:
        lines += [line for line in verdict(data.confirmation) if line.startswith("winner:")]
        lines.append("searched, chosen and confirmed on three sets of blocks that share nothing")
    lines.append(
        "the search saw the probe only: agreement with the teacher on pool rows that no selection "
        "may choose"
    )
    lines.append("conclusions are conditional on this teacher and this pool")
    lines += price(data)
    if said := data.rank_correlation():
        lines.append(f"rank correlation of probe and validation accuracy: {said}")
    if data.importance is None:
        lines.append(
            "too few trials reached one step, or their probe did not vary, to say what was "
            "important"
        )
    return [*data.note.lines(), *lines]


def price(data: SweepData) -> list[str]:
    """Return what the winner's student costs beside the default's; none where it is not known."""
    winner, default = data.winner(), data.default()
    if winner is None or default is None or not (winner.costs and default.costs):
        return []
    mine, others = cost(winner), cost(default)
    return [
        f"{data.cost_name}: winner {mine:,.0f}, default {others:,.0f}, {mine / others:.2f} times; "
        "of the candidates the cheapest within a standard error of the best was taken"
    ]


def conclusion(name: str, data: SweepData) -> str:
    """Return what the figure of this name says, from the numbers; "" where it says nothing."""
    if name == "confirmation" and data.confirmation is not None:
        found, n = data.confirmation.difference(), len(data.confirmation.winner_test)
        return f"{points(found.mean)} points ({interval(found.low, found.high)}), {n} blocks."
    if name == "history" and data.best_so_far():
        best = data.finished()[0]
        return (
            f"The best probe, {short(best.value)}, came with trial {best.number} of "
            f"{len(data.trials)}."
        )
    if name == "trade_off" and (line := front(data.trials)):
        share = cost(line[0]) / cost(line[-1])
        return (
            f"{short(line[0].value)} at {100 * share:.0f} % of the {data.cost_name} that "
            f"{short(line[-1].value)} takes."
        )
    if name == "importance" and data.importance is not None:
        largest, share = next(iter(data.importance.shares.items()))
        is_few = data.importance.trials < 5 * len(data.importance.shares)
        few = " Few trials: a hint at most." if is_few else ""
        others = [param for param in data.scales if param not in data.importance.shares]
        left = f" Not rated, as not all trials have it: {', '.join(others)}." if others else ""
        return f"{largest} explains most, {100 * share:.0f} %.{few}{left}"
    if name == "parallel" and any(data.scales.keys() - t.params.keys() for t in data.trials):
        return "A gap: the space did not ask that trial for the parameter."
    if name == "trust" and (said := data.rank_correlation()):
        return f"Rank correlation {said}."
    return ""
