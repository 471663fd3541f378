"""Search spaces: one module each, with a function `space(trial) -> Experiment`."""
