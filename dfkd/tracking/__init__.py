"""MLflow, the record that people look at: a view that the ledger can rebuild at any time.

There is one writer, on the driver. A cell stands there once, found by its tag `cell_key`, whatever
the number of calls, crashes and studies. Its params are those of the ledger; the curve is a metric
per column; `final/<name>` is the value that counts. What differs between the uses of one cell
(study, variant, role) is joined in its tags: "losses, views" for a cell of two studies, so that
tags.study LIKE '%losses%' finds every cell of a study, while `parent` can only name the first.

A server that is away costs no result: what could not be written waits, is tried again now and then,
and whatever is missing at the end is written by the next run. Of a finished study or sweep the same
command does that: the sync state beside its record says which address has been sent all of it.
"""

from dfkd.tracking.address import is_database, knock, settle, without_credentials
from dfkd.tracking.store import Parent
from dfkd.tracking.sync import RunSync
from dfkd.tracking.sync_state import SyncState
from dfkd.tracking.tracker import Tracker

__all__ = [
    "Parent",
    "RunSync",
    "SyncState",
    "Tracker",
    "is_database",
    "knock",
    "settle",
    "without_credentials",
]
