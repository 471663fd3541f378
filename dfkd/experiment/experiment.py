"""Experiment: what is computed, as a value with parameters for people and a fingerprint."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, cast

from dfkd.data.images.transforms import View
from dfkd.data.pools import Pool, TrainingImages
from dfkd.data.tasks import Task
from dfkd.experiment.contracts import check_pieces
from dfkd.identity import Json, Scalar, digest, flat, later, name_of, spec
from dfkd.method.defaults import with_defaults
from dfkd.method.dropping import BaseDropping, Dropping
from dfkd.method.finishing import Finishing
from dfkd.method.losses import KD, AnswerLoss, BaseAnswerLoss, BaseLoss, Loss, needs_of
from dfkd.method.sampling import Sampling
from dfkd.method.selection import Selection
from dfkd.models.networks import Network
from dfkd.models.teachers import Teacher
from dfkd.scores.top_k import TopK
from dfkd.seeding import Block

DECAYS = ("one_cycle", "cosine", "steps")


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Optimizer steps and how the learning rate moves over them.

    steps: the budget; batch: images per step over all workers; learning_rate: the peak; optimizer:
    "adamw" or "sgd" (momentum 0.9); decay: "one_cycle", "cosine" or "steps" (a tenth at 40 % and at
    80 % of the steps, DFND's);
    evaluations: how often, evenly spaced, the probe is looked at.
    """

    steps: int
    batch: int = 128
    learning_rate: float = 5e-3
    weight_decay: float = 1e-2
    optimizer: str = "adamw"
    decay: str = "one_cycle"
    evaluations: int = 6
    version: ClassVar[int] = 1  # of the training loop itself, distill.py

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 2:
            raise ValueError(
                "schedule needs 1 step and a batch of 2 or more, but got "
                f"steps={self.steps}, batch={self.batch}"
            )
        if not 1 <= self.evaluations <= self.steps:
            raise ValueError(
                "schedule.evaluations must lie in 1..steps, but got "
                f"evaluations={self.evaluations}, steps={self.steps}"
            )
        if not 0 < self.learning_rate < math.inf or not 0 <= self.weight_decay < math.inf:
            raise ValueError(
                "schedule.learning_rate must be above 0 and schedule.weight_decay 0 or more, "
                f"but got learning_rate={self.learning_rate}, weight_decay={self.weight_decay}"
            )
        if self.optimizer not in ("adamw", "sgd") or self.decay not in DECAYS:
            raise ValueError(
                f'schedule.optimizer must be "adamw" or "sgd" and schedule.decay one of {DECAYS}, '
                f"but got optimizer={self.optimizer!r}, decay={self.decay!r}"
            )

    @classmethod
    def example(cls) -> Schedule:
        """Return an instance with likely values, for tables and tests."""
        return cls(
            steps=200,
            batch=64,
            learning_rate=5e-3,
            weight_decay=1e-2,
            optimizer="adamw",
            decay="one_cycle",
            evaluations=6,
        )

    def evaluation_steps(self) -> tuple[int, ...]:
        """Return the steps after which the probe is evaluated; the last is `steps`."""
        return tuple(self.steps * i // self.evaluations for i in range(1, self.evaluations + 1))


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One recipe on one task, pool and teacher.

    Seeds belong to a run's block, devices to its environment. cache: what is kept of the teacher's
    logits on disk; None is all. sampling: how often an epoch shows each selected row; None is once.
    finishing: what makes the student that is evaluated and kept of the trained one; None: nothing.
    """

    task: Task
    pool: Pool
    teacher: Teacher
    student: Network
    selection: Selection
    dropping: Dropping | None = None
    kd: AnswerLoss = KD()  # noqa: RUF009 - a frozen value
    explicit: Loss | None = None
    implicit: Loss | None = None
    views: View | None = None
    schedule: Schedule
    cache: TopK | None = later(None)  # noqa: RUF009 - a field's description
    sampling: Sampling | None = later(None)  # noqa: RUF009 - a field's description
    finishing: Finishing | None = later(None)  # noqa: RUF009 - a field's description

    def __post_init__(self) -> None:
        check_pieces(self)
        for loss in self.losses().values():
            if "second_view" in needs_of(loss) and self.views is None:
                raise ValueError(
                    f"{type(loss).__name__} compares two views of an image: say how they are made, "
                    "in `views`"
                )
        taught = self.dropping is not None or self.losses() or self.asks_teacher
        if self.reads_labels and (taught or self.pool != TrainingImages(task=self.task)):
            raise ValueError(
                "original labels need the pool TrainingImages of the same task, and nothing beside "
                f"them that asks the teacher, but got {self._beside_kd()}"
            )

    def _beside_kd(self) -> str:
        parts = {name: getattr(self, name) for name in ("pool", "dropping", "explicit", "implicit")}
        named = {name: name_of(part) for name, part in parts.items() if part is not None}
        live = " and live views" if self.asks_teacher else ""
        return ", ".join(f"{name} {kind}" for name, kind in named.items()) + live

    def losses(self) -> dict[str, Loss]:
        """Return the losses beside kd by the name of their part; one of weight 0 is left out."""
        dropping = self.dropping
        noise = None if dropping is None else with_defaults(dropping, BaseDropping).term()
        parts = {"explicit": self.explicit, "implicit": self.implicit, "dropping": noise}
        terms: dict[str, Loss] = {}
        for part, loss in parts.items():
            if loss is not None:
                terms |= with_defaults(loss, BaseLoss).terms(part)
        return {name: loss for name, loss in terms.items() if loss.weight > 0}

    def canonical(self) -> Experiment:
        """Return the one form of all equal experiments: a part that does nothing is None."""
        return replace(
            self,
            dropping=self.dropping and self.dropping.canonical(self.task.classes),
            explicit=_canonical_loss(self.explicit),
            implicit=_canonical_loss(self.implicit),
            views=self._canonical_views(),
            cache=self.cache and self.cache.canonical(self.task.classes),
        )

    def _canonical_views(self) -> View | None:
        """Return the one form of equal views: live where a loss asks the teacher in any case."""
        views = self.views and self.views.canonical()
        if views is None or views.answer == "live" or not self.needs() & {"maps", "second_view"}:
            return views
        return cast(View, replace(cast(Any, views), answer="live"))

    @property
    def reads_labels(self) -> bool:
        """Say whether the student learns from original labels instead of the teacher's answer."""
        return with_defaults(self.kd, BaseAnswerLoss).reads_labels

    def needs(self) -> frozenset[str]:
        """Return what its losses read beside logits and pooled features."""
        return frozenset[str]().union(*map(needs_of, self.losses().values()))

    @property
    def asks_teacher(self) -> bool:
        """Say whether the student's training needs the teacher beside its cached answers."""
        views = self._canonical_views()
        return "maps" in self.needs() or (views is not None and views.answer == "live")

    def params(self) -> dict[str, Scalar]:
        """Return scalars by dotted names, the same in spaces, ledger, MLflow and reports."""
        canonical = self.canonical()
        result: dict[str, Scalar] = {}
        for field in fields(canonical):
            value = getattr(canonical, field.name)
            if "left_out_at" in field.metadata and value == field.metadata["left_out_at"]:
                continue
            params = flat(value, field.name)
            if field.name == "schedule":  # there is only one kind
                del params[field.name]
            result |= params
        return result

    def spec(self) -> dict[str, Json]:
        """Return what is hashed: name, version and fields of every part that is not None."""
        canonical = self.canonical()
        parts = {field.name: getattr(canonical, field.name) for field in fields(canonical)}
        return {name: spec(part) for name, part in parts.items() if part is not None}

    def fingerprint(self) -> str:
        """Return a digest that is equal for experiments that compute the same."""
        return digest(self.spec())

    def diff(self, other: Experiment) -> dict[str, tuple[Scalar | None, Scalar | None]]:
        """Return the parameters that differ, each as (mine, the other's); None is no such one."""
        mine, others = self.params(), other.params()
        names = [*mine, *(name for name in others if name not in mine)]
        return {n: (mine.get(n), others.get(n)) for n in names if mine.get(n) != others.get(n)}


def _canonical_loss(loss: Loss | None) -> Loss | None:
    if loss is None:
        return None
    whole = with_defaults(loss, BaseLoss)
    canonical = whole.canonical()
    return loss if canonical is whole else canonical


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One experiment in one block: the unit that is computed, recorded and never computed again."""

    experiment: Experiment
    block: Block

    def key(self, teacher_digest: str, pool_digest: str) -> str:
        """Return the identity, by content: where teacher and pool lie, or how made, is no part."""
        spec = self.experiment.spec()
        block: list[Json] = [self.block.seed, self.block.draw, self.block.teacher]
        return digest([spec, block, teacher_digest, pool_digest])
