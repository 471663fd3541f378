"""The terminal: one calm line per event, and progress with the time that is left.

Without a terminal, as in a log file, progress is a line now and then.
"""

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

from rich.console import Console as RichConsole
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from dfkd.reporting.columns import tables
from dfkd.reporting.document import Document
from dfkd.reporting.streams import plain, register

LINE_EVERY_S = 15.0  # without a terminal
WATCHED_S = 5.0  # of work, before it is estimated how long the rest takes


class Console:
    """Where commands and drivers print. quiet: print nothing, for tests and notebooks.

    document: gathers what --json says. notes: where it is quiet, notes go to stderr all the same.
    """

    def __init__(
        self, quiet: bool = False, document: Document | None = None, notes: bool = False
    ) -> None:
        self.document = document or Document()
        self._notes = notes and quiet
        register()
        columns = os.environ.get("COLUMNS", "")
        # some containers say 0 where they know no width: rich would then print nothing at all
        unknown = columns.isdecimal() and int(columns) == 0
        # names that people give are never read as rich's markup or emoji
        self._rich = RichConsole(
            width=shutil.get_terminal_size().columns if unknown else None,
            quiet=quiet,
            highlight=False,
            markup=False,
            emoji=False,
            soft_wrap=True,
        )
        # a log file has no edge, unless somebody says so
        has_edge = self._rich.is_terminal or ("COLUMNS" in os.environ and not unknown)
        self._width = self._rich.width if has_edge else None

    def line(self, text: str) -> None:
        """Print one line as it is: no markup."""
        self._rich.print(self._text(text))

    def warn(self, text: str) -> None:
        """Print one line that stands out; the work goes on."""
        self.document.notes.append(text)
        if self._notes:
            print(plain(f"note: {text}"), file=sys.stderr)
        self._rich.print(self._text(f"note: {text}", style="yellow"))

    def _text(self, text: str, style: str = "") -> Text:
        return Text(plain(text, self._rich.encoding), style=style)

    @contextmanager
    def step(self, name: str) -> Iterator[Callable[[str], None]]:
        """Print a line with the seconds when the step is done.

        The function that is given takes a note on how far it is.
        """
        started = last = time.monotonic()
        spinner = "dots" if self._rich.encoding.startswith("utf") else "line"
        shown = self._rich.status(self._text(name), spinner=spinner)
        with shown if self._rich.is_terminal else nullcontext() as status:

            def say(note: str) -> None:
                nonlocal last
                if status is not None:
                    status.update(self._text(f"{name}: {note}"))
                elif time.monotonic() - last >= LINE_EVERY_S:
                    last = time.monotonic()
                    self.line(f"{name}: {note}")

            yield say
        self.line(f"{name}: {time.monotonic() - started:.0f} s")

    @contextmanager
    def progress(self, name: str, total: int, unit: str) -> Iterator[Callable[..., None]]:
        """Show a bar with an estimate, and print a line with the seconds at the end.

        The function that is given advances it: `advance(1, "best 0.81")`.
        """
        started = time.monotonic()
        with (
            self._bar(name, total)
            if self._rich.is_terminal
            else self._lines(name, total, unit) as advance
        ):
            yield advance
        one = unit.removesuffix("s") if total == 1 else unit
        self.line(f"{name}: {total} {one} in {time.monotonic() - started:.0f} s")

    @contextmanager
    def _bar(self, name: str, total: int) -> Iterator[Callable[..., None]]:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[note]}", markup=False),
        )
        with Progress(*columns, console=self._rich, transient=True) as bar:
            task = bar.add_task(name, total=total, note="")
            yield lambda amount, note="": bar.update(task, advance=amount, note=note)

    @contextmanager
    def _lines(self, name: str, total: int, unit: str) -> Iterator[Callable[..., None]]:
        last, done = time.monotonic(), 0
        first: tuple[float, int] | None = None  # when something was done, and how much

        def advance(amount: int, note: str = "") -> None:
            nonlocal last, done, first
            now, done = time.monotonic(), done + amount
            first = first or (now, done)
            if now - last >= LINE_EVERY_S and 0 < done < total:
                parts = (f"{done}/{total} {unit}", _left(first, (now, done), total), note)
                self.line(f"{name}: {', '.join(filter(None, parts))}")
                last = now

        yield advance

    def table(
        self,
        title: str,
        header: Sequence[str],
        rows: Sequence[Sequence[str]],
        text: Sequence[str] = (),
    ) -> None:
        """Print a table: text to the left, numbers to the right, which are never cut.

        The first column and those named in `text` are text.
        """
        shown = [[plain(cell, self._rich.encoding) for cell in row] for row in (header, *rows)]
        self._rich.print()
        title = plain(title, self._rich.encoding)
        for table in tables(title, shown[0], shown[1:], text, self._width):
            self._rich.print(table)
            self._rich.print()


def _left(first: tuple[float, int], now: tuple[float, int], total: int) -> str:
    """Return how long the rest takes at the speed since something was done first, "" if unknown.

    What came before that was also start-up. first, now: seconds, and how much was done then.
    """
    took, made = now[0] - first[0], now[1] - first[1]
    if took < WATCHED_S or not made:
        return ""
    return f"about {duration(took / made * (total - now[1]))} left"


def duration(seconds: float) -> str:
    """Return "45 s", "3 min" or "2.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
