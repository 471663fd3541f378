"""The journal of a search: a small file for each trial. With the ledger it is the truth."""

from dfkd.storage import Storage, layout
from dfkd.storage.layout import Key
from dfkd.sweeps.trial import Trial


class Journal:
    """The trials of one search, in the folder of a sweep or of a retuning.

    A trial's file is written when the trial is asked for, and again when it ends.
    """

    def __init__(self, storage: Storage, folder: Key) -> None:
        self.storage, self.folder = storage, folder / layout.TRIALS

    def write(self, trial: Trial) -> None:
        """Put a trial's record in the place of an earlier one with its number."""
        self.storage.write_json(self.folder / layout.trial(trial.number), trial.record())

    def read(self) -> list[Trial]:
        """Return the trials as they were recorded, in the order of their numbers."""
        names = self.storage.list(self.folder)
        return [Trial(**self.storage.read_json(self.folder / name)) for name in names]

    def clear(self) -> None:
        """Forget all trials; their cells stay in the ledger."""
        for name in self.storage.list(self.folder):
            self.storage.delete(self.folder / name)
