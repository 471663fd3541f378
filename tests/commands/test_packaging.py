"""Installed, the commands work from any directory, and a checkout in the working directory wins."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = [
    name for name in ("platform", "dfkd", "search_spaces", "ablations") if (ROOT / name).is_dir()
]
COMMANDS = sorted(
    path.stem for path in (ROOT / "platform").glob("*.py") if not path.stem.startswith("_")
)
WHEREABOUTS = """
import pathlib, dfkd, platform
assert platform.system() and platform.uname()
print(*(pathlib.Path(file).parent.parent for file in (__file__, dfkd.__file__)))
"""


class Place(NamedTuple):
    """A Python with the project installed, where that is, and a checkout unknown to it."""

    python: Path
    packages: Path
    checkout: Path
    elsewhere: Path


def run(*command: str | Path, folder: Path) -> str:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
    }
    result = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def build_wheel(folder: Path) -> Path:
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    run(sys.executable, "-m", "pip", "wheel", "-q", *options, "-w", folder, ROOT, folder=folder)
    return next(folder.glob("*.whl"))


def make_place(folder: Path) -> Place:
    """Make an environment with this one's libraries, without its copy of the project or hook."""
    venv.create(folder / "venv")
    place = Place(
        python=folder / "venv/bin/python",
        packages=Path(sysconfig.get_path("purelib", vars={"base": str(folder / "venv")})),
        checkout=folder / "checkout",
        elsewhere=folder / "elsewhere",
    )
    libraries = [path for path in sys.path if Path(path).name == "site-packages"]
    (place.packages / "zz_libraries.pth").write_text("\n".join(libraries))
    place.elsewhere.mkdir()
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, place.checkout / package, ignore=ignored)
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, place.checkout)
    (place.checkout / "platform/whereabouts.py").write_text(WHEREABOUTS)
    return place


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = make_place(tmp_path_factory.mktemp("installed"))
    zipfile.ZipFile(wheel).extractall(place.packages)
    (place.packages / "platform/whereabouts.py").write_text(WHEREABOUTS)
    return place


@pytest.fixture
def imported_early(installed: Place) -> Iterator[None]:
    """Another package's start-up file that imports `platform` before ours is read."""
    early = installed.packages / "aaa_early.pth"
    early.write_text("import platform\n")
    yield
    early.unlink()


def test_the_wheel_holds_every_source_file(wheel: Path) -> None:
    sources = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
    }
    inside = set(zipfile.ZipFile(wheel).namelist())
    expected = sources - {"platform/_start_up.py"} | {"_dfkd_platform.py", "dfkd_platform.pth"}
    assert expected <= inside
    assert {name.split("/")[0] for name in inside if name.endswith(".py")} == {
        *PACKAGES,
        "_dfkd_platform.py",
    }


@pytest.mark.parametrize("flags", [(), ("-I",), ("-P",)], ids=["plain", "isolated", "safe path"])
def test_a_command_runs_from_any_directory(installed: Place, flags: tuple[str, ...]) -> None:
    found = run(installed.python, *flags, "-m", "platform.whereabouts", folder=installed.elsewhere)
    assert found.split() == [str(installed.packages)] * 2


@pytest.mark.parametrize(
    ("flags", "wins"),
    [((), True), (("-I",), False), (("-P",), False)],
    ids=["plain", "isolated", "safe path"],
)
def test_a_checkout_in_the_working_directory_wins_whole(
    installed: Place, flags: tuple[str, ...], wins: bool
) -> None:
    """With -I and -P Python looks there neither for `platform` nor for `dfkd`: no mixture."""
    found = run(installed.python, *flags, "-m", "platform.whereabouts", folder=installed.checkout)
    assert found.split() == [str(installed.checkout if wins else installed.packages)] * 2


@pytest.mark.usefixtures("imported_early")
def test_it_does_not_matter_who_imports_platform_first(installed: Place) -> None:
    for folder, copy in (
        (installed.elsewhere, installed.packages),
        (installed.checkout, installed.checkout),
    ):
        found = run(installed.python, "-m", "platform.whereabouts", folder=folder)
        assert found.split() == [str(copy)] * 2


def test_an_editable_install_serves_every_directory_from_its_checkout(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    pip = (sys.executable, "-m", "pip", "--python", place.python)
    run(*pip, "install", "-q", *options, "-e", place.checkout, folder=tmp_path)
    found = run(place.python, "-m", "platform.whereabouts", folder=place.elsewhere)
    assert found.split() == [str(place.checkout)] * 2


@pytest.mark.parametrize("command", COMMANDS)
def test_installed_commands_explain_themselves(installed: Place, command: str) -> None:
    assert "usage:" in run(
        installed.python, "-m", f"platform.{command}", "--help", folder=installed.elsewhere
    )


@pytest.mark.parametrize("flags", [(), ("-I",)], ids=["plain", "isolated"])
def test_the_standard_command_and_module_stay(installed: Place, flags: tuple[str, ...]) -> None:
    # -S: without the hook
    standard = run(installed.python, "-I", "-S", "-m", "platform", folder=installed.elsewhere)
    assert run(installed.python, *flags, "-m", "platform", folder=installed.elsewhere) == standard
    file = run(
        installed.python,
        *flags,
        "-c",
        "import platform; print(platform.__file__)",
        folder=installed.elsewhere,
    )
    assert Path(file.strip()).parent == Path(os.__file__).parent


def test_the_start_of_python_imports_one_small_module_more(
    installed: Place, tmp_path: Path
) -> None:
    bare = make_place(tmp_path)
    show = "import sys; print(*sys.modules)"
    before = run(bare.python, "-c", show, folder=bare.elsewhere).split()
    after = run(installed.python, "-c", show, folder=installed.elsewhere).split()
    assert set(after) - set(before) == {"_dfkd_platform"}
