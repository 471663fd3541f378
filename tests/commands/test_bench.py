"""`make bench` in small: every workload runs, its sides do the same work, and results compare."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.measuring.figures import Check, Figure, Found
from benchmarks.measuring.report import Record, Results, change, table

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "run.py"
WORKLOADS = sorted(path.stem for path in (SCRIPT.parent / "side_by_side").glob("[a-z]*.py"))


def record(*figures: Figure, holds: bool = True) -> Record:
    check = Check(claim="same steps", holds=holds, seen="{12}")
    return Record.of(Found(figures=figures, checks=[check]), {"cores": 2}, 3.0)


def test_a_figure_is_said_to_be_slower_or_faster_whichever_way_it_counts():
    time, rate = (
        Figure(name="x", unit=unit, values=[1.0, 2.0, 9.0], more_is_better=more)
        for unit, more in (("s", False), ("images/s", True))
    )
    twice = {f.more_is_better: Figure(**(vars(f) | {"values": [4.0]})) for f in (time, rate)}
    assert change(twice[False], time) == "slower by 100%"
    assert change(twice[True], rate) == "faster by 100%"
    assert change(time, time) == "as fast" and change(time, None) == ""


def test_results_are_read_as_they_were_written_and_compared_with_earlier_ones(tmp_path):
    figure = Figure(name="platform", unit="s", values=[1.0, 1.5, 1.25])
    slow = Figure(name="platform", unit="s", values=[2.5])
    before = Results({"cell": record(figure)})
    before.write(tmp_path / "new" / "machine.json")
    assert Results.read(tmp_path / "new" / "machine.json") == before
    assert Results.read(tmp_path / "none.json") == Results()
    text = table(Results({"cell": record(slow, holds=False)}), before, ["cell"])
    assert "| cell | platform | 2.5 s | 2.5 to 2.5 | 1 | slower by 100% |" in text
    assert "cell: NOT same steps ({12})" in text


def test_a_workload_that_is_not_there_is_one_line():
    command = [sys.executable, SCRIPT, "cells"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 2 and "there is no workload 'cells'" in ended.stderr


def test_the_quickest_workload_measures_every_command(tmp_path):
    out = tmp_path / "found.json"
    subprocess.run([sys.executable, SCRIPT, "startup", "--quick", "--out", out], check=True)
    found = json.loads(out.read_text(encoding="utf-8"))["startup"]
    assert {"import dfkd", "sweep --help"} <= {figure["name"] for figure in found["figures"]}


@pytest.mark.slow
@pytest.mark.parametrize("workload", WORKLOADS)
def test_each_workload_runs_and_its_sides_do_the_same_work(workload, tmp_path):
    out = tmp_path / "found.json"
    command = [sys.executable, SCRIPT, workload, "--quick", "--out", out]
    subprocess.run(command, check=True)  # 1 where sides differ
    assert json.loads(out.read_text(encoding="utf-8"))[workload]["figures"]
