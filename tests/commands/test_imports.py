"""What a process imports: each second of it is paid by every command and every worker."""

import subprocess
import sys

import pytest

REPORTS = {"matplotlib", "mlflow", "scipy.stats", "statsmodels"}
COMPILER = {"torch._dynamo"}  # PyTorch's own optimizer classes import it
STEP = """
import torch
from dfkd.models.optimizing import Optimizer, Rate
weight = torch.nn.Parameter(torch.ones(3))
weight.sum().backward()
Optimizer([weight], "adamw", [Rate(0.1)], 0.0).step()
assert float(weight[0]) < 1
"""


@pytest.mark.parametrize(
    ("code", "without"),
    [
        ("import dfkd.runs.one_cell", {*REPORTS, *COMPILER, "pandas", "ray", "optuna"}),
        (f"import dfkd.sweeps.trials\n{STEP}", {*REPORTS, *COMPILER}),  # Tune imports pandas
    ],
)
def test_a_process_that_trains_imports_nothing_for_reports(code: str, without: set[str]) -> None:
    look = f"import sys; print(sorted({without} & sys.modules.keys()))"
    told = subprocess.run(
        [sys.executable, "-c", f"{code}\n{look}"], check=True, capture_output=True, text=True
    )
    assert told.stdout.strip() == "[]"
