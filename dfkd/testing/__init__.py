"""Testing: what all pieces of a kind promise, as suites that a user's own pieces can run.

    from dfkd.testing import LossSuite
    class TestMine(LossSuite):
        pieces = (Mine(weight=1.0),)

is a test file for pytest. Needs pytest, which the project's extra "dev" installs.
"""

import pytest

# before they are imported: a failing assert then shows its values
pytest.register_assert_rewrite(
    "dfkd.testing.suite",
    "dfkd.testing.answers",
    "dfkd.testing.droppings",
    "dfkd.testing.losses",
    "dfkd.testing.networks",
    "dfkd.testing.pools",
    "dfkd.testing.samplings",
    "dfkd.testing.selections",
    "dfkd.testing.tasks",
)

from dfkd.testing.answers import AnswerLossSuite  # noqa: E402
from dfkd.testing.droppings import DroppingSuite  # noqa: E402
from dfkd.testing.losses import LossSuite  # noqa: E402
from dfkd.testing.networks import NetworkSuite  # noqa: E402
from dfkd.testing.pools import PoolSuite  # noqa: E402
from dfkd.testing.samplings import SamplingSuite  # noqa: E402
from dfkd.testing.selections import SelectionSuite  # noqa: E402
from dfkd.testing.suite import PieceSuite  # noqa: E402
from dfkd.testing.tasks import TaskSuite  # noqa: E402

__all__ = [
    "AnswerLossSuite",
    "DroppingSuite",
    "LossSuite",
    "NetworkSuite",
    "PieceSuite",
    "PoolSuite",
    "SamplingSuite",
    "SelectionSuite",
    "TaskSuite",
]
