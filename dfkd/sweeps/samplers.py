"""Optuna's samplers by name."""

import warnings

import optuna

STARTUP = 8  # trials that are drawn at random before the sampler models anything


def sampler_of(name: str, seed: int) -> optuna.samplers.BaseSampler:
    """Return Optuna's sampler of this name, one of SAMPLERS."""
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    if name == "gp":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.samplers.GPSampler(seed=seed, n_startup_trials=STARTUP)
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP)
