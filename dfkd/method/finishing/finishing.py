"""What every finishing promises. B batch, C channels, H height, W width."""

from collections.abc import Callable, Iterable
from typing import ClassVar, Protocol, Self, TypeAlias

from torch import Tensor, nn

Remembered: TypeAlias = dict[str, Tensor]
Batches: TypeAlias = Callable[[int], Iterable[Tensor]]


class Finishing(Protocol):
    """What is done to a student before it is evaluated and kept.

    Training then goes on from the student as it was: nothing that is done here reaches it.
    """

    version: ClassVar[int]

    def begin(self, student: nn.Module) -> Remembered:
        """Return what is remembered beside the student, on its device; it is saved with the run."""

    def follow(self, remembered: Remembered, student: nn.Module, step: int) -> None:
        """Bring what is remembered up to date, in place, after this step; the first is 1."""

    def finish(self, remembered: Remembered, student: nn.Module, images: Batches) -> None:
        """Make the student, in place, the one that is evaluated and kept.

        images(rows): normalised images [B, C, H, W] of so many selected rows, or of all where there
        are fewer, as they lie in the pool: in a run always the same ones. B is no less than the
        schedule's batch where there are so many.
        """

    @classmethod
    def example(cls) -> Self:
        """Return an instance with likely values, for tables and tests."""
