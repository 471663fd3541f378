"""--json: stdout holds one document of our schema, whatever a command does; --quiet: nothing."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from commands import PROJECTS
from jsonschema import Draft202012Validator
from searches import write_sweep
from synthetic import STUDY, jobs_of, outcome, write_cell, write_study

from dfkd.cleaning.terminal import clean
from dfkd.execution.compute import Compute
from dfkd.reporting.console import Console
from dfkd.reporting.document import Document, as_json, schema
from dfkd.runs.terminal import print_outcome
from dfkd.storage import FolderStorage
from dfkd.sweeps import record as sweeps
from dfkd.sweeps.terminal import print_result

Run = Callable[..., subprocess.CompletedProcess[str]]


def valid(text: str, command: str) -> dict[str, Any]:
    """Return the one document that a text is, which has to fit the schema."""
    document: dict[str, Any] = json.loads(text)
    Draft202012Validator(schema()).validate(document)
    assert document["command"] == command
    return document


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a storage that holds a study and a sweep, none of them ever computed."""
    folder = tmp_path_factory.mktemp("project")
    for file in PROJECTS.glob("*.py"):
        shutil.copy(file, folder)
    write_study(folder / "runs", "components", STUDY, {"without selection": -0.08})
    write_sweep(folder / "runs")
    return folder


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(schema())


COMMANDS = {
    "compare all": ("compare", ("--no-log",), "sweeps"),
    "list": ("show", (), "listing"),
    "plan of a removal": ("clean", ("--study", "components"), "unused"),
    "clean": ("clean", ("--older-than", "0"), "unused"),
    "plan of a study": ("ablate", ("tiny_study", "--dry-run"), "forecast"),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_each_document_fits_the_schema(case: str, project: Path, run_command: Run) -> None:
    command, arguments, kind = COMMANDS[case]
    done = run_command(command, *arguments, "--storage", "runs", "--json", folder=project)
    assert done.returncode == 0, done.stderr
    document = valid(done.stdout, command)
    assert kind in document["result"] and document["storage"] == str(project / "runs")
    assert all(Path(path).exists() for path in document["written"])


def test_a_cell_and_the_list_of_studies(project: Path, run_command: Run) -> None:
    cell = jobs_of(STUDY)["full", 0].name
    done = run_command("show", cell, "--storage", "runs", "--json", folder=project)
    [shown] = valid(done.stdout, "show")["result"]["cells"]
    assert shown["cell"] == cell and shown["metrics"]["test"] > 0.8
    listed = valid(run_command("ablate", "--json", folder=project).stdout, "ablate")["result"]
    assert {"ablations.components"} < {module["name"] for module in listed["modules"]}


def test_numbers_are_those_of_the_report(project: Path, run_command: Run) -> None:
    done = run_command(
        "compare", "components", "--storage", "runs", "--json", "--no-log", folder=project
    )
    document = valid(done.stdout, "compare")
    [study] = document["result"]["studies"]
    table = pd.read_csv(project / "runs/studies/components/report/comparisons.csv")
    for row in study["comparisons"]:
        [line] = table[table["variant"] == row["variant"]].to_dict("records")
        assert row["difference"] == pytest.approx(line["difference"], abs=1e-15)
        assert row["p_holm"] == pytest.approx(line["p_holm"])
    assert str(project / "runs/studies/components/report/index.html") in document["written"]


ERRORS = {
    "unknown study": (("ablate", "ablations.component"), "did you mean ablations.components?"),
    "unknown option": (("sweep", "--trial-count", "3"), "unrecognized arguments: --trial-count"),
    "no number": (("sweep", "--trials", "many"), "argument --trials: invalid int value: 'many'"),
    "no cell": (("show", "ffff", "--storage", "runs"), "there is no cell 'ffff'"),
    "missing argument": (("export",), "the following arguments are required: cell"),
    "no storage": (("clean", "--storage", "nowhere"), "there is no storage folder"),
}


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=[pytest.mark.slow] if i > 1 else [])
        for i, case in enumerate(ERRORS)
    ],
)
def test_an_error_is_a_document_too(case: str, project: Path, run_command: Run) -> None:
    (command, *arguments), expected = ERRORS[case]
    done = run_command(command, *arguments, "--json", folder=project)
    document = valid(done.stdout, command)
    assert done.returncode == document["error"]["code"] == 2
    assert expected in document["error"]["message"] and document["status"] == "failed"
    assert document["error"]["message"] in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [("ablate",), ("clean", "--storage", "runs"), ("show", "CELL", "--storage", "runs")],
)
def test_quiet_prints_nothing(arguments: tuple[str, ...], project: Path, run_command: Run) -> None:
    cell = jobs_of(STUDY)["full", 0].name
    given = [cell if argument == "CELL" else argument for argument in arguments]
    done = run_command(*given, "--quiet", folder=project)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_quiet_keeps_notes_and_errors(
    capsys: pytest.CaptureFixture[str], run_command: Run, project: Path
) -> None:
    console = Console(quiet=True, notes=True)
    console.line("a line")
    console.warn("mind [this]")
    assert capsys.readouterr() == ("", "note: mind [this]\n")
    assert console.document.notes == ["mind [this]"]
    done = run_command("show", "ffff", "--storage", "runs", "--quiet", folder=project)
    assert done.returncode == 2 and done.stderr.startswith("error: ") and done.stdout == ""


def test_what_is_printed_of_a_sweep_and_a_cell_fits_as_well(project: Path) -> None:
    storage = FolderStorage(project / "runs")
    compute, console = Compute(storage=storage), Console(quiet=True)
    print_result(sweeps.read(storage, "digits-174ed102"), compute, console)
    print_outcome(write_cell(storage.root, jobs_of(STUDY)["full", 0], 0.9), [], compute, console)
    clean(storage, 0.0, False, False, console)
    document = valid(console.document.text("sweep"), "sweep")
    assert {"sweeps", "cells", "unused"} <= document["result"].keys()
    trials = document["result"]["sweeps"][0]["trials"]
    assert len(trials) == 24 and {trial["state"] for trial in trials} <= {
        "finished",
        "pruned",
        "diverged",
    }


def test_values_are_as_json_has_them() -> None:
    value = {
        "a": np.float64("nan"),
        "b": np.arange(2),
        "c": Path("x"),
        1: (True, None, np.int64(3)),
    }
    assert as_json(value) == {"a": None, "b": [0, 1], "c": "x", "1": [True, None, 3]}
    text = Document(notes=["日本 \udcc3"]).text("show")
    assert text.isascii() and json.loads(text)["notes"] == ["日本 \udcc3"]
    assert as_json(outcome(jobs_of(STUDY)["full", 0], 0.5))["state"] == "finished"


@pytest.mark.slow
def test_commands_that_compute_fit_the_schema(tmp_path: Path, run_command: Run) -> None:
    for file in PROJECTS.glob("*.py"):
        shutil.copy(file, tmp_path)
    shutil.copy(PROJECTS / "tiny_space.py", tmp_path / "tiny_recipe.py")
    (tmp_path / "tiny_recipe.py").open("a").write("\nexperiment = default\n")
    recipe = ("tiny_recipe", "--storage", "runs", "--json")
    for command in ("teach", "score", "inspect"):
        done = run_command(command, *recipe, folder=tmp_path)
        valid(done.stdout, command)
    [cell] = valid(run_command("distill", *recipe, folder=tmp_path).stdout, "distill")["result"][
        "cells"
    ]
    arguments = ("tiny_space", "--trials", "3", "--blocks", "2", "--storage", "runs", "--json")
    [sweep] = valid(run_command("sweep", *arguments, folder=tmp_path).stdout, "sweep")["result"][
        "sweeps"
    ]
    assert len(sweep["trials"]) == 3
    done = run_command("ablate", "tiny_study", "--storage", "runs", "--json", folder=tmp_path)
    call = valid(done.stdout, "ablate")["result"]["call"]
    assert (call["computed"], call["elsewhere"]) == (3, 0)  # distill has computed one
    done = run_command("export", cell["cell"], "--storage", "runs", "--json", folder=tmp_path)
    assert len(valid(done.stdout, "export")["result"]["export"]["formats"]) == 3
