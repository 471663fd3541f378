"""A space with a choice of rule and a condition, searched: `python examples/own_space.py`.

Only the balanced rule has a ratio; `choose` offers pieces by names, which tables and MLflow show.
"""

from dataclasses import replace

from dfkd import Sweep, choose, pools, recipes, run_sweep
from dfkd.method.losses import RKD, Similarity
from dfkd.method.selection import Balanced, Random

default = replace(recipes.digits(), pool=pools.Glyphs(rows=4000))


def space(trial):
    if trial.suggest_categorical("rule", ["balanced", "random"]) == "balanced":
        rule = Balanced(ratio=trial.suggest_float("ratio", 0.05, 0.5))
    else:
        rule = Random(rows=400)
    losses = {"rkd": RKD(weight=1.0), "similarity": Similarity(weight=1.0), "none": None}
    return replace(default, selection=rule, implicit=choose(trial, "implicit", losses))


if __name__ == "__main__":
    sweep = Sweep(space="own_space", trials=8, choice_blocks=1, confirmation_blocks=3)
    result = run_sweep(sweep)
    print(result.trials[["trial", "state", "probe", "rule", "ratio", "implicit"]])
