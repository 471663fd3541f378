"""The public surface of the package: what `from dfkd import ...` promises."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import dfkd


@pytest.mark.parametrize("name", dfkd.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(dfkd, name) is not None


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(str(dfkd.__file__)).read_text())
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.asname for node in block.body for alias in getattr(node, "names", [])}
    assert seen == set(dfkd.__all__) - {"__version__"}


def test_any_other_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Experimant'"):
        dfkd.Experimant  # noqa: B018 - the access is the test


def test_importing_the_package_imports_nothing_heavy() -> None:
    heavy = "{'torch', 'ray', 'numpy', 'mlflow', 'optuna', 'pandas'}"
    code = f"import sys, dfkd; sys.exit(bool({heavy} & sys.modules.keys()))"
    subprocess.run([sys.executable, "-c", code], check=True)
