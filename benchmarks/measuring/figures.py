"""Figures that a workload returns, and how sides are timed in turn."""

import random
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A quantity with its value in each round, in the order of the rounds."""

    name: str
    unit: str
    values: Sequence[float]
    more_is_better: bool = False

    @property
    def median(self) -> float:
        return statistics.median(self.values)


@dataclass(frozen=True, kw_only=True)
class Check:
    """Whether the sides did the same work. seen: what was compared, in numbers."""

    claim: str
    holds: bool
    seen: str


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a workload measured, and whether its sides can be compared."""

    figures: Sequence[Figure]
    checks: Sequence[Check] = ()


@dataclass(frozen=True, kw_only=True)
class Bench:
    """How a workload is to measure.

    quick: one round of tiny sizes, to see that everything works. folder: for the time being; a
    call's workloads share it, so that what one has prepared is there for the next.
    """

    quick: bool
    folder: Path

    def size(self, full: int, tiny: int) -> int:
        """Return how many of something: as it is to be measured, or as a quick call does it."""
        return tiny if self.quick else full

    def rounds(self, full: int, aloud: bool = True) -> Iterator[int]:
        """Yield the number of each round; a quick call has one round. aloud: and say it."""
        count = self.size(full, 1)
        for index in range(count):
            if aloud:
                say(f"round {index + 1} of {count}")
            yield index

    def in_turn(
        self, rounds: int, sides: Mapping[str, Callable[[], float]], aloud: bool = True
    ) -> dict[str, list[float]]:
        """Ask each side once a round for the seconds that it took, in an order drawn anew.

        aloud: and say them, where a round takes seconds.
        """
        taken, names = defaultdict[str, list[float]](list), list(sides)
        for index in self.rounds(rounds, aloud):
            for name in random.Random(index).sample(names, len(names)):
                taken[name].append(sides[name]())
                if aloud:
                    say(f"  {name}: {taken[name][-1]:.3g} s")
        return dict(taken)


def say(line: str) -> None:
    """Print how far it is, at once."""
    print(line, flush=True)


def seconds_of(call: Callable[[], Any]) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def quotient(name: str, over: Sequence[float], under: Sequence[float]) -> Figure:
    """Return the quotients of two sides, round by round: a slow minute slows both."""
    values = [one / other for one, other in zip(over, under, strict=True)]
    return Figure(name=name, unit="ratio", values=values, more_is_better=True)


def seconds(name: str, values: Sequence[float]) -> Figure:
    """Return the seconds of each round."""
    return Figure(name=name, unit="s", values=values)
