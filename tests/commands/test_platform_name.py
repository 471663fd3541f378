"""The folder `platform` is the standard library's module as well; its commands start at once."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import dfkd

ROOT = Path(__file__).parents[2]
COMMANDS = sorted(
    path.stem for path in (ROOT / "platform").glob("*.py") if not path.stem.startswith("_")
)
SLOW_IMPORTS = {"mlflow", "numpy", "optuna", "pandas", "pyarrow", "ray", "scipy", "torch"}
DESCRIBE_NAMES = """
import json, platform, re
own = {"__builtins__", "__cached__", "__file__", "__loader__"}
own |= {"__package__", "__path__", "__spec__"}
shown = {name: repr(value) for name, value in vars(platform).items() if name not in own}
names = {name: re.sub(" at 0x[0-9a-f]+", "", text) for name, text in shown.items()}
answers = [platform.platform(), platform.uname()[:], platform.machine()]
answers += [platform.python_build(), platform.libc_ver()]
print(json.dumps([names, answers]))
"""


def run(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stderr
    return result


def test_every_name_of_the_standard_module_is_there_and_means_the_same() -> None:
    our_names, our_answers = json.loads(run("-c", DESCRIBE_NAMES).stdout)
    # -I: this folder is not on the path
    names, answers = json.loads(run("-I", "-c", DESCRIBE_NAMES).stdout)
    assert {name: our_names.get(name) for name in names} == names
    assert our_answers == answers
    assert any(name.startswith("_") and not name.startswith("__") for name in names)


def test_the_checkout_is_what_was_tested() -> None:
    assert (
        Path(run("-c", "import platform; print(platform.__file__)").stdout.strip())
        == ROOT / "platform/__init__.py"
    )


@pytest.mark.parametrize(
    "code",
    [
        "import uuid; uuid.uuid1()",
        "import ctypes.util; ctypes.util.find_library('c')",
        "import importlib, platform; importlib.reload(platform).system()",
        "import pickle, platform; u = platform.uname(); assert pickle.loads(pickle.dumps(u)) == u",
        "import multiprocessing as m, platform; p = m.get_context('spawn').Pool(1); "
        "assert p.apply(platform.system) == platform.system(); p.close(); p.join()",
    ],
    ids=["uuid", "ctypes", "reload", "pickle", "spawn"],
)
@pytest.mark.parametrize("flags", [(), ("-I",), ("-P",)], ids=["checkout", "isolated", "safe path"])
def test_what_others_do_with_the_module_still_works(code: str, flags: tuple[str, ...]) -> None:
    run(*flags, "-W", "error", "-c", code)


@pytest.mark.parametrize("flags", [(), ("-I",), ("-P",)], ids=["checkout", "isolated", "safe path"])
@pytest.mark.parametrize("arguments", [(), ("terse",), ("nonaliased",)])
def test_python_m_platform_describes_the_machine(
    flags: tuple[str, ...], arguments: tuple[str, ...]
) -> None:
    # -S: no start-up hook of an installed copy either
    standard = run("-I", "-S", "-m", "platform", *arguments).stdout
    assert run(*flags, "-m", "platform", *arguments).stdout == standard


def test_bare_pytest_finds_the_library(tmp_path: Path) -> None:
    """`pytest` alone does not put the working directory on the path; -P is the same."""
    (tmp_path / "test_it.py").write_text(
        "import platform, dfkd\ndef test_it(): assert platform.system()\n"
    )
    run(
        "-P",
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        str(ROOT / "pyproject.toml"),
        str(tmp_path),
    )


def test_ablate_alone_lists_the_studies_without_slow_imports() -> None:
    result = run("-X", "importtime", "-m", "platform.ablate")
    imported = {
        line.rpartition("|")[2].strip().partition(".")[0] for line in result.stderr.splitlines()
    }
    assert "argparse" in imported and not imported & SLOW_IMPORTS
    listed = [line.split(maxsplit=1) for line in result.stdout.splitlines()[:-1]]
    names = {path.stem for path in (ROOT / "ablations").glob("[!_]*.py")}
    assert {name for name, _ in listed} == {f"ablations.{name}" for name in names}
    assert ["ablations.explicit_losses", "Which explicit loss helps?"] in listed
    assert all(question.endswith("?") for _, question in listed)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_knows_its_version(command: str) -> None:
    assert run("-m", f"platform.{command}", "--version").stdout == f"dfkd {dfkd.__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_comes_without_slow_imports(command: str) -> None:
    result = run("-X", "importtime", "-m", f"platform.{command}", "--help")
    imported = {
        line.rpartition("|")[2].strip().partition(".")[0] for line in result.stderr.splitlines()
    }
    assert "argparse" in imported  # else the report was not understood
    assert not imported & SLOW_IMPORTS
    assert "usage:" in result.stdout
