"""benchmarks/gpu.py is ready for the day a GPU is there: in small it runs on a CPU as well."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


@pytest.mark.slow
def test_the_gpu_benchmark_measures_everything_in_small(tmp_path):
    out = tmp_path / "gpu.json"
    command = [sys.executable, SCRIPT, "--small", "--rounds", "1", "--device", "cpu", "--out", out]
    subprocess.run(command, check=True)
    found = json.loads(out.read_text(encoding="utf-8"))
    assert all(row["again"] and row["without graph"] for row in found["same bits"].values())
    for workload in ("ResNet-34 -> ResNet-18", "digits"):
        assert {row["run"] > 0 for row in found[workload].values()} == {True}
    assert min(found["scoring"].values()) > 0 and found["side by side"]["1"] > 0
