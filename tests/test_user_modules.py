"""The user's modules, named as in an import, and one line where there is none."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType

import pytest

from dfkd.user_modules import load, load_a, modules_in, users_code


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project of the user's own, which is the working directory."""
    (tmp_path / "my_project").mkdir()
    (tmp_path / "my_project" / "my_space.py").write_text("def space(trial):\n    return 7\n")
    (tmp_path / "needs_more.py").write_text("import a_module_that_nobody_has\n")
    (tmp_path / "broken.py").write_text("def space(:\n")
    (tmp_path / "our_spaces").mkdir()
    for name in ("digits", "cifar", "_hidden"):
        (tmp_path / "our_spaces" / f"{name}.py").write_text("def space(trial):\n    return 0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        sys, "path", [path for path in sys.path if path not in ("", str(Path.cwd()))]
    )
    known = dict(sys.modules)
    yield tmp_path
    sys.modules |= known  # those of ours that a test has taken out
    for name in sys.modules.keys() - known.keys():
        del sys.modules[name]


def test_a_module_of_the_working_directory_is_found():
    assert load("my_project.my_space", "space", "our_spaces")(None) == 7
    assert load("our_spaces.digits", "space", "our_spaces")(None) == 0


def test_an_attribute_of_another_kind_is_refused():
    assert callable(load_a(FunctionType, "my_project.my_space", "space", "our_spaces"))
    with pytest.raises(ValueError, match=r"^my_project\.my_space\.space must be an int, but got <"):
        load_a(int, "my_project.my_space", "space", "our_spaces")


@pytest.mark.parametrize(
    "name", ["our_spaces.digit", "our_spaces.digitz", "digits", "our_space.digits"]
)
def test_the_nearest_of_ours_is_named(name):
    with pytest.raises(
        ValueError, match=rf"^there is no module {name}: did you mean our_spaces\.digits\?$"
    ):
        load(name, "space", "our_spaces")


@pytest.mark.parametrize("name", ["qqqqqqqqqqqq", "os.qqqqqqqqqqqqqqqqqqqqqq"])
def test_where_none_is_near_all_of_ours_are_named(name):
    with pytest.raises(ValueError, match=r": there are our_spaces\.cifar, our_spaces\.digits$"):
        load(name, "space", "our_spaces")


@pytest.mark.parametrize(
    "name", ["./our_spaces/digits.py", "our_spaces/digits.py", ".digits", "", "a b", "a..b"]
)
def test_what_is_no_name_of_a_module_is_refused(name):
    with pytest.raises(
        ValueError, match=r"^a module is named as in an import, but got .*our_spaces\.digits"
    ):
        load(name, "space", "our_spaces")


def test_a_module_without_what_is_looked_for_is_refused():
    with pytest.raises(
        ValueError, match=r"^the module my_project.my_space has no `study`: define it there,"
    ):
        load("my_project.my_space", "study", "our_spaces")


def test_a_module_that_is_there_but_fails_says_so_itself():
    missing = r"^needs_more\.py:1 in <module>: ModuleNotFoundError: .*a_module_that_nobody_has"
    with pytest.raises(ValueError, match=missing):
        load("needs_more", "space", "our_spaces")
    with pytest.raises(ValueError, match=r"^broken\.py:1: SyntaxError: "):
        load("broken", "space", "our_spaces")


def test_a_mistake_in_the_users_code_is_one_line_with_its_place(project: Path) -> None:
    (project / "my_project" / "wrong.py").write_text(
        "def space(trial):\n    return trial.nothing\n"
    )
    space = load("my_project.wrong", "space", "our_spaces")
    told = r"^wrong\.py:2 in space: AttributeError: .*'nothing'$"
    with pytest.raises(ValueError, match=told), users_code():
        space(None)


def test_a_file_that_python_cannot_even_read_is_named(project: Path) -> None:
    (project / "cut_off.py").write_bytes(b"x = 1" + bytes(9))
    with pytest.raises(ValueError, match=r"^the module cut_off: SyntaxError: .*null bytes"):
        load("cut_off", "space", "our_spaces")


def test_lines_for_users_and_what_is_passing_stay_as_they_are() -> None:
    with pytest.raises(ValueError, match=r"^ratio must be 1$"), users_code():
        raise ValueError("ratio must be 1")
    with pytest.raises(KeyError), users_code(passing=(KeyError,)):
        raise KeyError("pruned")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("my_project/my_space.py", "write my_project.my_space"),
        ("./needs_more.py", "write needs_more"),
        ("/home/me/rec.py", "go to the folder of your project, and write its package.module"),
        ("../rec.py", "go to the folder of your project"),
        ("my-space.py", "rename the file, to my_space.py say: "),
        ("my_project/2nd space.py", "rename the file, to 2nd_space.py say: "),
    ],
)
def test_for_a_path_the_module_is_named(path, expected):
    with pytest.raises(ValueError, match=rf"as in an import, but got '{path}': {expected}"):
        load(path, "experiment", "our_spaces", known=["digits"])


@pytest.mark.parametrize("package", ["ablations", "search_spaces"])
@pytest.mark.parametrize("regular", [True, False])
def test_a_package_of_the_user_with_our_name_hides_nothing(project, package, regular):
    """With `__init__.py` Python finds theirs alone, without it ours alone."""
    ours = {"ablations": ("components", "study"), "search_spaces": ("digits", "space")}
    module, attribute = ours[package]
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        del sys.modules[name]
    (project / package).mkdir()
    (project / package / "mine.py").write_text("study = space = 7\n")
    (project / package / "_private.py").write_text("study = space = 8\n")
    if regular:
        (project / package / "__init__.py").touch()
    assert load(f"{package}.mine", attribute, package) == 7
    assert load(f"{package}.{module}", attribute, package) != 7
    assert {f"{package}.mine", f"{package}.{module}"} <= modules_in(package).keys()
    with pytest.raises(ValueError, match=f"did you mean {package}.mine"):
        load(f"{package}.minee", attribute, package)


def test_a_module_of_the_user_wins_over_ours_of_the_same_name(project):
    for name in [name for name in sys.modules if name.split(".")[0] == "ablations"]:
        del sys.modules[name]
    (project / "ablations").mkdir()
    (project / "ablations" / "components.py").write_text("study = 7\n")
    assert load("ablations.components", "study", "ablations") == 7
