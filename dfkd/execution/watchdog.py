"""The watchdog: when nothing has ended for a while, one line says what waits for what.

Each time that it has spoken it is silent for twice as long, also when something has ended since:
work that takes hours is said a handful of times.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any, TypeVar

import ray

from dfkd.storage.lease import Say

QUIET_S = 60.0  # without an end, before it speaks for the first time
T = TypeVar("T")


@contextmanager
def in_thread(work: Callable[[Event], None]) -> Iterator[None]:
    """Let a thread work beside what is done inside; it is to end when the event is set."""
    over = Event()
    thread = Thread(target=work, args=(over,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class Watchdog:
    """Watches one wait. waits: says what waits for what; it is asked only when it will be said."""

    def __init__(self, say: Say, waits: Callable[[], str], quiet_s: float | None = None) -> None:
        self.say, self.waits = say, waits
        self.quiet_s = QUIET_S if quiet_s is None else quiet_s
        self.ended_s = self.began_s = time.monotonic()

    def ended(self) -> None:
        """Note that something has ended."""
        self.ended_s = self.began_s = time.monotonic()

    def look(self) -> float:
        """Speak if it is time to. Return the seconds until it may be time again."""
        now = time.monotonic()
        if now - self.began_s >= self.quiet_s:
            self.say(f"nothing has ended for {now - self.ended_s:.0f} s: {self.waits()}")
            self.began_s, self.quiet_s = time.monotonic(), 2 * self.quiet_s
        return max(0.1, self.quiet_s - (time.monotonic() - self.began_s))

    def first(self, refs: Sequence[ray.ObjectRef[Any]]) -> ray.ObjectRef[Any]:
        """Return the first of these that is done, as `ray.wait` does."""
        while True:
            done, _ = ray.wait(list(refs), num_returns=1, timeout=self.look())
            if done:
                self.ended()
                return done[0]

    def get(self, ref: ray.ObjectRef[T]) -> T:
        """Return the value of this one, as `ray.get` does."""
        self.first([ref])
        return ray.get(ref)

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Look from a thread, while this one waits in a library that gives it no turn."""

        def watch(over: Event) -> None:
            while not over.wait(self.look()):
                pass

        with in_thread(watch):
            yield
