"""A study from Python, as in a notebook, with its figures: `python examples/study_in_python.py`."""

from dataclasses import replace

from dfkd import Study, pools, recipes, run_study
from dfkd.method.selection import Balanced

usual = replace(recipes.digits(), pool=pools.Glyphs(rows=4000))
ratios = {f"{ratio:.0%}": ratio for ratio in (0.05, 0.1, 0.3)}
study = Study(
    question="How much of the pool should the student see?",
    variants={name: replace(usual, selection=Balanced(ratio=r)) for name, r in ratios.items()},
    baseline="10%",
    blocks=3,
)

if __name__ == "__main__":
    result = run_study(study, name="ratios")  # a second call computes nothing and is quick
    print(result.summary[["variant", "n", "mean"]])
    print(result.effects[["variant", "difference", "low", "high", "verdict"]])
    for name, figure in result.figures().items():
        figure.savefig(f"ratios-{name}.svg")
        print(f"ratios-{name}.svg")
    print(f"the page: {result.page}")
