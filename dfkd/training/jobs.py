"""Jobs: cells with all that names them in the ledger, and what the ledger has of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from dfkd.experiment import Cell
from dfkd.storage.ledger import Ledger
from dfkd.storage.outcome import SYNTHESIS, Outcome
from dfkd.training.environment import Environment
from dfkd.training.inputs import inputs_key
from dfkd.training.provenance import change_line, changed_classes, code_of


@dataclass(frozen=True, kw_only=True)
class Job:
    """A cell with all that a worker needs to compute it and to record where it came from."""

    cell: Cell
    environment: Environment
    teacher_digest: str
    pool_digest: str
    read_test: bool  # False for every cell of a search
    tags: dict[str, str] = field(default_factory=dict)
    accept_changed_code: bool = False  # whether an outcome of earlier code will do
    title: str = ""  # what it is to who asked for it, such as its study, variant and block

    @property
    def name(self) -> str:
        """The folder in the ledger: the cell's key and its environment."""
        return f"{self.cell.key(self.teacher_digest, self.pool_digest)}-{self.environment}"

    @property
    def shown(self) -> str:
        """How messages call it."""
        return f"the cell {self.name}{f' ({self.title})' if self.title else ''}"


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """What all jobs of one call share.

    digests: source key -> digests of its teacher and pool. synthesis: source key -> seconds that
    its pool took a device, of pools that are synthesised.
    """

    environment: Environment
    digests: dict[str, tuple[str, str]]
    tags: dict[str, str] = field(default_factory=dict)
    accept_changed_code: bool = False
    synthesis: dict[str, float] = field(default_factory=dict)

    def job(self, cell: Cell, read_test: bool, title: str = "") -> Job:
        """Return the job of a cell in this context.

        ValueError for a cell whose task, pool or teacher was not prepared.
        """
        source = inputs_key(cell)
        if source not in self.digests:
            raise ValueError(
                "all trials of a sweep must share task, pool and teacher: a space may not vary them"
            )
        teacher, pool = self.digests[source]
        return Job(
            cell=cell,
            environment=self.environment,
            teacher_digest=teacher,
            pool_digest=pool,
            read_test=read_test,
            tags=self.tags | code_of(cell.experiment) | self._cost(source),
            accept_changed_code=self.accept_changed_code,
            title=title,
        )

    def _cost(self, source: str) -> dict[str, str]:
        seconds = self.synthesis.get(source)
        return {} if seconds is None else {SYNTHESIS: f"{seconds:.1f}"}

    def saved(self) -> dict[str, Any]:
        """Return what `of` reads, for JSON: all but what belongs to one call."""
        return {n: v for n, v in asdict(self).items() if n != "accept_changed_code"}

    @classmethod
    def of(cls, saved: dict[str, Any]) -> RunContext:
        """Read what `saved` returned."""
        digests = {source: (teacher, pool) for source, (teacher, pool) in saved["digests"].items()}
        return cls(
            environment=Environment(**saved["environment"]),
            digests=digests,
            tags=saved["tags"],
            synthesis=saved.get("synthesis", {}),  # of earlier versions: there was none
        )


def look_up(job: Job, ledger: Ledger) -> Outcome | None:
    """Return what the ledger has of a job's cell, the only way in which a job is looked up.

    Raises ValueError if other code than the job's computed it, unless the job accepts that.
    """
    outcome = ledger.read(job.name)
    changed = changed_classes(outcome.tags, job.tags) if outcome is not None else []
    if changed and not job.accept_changed_code:
        raise ValueError("; ".join(map(change_line, changed)))
    return outcome


def outcome_that_serves(job: Job, ledger: Ledger) -> Outcome | None:
    """Return the outcome that makes it needless to compute the job; otherwise as `look_up`."""
    outcome = look_up(job, ledger)
    if outcome is None or not outcome.final or (job.read_test and "test" not in outcome.metrics):
        return None
    return outcome
