"""MLflow, the record that people look at: a view that the ledger can rebuild at any time.

There is one writer, on the driver. A cell stands there once, found by its tag `cell_key`, whatever
the number of calls, crashes and studies. Its params are those of the ledger. `<name>` is the value
that counts, at step 0, and `training/<name>` its course: MLflow draws bars of the first and lines
of the second. What differs between the uses of one cell (study, variant, role) is joined in its
tags: "losses, views" for a cell of two studies, so that tags.study LIKE '%losses%' finds every cell
of a study. MLflow's charts have params on their axes, no tags, and a param cannot be changed:
`study`, `variant`, `block` and `factor.<name>`, like the parent, tell what the cell was to its
first study.

A server that is away costs no result: what could not be written waits, is tried again now and then,
and whatever is missing at the end is written by the next run. Of a finished study or sweep the same
command does that: the sync state beside its record says which address has been sent all of it.
"""

from dfkd.tracking.address import database_uri, is_database, knock, settle, without_credentials
from dfkd.tracking.entries import FACTOR, in_points
from dfkd.tracking.registry import check_model_name
from dfkd.tracking.store import Parent
from dfkd.tracking.sync import RunSync, hint
from dfkd.tracking.sync_state import SyncState
from dfkd.tracking.tracker import Tracker

# Raised when runs are written in another form: finished studies and sweeps are then sent once more.
FORM = 2

__all__ = [
    "FACTOR",
    "FORM",
    "Parent",
    "RunSync",
    "SyncState",
    "Tracker",
    "check_model_name",
    "database_uri",
    "hint",
    "in_points",
    "is_database",
    "knock",
    "settle",
    "without_credentials",
]
