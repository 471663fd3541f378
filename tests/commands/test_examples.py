"""The gallery: each script runs as it stands, is short, and is named in the README."""

import subprocess
import sys
from pathlib import Path

import pytest
from commands import ROOT, environment

QUICK = {"own_results": "written to"}
LONG = {  # up to a minute each on two cores
    "own_folder": "safetensors",
    "own_loss": "cosine",
    "own_space": "winner",
    "study_in_python": "ratios-effects.svg",
}
SCRIPTS = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all: they share a teacher and a pool."""
    return tmp_path_factory.mktemp("storage")


@pytest.mark.parametrize(
    "name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in LONG)]
)
def test_an_example_runs_as_it_stands(name: str, storage: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / f"{name}.py"],
        cwd=tmp_path,
        env=environment(DFKD_STORAGE=str(storage)),
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert (QUICK | LONG)[name] in done.stdout, done.stdout[-2000:]


def test_the_gallery_is_short_and_linked() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert sorted(QUICK | LONG) == SCRIPTS
    for name in SCRIPTS:
        text = (ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 40 and f"(examples/{name}.py)" in readme
