"""Search spaces that a test writes: the head of their module, before the body of its function."""

HEAD = """
from dataclasses import replace
import optuna
from dfkd import choose
from dfkd.experiment.recipes import digits
from dfkd.method.losses import RKD, Similarity
from dfkd.method.selection import Balanced, Random
default = digits()  # Balanced(ratio=0.1), a batch of 64
def with_batch(batch):
    return replace(default, schedule=replace(default.schedule, batch=batch))
def with_ratio(ratio):
    return replace(default, selection=Balanced(ratio=ratio))
def space(trial):
"""
