"""Runs a command: where its output goes, and how it ends. Nothing heavy is imported here."""

from __future__ import annotations

import gc
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from dfkd.reporting.document import Document
from dfkd.reporting.failures import in_a_line, origin, outside
from dfkd.reporting.streams import in_one_line, leave_closed_output, open_all, show_everything

if TYPE_CHECKING:
    from dfkd.reporting.console import Console

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130
SELDOM = 50_000  # new objects between two looks for garbage
STOPPED = "stopped; everything that was finished is kept. Go on with the same command."


@dataclass
class Output:
    """The output of one command. document: what it says, for --json."""

    document: Document = field(default_factory=Document)

    def console(self, arguments: Namespace) -> Console:
        """Return the terminal, which is silent but for notes where --quiet was given."""
        from dfkd.reporting.console import Console  # rich takes a while to import

        return Console(quiet=arguments.quiet, document=self.document, notes=True)


def run(main: Callable[[Output], None]) -> None:
    """Run a command: whatever ends it but a mistake in a program is one line.

    Exit code 2 is bad input, 1 what the world did: a full disk, no memory, a cluster that is gone.
    Ctrl-C says how to go on. Where nobody reads any more (`| head -1`), nothing is said. With
    --json stdout holds one document and nothing else; what people read goes to stderr.
    """
    open_all()
    show_everything()
    gc.set_threshold(SELDOM)  # with Python's 700, imports take a third more time
    output, as_json = Output(), "--json" in sys.argv[1:]
    name = Path(sys.argv[0]).stem
    try:
        with _stdout_apart(as_json) as stdout:
            try:
                code, message = _ended(main, output)
            except Exception as mistake:  # it is raised again, with its traceback
                if stdout is not None:
                    stdout.write(output.document.text(name, FAILED, in_a_line(mistake)))
                raise
            if stdout is not None:
                stdout.write(output.document.text(name, code, message))
        sys.stdout.flush()  # else Python complains of a closed pipe after the end
    except BrokenPipeError:
        leave_closed_output()
        sys.exit(FAILED)
    except OSError as error:  # of stdout itself, such as a file on a full disk
        leave_closed_output()
        sys.exit(_said(error)[0])
    gc.freeze()  # nothing is looked through again: seconds, where much was imported
    if code:
        sys.exit(code)


def _ended(main: Callable[[Output], None], output: Output) -> tuple[int, str]:
    """Return the exit code, and the line that is said where it is not 0."""
    try:
        _check_folder()
        main(output)
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        print(f"\n{STOPPED}", file=sys.stderr)
        return INTERRUPTED, STOPPED
    except ValueError as error:
        return _said(error)
    except outside() as error:
        return _said(error)
    return 0, ""


def _check_folder() -> None:
    """Raise ValueError where the working folder was removed: libraries would end the process."""
    try:
        os.getcwd()
    except FileNotFoundError as error:
        raise ValueError("the working folder was removed: cd to one that is there") from error


def _said(error: BaseException) -> tuple[int, str]:
    message = in_one_line(in_a_line(error))
    print(f"error: {message}", file=sys.stderr)
    return BAD_INPUT if isinstance(origin(error), ValueError) else FAILED, message


@contextmanager
def _stdout_apart(apart: bool) -> Iterator[TextIO | None]:
    """Send all that is printed to stderr, whoever prints it, and give the real stdout.

    Without `apart`, give None.
    """
    if not apart:
        yield None
        return
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(os.dup(kept), "w", encoding="utf-8") as stdout:
            yield stdout
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
