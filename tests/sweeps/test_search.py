"""The search without workers: what it asks for after an interruption, and what halving decides."""

import os
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from ray.tune.search.optuna import OptunaSearch
from written_spaces import FOLDER, drawn, ended, journal_of, search_of, trial_context, view_of

from dfkd.experiment import Cell
from dfkd.storage import FolderStorage
from dfkd.storage.ledger import Ledger
from dfkd.sweeps.context import TrialContext
from dfkd.sweeps.halving import BatchedHalving
from dfkd.sweeps.journal import Journal
from dfkd.sweeps.options import SearchOptions
from dfkd.sweeps.search import SweepSearch
from dfkd.sweeps.sweep import PROBES, Sweep
from dfkd.sweeps.trial import Trial
from dfkd.sweeps.trials import failed, trial_in
from dfkd.training.jobs import RunContext
from dfkd.training.measures import SOFT
from search_spaces import digits


@pytest.fixture
def context(tmp_path: Path) -> TrialContext:
    return trial_context("search_spaces.digits", FolderStorage(tmp_path))


def test_optunas_view_says_what_is_searched_and_where_the_rest_is(context: TrialContext) -> None:
    storage, view = context.compute.storage, view_of(context)
    SweepSearch(context, journal_of(context), view, SearchOptions(trials=6), run_id="r1")
    [study] = optuna.get_all_study_summaries(JournalStorage(JournalFileBackend(str(view))))
    facts = {"space": "search_spaces.digits", "storage": str(storage), "mlflow_run_id": "r1"}
    assert study.user_attrs == facts
    loaded = optuna.load_study(
        study_name=study.study_name, storage=JournalStorage(JournalFileBackend(str(view)))
    )
    assert loaded.metric_names == ["probe"]


def test_the_default_is_asked_for_first(context: TrialContext) -> None:
    params = drawn(search_of(context), "a")
    assert (
        params is not None
        and context.experiment(params).fingerprint() == digits.default.fingerprint()
    )


def test_after_an_interruption_ended_trials_are_known_and_open_ones_come_first(
    context: TrialContext,
) -> None:
    first = search_of(context)
    params = {name: drawn(first, name) for name in "abc"}
    first.on_trial_complete("a", ended(0.5))
    # stopped by the scheduler
    first.on_trial_complete("c", ended(0.2, evaluation=2, state="running"))
    again = search_of(context)  # b was running when the process was killed
    assert drawn(again, "d") == params["b"]
    assert drawn(again, "e") not in params.values()
    assert [t.state.name for t in again._ot_study.trials] == [
        "COMPLETE",
        "RUNNING",
        "PRUNED",
        "RUNNING",
    ]
    states = {record.number: record.state for record in journal_of(context).read()}
    assert states == {0: "finished", 1: "running", 2: "pruned", 3: "running"}


def test_an_errored_trial_is_a_record_and_is_tried_again_by_the_next_call(
    context: TrialContext,
) -> None:
    first = search_of(context)
    params = drawn(first, "a")
    first.on_trial_complete("a", None, error=True)
    (record,) = journal_of(context).read()
    assert record.state == "errored" and not record.ended
    assert drawn(search_of(context), "b") == params


def asked(context: TrialContext, order: random.Random) -> list[dict[str, Any]]:
    """Two batches of three whose trials end in any order, each with a value of its own."""
    batched = search_of(context, batch=3)
    result = []
    for batch in range(2):
        names = [f"{batch}{i}" for i in range(3)]
        result += [drawn(batched, name) for name in names]
        assert drawn(batched, "one too many") is None
        for name in order.sample(names, 3):
            batched.on_trial_complete(name, ended(0.1 * int(name[1]) + 0.3 * batch))
    return result


def test_in_batches_the_order_in_which_trials_end_changes_nothing(context: TrialContext) -> None:
    orders = [asked(context, random.Random(seed)) for seed in range(4)]
    assert all(order == orders[0] for order in orders)


def decisions(values: list[float], order: list[int]) -> dict[int, str]:
    """What halving says of trials in batches of four at the first rung.

    Inside a batch they report in any order.
    """
    halving = BatchedHalving(rungs=(2,), batch=4)
    trials = [SimpleNamespace(trial_id=str(number)) for number in range(len(values))]
    for trial in trials:
        halving.on_trial_add(None, trial)
    return {
        n: halving.on_trial_result(None, trials[n], {"training_iteration": 2, "probe": values[n]})
        for n in order
    }


def test_halving_compares_with_earlier_batches_only() -> None:
    values = [0.1, 0.9, 0.5, 0.7, 0.69, 0.71, 0.2, 0.95]
    said = decisions(values, [0, 1, 2, 3, 4, 5, 6, 7])
    assert [said[n] for n in range(4)] == ["CONTINUE"] * 4
    # the better half starts at 0.7
    assert [said[n] for n in range(4, 8)] == ["STOP", "CONTINUE", "STOP", "CONTINUE"]
    assert decisions(values, [3, 1, 0, 2, 7, 6, 5, 4]) == said


def test_a_space_that_varies_the_teacher_is_refused(context: TrialContext) -> None:
    other = RunContext(
        environment=context.run_context.environment, digests={"another source": ("t", "p")}
    )
    with pytest.raises(ValueError, match="may not vary"):
        other.job(Cell(experiment=digits.default, block=context.block), read_test=False)


def test_records_survive_the_disk(context: TrialContext) -> None:
    trial = Trial(
        number=3, params={"x": 0.1, "y": 2}, cell="key-env", state="pruned", step=66, value=0.25
    )
    journal_of(context).write(trial)
    assert journal_of(context).read() == [trial]


def test_optuna_search_still_has_the_private_member_that_we_use(context: TrialContext) -> None:
    """Ray offers no public way to tell its OptunaSearch of trials that were computed before."""
    theirs = OptunaSearch(space=lambda trial: None, metric="probe", mode="max")
    assert "_ot_study" in vars(theirs)
    assert isinstance(search_of(context)._ot_study, optuna.Study)


def test_a_trial_whose_cell_another_command_computes_says_so(context: TrialContext) -> None:
    """Once: a trial of this search on the same cell is no other command."""
    said: list[str] = []
    drawn(search_of(context), "x")
    [first] = journal_of(context).read()
    cell = first.cell
    lease = Ledger(context.compute.storage).lease(cell)
    assert lease.acquire()
    journal_of(context).clear()
    asked = search_of(context)
    asked.say = said.append
    for trial in ("a", "b"):
        drawn(asked, trial)
    [line] = said
    assert line.startswith(f"trial 0 waits for the cell {cell}: process {os.getpid()} on host ")
    lease.release()


def failure() -> dict[str, Any]:
    return failed("my_loss.py:9 in forward: KeyError: 'x'", "the whole traceback")


def test_a_trial_whose_code_fails_is_said_in_a_line_kept_with_its_log_and_not_asked_again(
    context: TrialContext,
) -> None:
    said: list[str] = []
    made = search_of(context)
    made.say = said.append
    for name in "ab":
        drawn(made, name)
    made.on_trial_complete("a", ended(0.5))
    made.on_trial_complete("b", failure())
    [_, trial] = journal_of(context).read()
    assert (trial.state, trial.value) == ("errored", None)
    assert Ledger(context.compute.storage).error(trial.cell) == "the whole traceback\n"
    [line] = said
    assert line.startswith(
        "trial 1 failed: my_loss.py:9 in forward: KeyError: 'x'; the whole log is"
    )
    assert made._ot_study.trials[-1].state.name == "FAIL"
    assert made.stopped is None and drawn(made, "c") is not None


def test_where_the_defaults_code_fails_no_more_trials_are_asked_for(context: TrialContext) -> None:
    made = search_of(context)
    drawn(made, "a")
    made.on_trial_complete("a", failure())
    assert str(made.stopped).startswith(
        "the default could not be computed, so the search stops: my_loss"
    )
    assert made.suggest("b") == SweepSearch.FINISHED


class FullDisk(Journal):
    """A journal on a disk that is full from some record on."""

    left = 2

    def write(self, trial: Trial) -> None:
        if not self.left:
            raise OSError(28, "No space left on device")
        self.left -= 1
        super().write(trial)


def test_a_full_disk_ends_the_search_with_its_own_error(context: TrialContext) -> None:
    """Tune would log what a search raises, go on, and end with an error of its own."""
    made = search_of(context)
    made.journal = FullDisk(context.compute.storage, FOLDER)
    assert made.suggest("a") is not None and made.suggest("b") is not None
    made.on_trial_complete("a", ended(0.9))
    assert isinstance(made.stopped, OSError) and made.stopped.errno == 28
    made.on_trial_complete("b", ended(0.8))
    assert made.suggest("c") == SweepSearch.FINISHED


# ---- what trials are judged by


def test_trials_are_judged_by_soft_agreement_where_that_is_asked_for(context: TrialContext) -> None:
    search = search_of(context, measure=SOFT)
    config = search.suggest("a")
    assert config is not None and trial_in(config).measure == SOFT
    search.on_trial_complete("a", ended(0.3) | {"point/probe": 0.8, "point/probe.soft": 0.3})
    [trial] = journal_of(context).read()
    assert (trial.value, trial.measure) == (0.3, SOFT)
    again = search_of(context, measure=SOFT)  # Optuna is told the same by the journal
    assert [told.values for told in again._ot_study.trials if told.values] == [[0.3]]


def test_another_probe_is_another_sweep_and_the_usual_one_keeps_its_name() -> None:
    usual, soft = (Sweep(space="search_spaces.digits", probe=name) for name in PROBES)
    assert usual.name() == Sweep(space="search_spaces.digits").name() != soft.name()
    assert "--probe soft" in soft.command() and "--probe" not in usual.command()
    with pytest.raises(ValueError, match="there is no probe 'sof': did you mean soft"):
        Sweep(space="search_spaces.digits", probe="sof")
