"""The body of a user's own loss is edited between two calls: nothing is reused without a word."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess, run
from typing import Any

import pytest
from commands import PROJECTS

CHANGED = "error: my_loss.Mean has changed since: raise its version, or --accept-changed-code"
BODY = "teacher.features_BD.mean()) ** 2"


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory, run_command: Callable[..., Any]) -> Path:
    """A project with an own loss and a finished cell of it."""
    project = tmp_path_factory.mktemp("own") / "project"
    project.mkdir()
    shutil.copy(PROJECTS / "own_loss.py", project / "my_loss.py")
    shutil.copy(PROJECTS / "tiny_space.py", project)
    done = run_command("distill", "my_loss", folder=project)
    assert done.returncode == 0, done.stderr
    return project


@pytest.fixture
def project(begun: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(begun, tmp_path / "project"))


@pytest.fixture
def distill(project: Path, run_command: Callable[..., Any]) -> Callable[..., CompletedProcess[str]]:
    return lambda *options: run_command("distill", "my_loss", *options, folder=project)


def edit(project: Path, old: str, new: str) -> None:
    path = project / "my_loss.py"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def records(project: Path) -> dict[str, int]:
    found = project.glob("runs/cells/*/record.json")
    return {path.parent.name: path.stat().st_mtime_ns for path in found}


def test_an_edited_body_is_one_line_and_nothing_is_spent(project: Path, distill) -> None:
    before = records(project)
    edit(project, BODY, BODY.replace("2", "4"))
    for options in ((), ("--seed", "1"), ("--workers", "2"), ("--test",)):
        refused = distill(*options)
        assert refused.returncode == 2
        assert refused.stderr.splitlines() == [CHANGED] and refused.stdout == ""
    assert records(project) == before


@pytest.mark.slow
def test_a_comment_is_no_change(project: Path, distill) -> None:
    before = records(project)
    edit(project, BODY, f"{BODY}  # squared")
    edit(project, '"""Mean features that agree."""', '"""The same, said better."""')
    done = distill()
    assert done.returncode == 0 and "changed" not in done.stderr + done.stdout
    assert records(project) == before


@pytest.mark.slow
def test_an_accepted_change_is_reused_and_said(project: Path, distill) -> None:
    before = records(project)
    edit(project, BODY, BODY.replace("2", "4"))
    done = distill("--accept-changed-code")
    assert done.returncode == 0, done.stderr
    [said] = [line for line in done.stdout.splitlines() if "accept-changed-code" in line]
    assert "my_loss.Mean" in said
    assert records(project) == before


def test_a_raised_version_is_computed_anew(project: Path, distill) -> None:
    before = records(project)
    edit(project, BODY, BODY.replace("2", "4"))
    edit(project, "version: ClassVar[int] = 1", "version: ClassVar[int] = 2")
    done = distill()
    assert done.returncode == 0, done.stderr
    assert before.items() < records(project).items() and len(records(project)) == 2


@pytest.mark.slow
def test_another_experiment_with_the_changed_class_is_none_of_them(project: Path, distill) -> None:
    edit(project, BODY, BODY.replace("2", "4"))
    done = distill("--set", "explicit.weight=1.5")
    assert done.returncode == 0, done.stderr
    assert len(records(project)) == 2


def test_the_commit_of_the_users_project_is_recorded(project: Path, distill) -> None:
    assert "project_commit" not in tags(project)
    shutil.rmtree(project / "runs" / "cells")
    git(project, "init", "-q")
    git(project, "add", "my_loss.py", "tiny_space.py")
    who = ("-c", "user.name=A User", "-c", "user.email=user@example.org")
    git(project, *who, "commit", "-q", "-m", "my loss")
    commit = git(project, "rev-parse", "HEAD")
    assert distill().returncode == 0
    assert tags(project)["project_commit"] == commit != tags(project)["git_commit"]

    edit(project, '"""Mean features that agree."""', '"""The same, said better."""')
    assert distill("--seed", "1").returncode == 0
    commits = {t["project_commit"] for t in all_tags(project)}
    assert commits == {commit, f"{commit}+changes"}


def git(project: Path, *arguments: str) -> str:
    command = ["git", "-C", str(project), *arguments]
    return run(command, check=True, capture_output=True, text=True).stdout.strip()


def all_tags(project: Path) -> list[dict[str, str]]:
    found = sorted(project.glob("runs/cells/*/record.json"))
    return [json.loads(path.read_text())["tags"] for path in found]


def tags(project: Path) -> dict[str, str]:
    [found] = all_tags(project)
    return found


def test_an_incomplete_loss_is_one_line_and_nothing_is_written(project: Path, distill) -> None:
    shutil.rmtree(project / "runs")
    edit(project, "    ramp: float = 0.0\n", "")
    refused = distill()
    assert refused.returncode == 2 and not (project / "runs").exists()
    [line] = refused.stderr.splitlines()
    assert line.startswith("error: my_loss.Mean has no `ramp`: write `ramp: float` in the class")
