"""Sweeps whose cells were never computed.

A folder and a ledger as `run_sweep` leaves them, made in a second.
"""

import json
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from synthetic import ENVIRONMENT

from dfkd.storage import FolderStorage
from dfkd.storage.ledger import Ledger
from dfkd.storage.outcome import Outcome

SPACE = {
    "selection.ratio": optuna.distributions.FloatDistribution(0.02, 0.5, log=True),
    "dropping.rate": optuna.distributions.FloatDistribution(0.0, 0.8, step=0.1),
    "implicit": optuna.distributions.CategoricalDistribution(["none", "similarity", "rkd"]),
}
DEFAULT = {"selection.ratio": 0.1, "dropping.rate": 0.3, "implicit": "similarity"}
STEPS = (50, 100, 150, 200)


def write_sweep(
    storage: Path, name: str = "digits-174ed102", trials: int = 24, *, confirmed: bool = True
) -> None:
    """The probe depends on the ratio alone.

    Two thirds of the trials are pruned after 100 steps, one diverges.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder = storage / "sweeps" / name
    (folder / "trials").mkdir(parents=True)
    rng = np.random.default_rng(5)
    view = JournalStorage(JournalFileBackend(str(folder / "optuna.log")))
    study = optuna.create_study(storage=view, study_name=name, direction="maximize")
    records = [_trial(storage, study, number, rng) for number in range(trials)]
    for record in records:
        (folder / "trials" / f"{record['number']:05d}.json").write_text(json.dumps(record))
    if confirmed:
        result = _result(name, records, rng)
        (folder / f"result-{trials}-10.json").write_text(json.dumps(result))


def _trial(storage: Path, study: optuna.Study, number: int, rng: np.random.Generator) -> dict:
    ratio = float(np.exp(rng.uniform(math.log(0.02), math.log(0.5))))
    params = {
        "selection.ratio": ratio,
        "dropping.rate": round(float(rng.integers(0, 9)) / 10, 1),
        "implicit": ["none", "similarity", "rkd"][int(rng.integers(3))],
    }
    params = DEFAULT if number == 0 else params
    top = 0.9 - 0.1 * abs(math.log(params["selection.ratio"] / 0.06))
    state = "diverged" if number == 5 else "finished" if number % 3 == 0 else "pruned"
    steps = {"diverged": STEPS[:1], "pruned": STEPS[:2], "finished": STEPS}[state]
    points = {
        s: 0.1 if state == "diverged" else top * (0.5 + s / 400) + float(rng.normal(0, 0.004))
        for s in steps
    }
    cell, value = f"{number:020x}-{ENVIRONMENT}", points[steps[-1]]
    study.add_trial(
        optuna.trial.create_trial(
            state=optuna.trial.TrialState.PRUNED
            if state == "pruned"
            else optuna.trial.TrialState.COMPLETE,
            value=value,
            params=params,
            distributions=SPACE,
            intermediate_values=points,
            user_attrs={"number": number, "cell": cell, "state": state},
        )
    )
    curve = [
        {"step": float(s), "probe": p, "validation": min(1.0, p + 0.05)} for s, p in points.items()
    ]
    Ledger(FolderStorage(storage)).write(
        Outcome(
            cell=cell,
            state=state,
            step=steps[-1],
            metrics=curve[-1],
            params=params,
            block={"seed": 1000},
            tags={},
            environment=asdict(ENVIRONMENT),
            seconds=2.0,
            points=curve,
        ),
        None,
    )
    return {
        "number": number,
        "params": params,
        "cell": cell,
        "state": state,
        "step": steps[-1],
        "value": value,
    }


def _result(name: str, records: list[dict], rng: np.random.Generator) -> dict:
    best = max((r for r in records if r["state"] == "finished"), key=lambda r: r["value"])
    default_test = [round(0.95 + float(x), 4) for x in rng.normal(0, 0.01, 10)]
    winner_test = [
        round(v + 0.006 + float(x), 4)
        for v, x in zip(default_test, rng.normal(0, 0.004, 10), strict=True)
    ]
    changes = {n: v for n, v in best["params"].items() if v != DEFAULT[n]}
    run_context = {
        "environment": asdict(ENVIRONMENT),
        "digests": {"s": ["teacher0", "pool0"]},
        "tags": {"git_commit": "abc1234"},
    }
    return {
        "setting": run_context,
        "result": {
            "name": name,
            "trials": records,
            "correlation": 0.9,
            "best": [],
            "winner": changes,
            "winner_test": winner_test,
            "default_test": default_test,
            "seconds": 12.0,
        },
    }
