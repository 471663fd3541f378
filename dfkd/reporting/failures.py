"""Errors of the outside world, each in one line: a full disk, no memory, Ray, MLflow, a database.

What is none of these, and no ValueError, is a mistake in a program: it keeps its traceback.
"""

import errno
import re
import sys

# Exceptions of libraries by module. Nothing is imported: what never was imported raised nothing.
LIBRARIES = {
    "mlflow.exceptions": ("MlflowException",),
    "optuna.exceptions": ("OptunaError",),
    "pyarrow.lib": ("ArrowException",),
    "ray.exceptions": ("RayError",),
    "ray.train": ("TrainingFailedError",),
    "ray.tune": ("TuneError",),
    "safetensors": ("SafetensorError",),
    "sqlalchemy.exc": ("SQLAlchemyError",),
    "torch": ("OutOfMemoryError",),
}
KEPT = "what was finished is kept, and the same command goes on"
FULL = "No space left on device"  # also within the messages of libraries
MODULE = re.compile(r"^(\w+\.)+(?=\w+: )")  # before the name of an exception
LONGEST = 400  # characters of a message of others
FRAME = re.compile(r'File "([^"]+)", line (\d+)(?:, in (\S+))?')  # of a traceback


def outside() -> tuple[type[BaseException], ...]:
    """Return the exceptions that are the world's and no mistake in a program."""
    found = [
        getattr(sys.modules[module], name, None)
        for module, names in LIBRARIES.items()
        if module in sys.modules
        for name in names
    ]
    return (OSError, MemoryError, *(kind for kind in found if isinstance(kind, type)))


def origin(error: BaseException) -> BaseException:
    """Return the error that a worker raised, where Ray wraps it, else the error itself."""
    cause = getattr(error, "cause", None)
    return origin(cause) if isinstance(cause, BaseException) else error


def in_a_line(error: BaseException) -> str:
    """Return what to say of an error: one line, and how to go on where that is known."""
    first = origin(error)
    full = isinstance(first, OSError) and first.errno in (errno.ENOSPC, errno.EDQUOT)
    if full or FULL in str(first):
        return f"the disk is full{_where(first)}: make room; {KEPT}"
    if isinstance(first, OSError) and first.strerror:
        return f"{first.strerror}{_where(first)}"
    if isinstance(first, MemoryError):
        said = f" ({_first_line(first)})" if str(first) else ""
        return f"out of memory{said}: ask for less at a time (--concurrency 1); {KEPT}"
    if isinstance(first, ValueError):
        return str(first)
    frames = FRAME.findall(str(error)) if first is not error else []
    place = f" ({frames[-1][0]}, line {frames[-1][1]})" if frames else ""
    return f"{type(first).__name__}: {_first_line(first)}{place}"


def reason_in(log: str) -> str:
    """Return the line of a log that says why: the one after the last frame of a traceback.

    Without a frame that is the last line. The module of the exception is left out.
    """
    lines = log.strip().splitlines() or ["it left no log"]
    frames = [i for i, line in enumerate(lines) if FRAME.match(line.strip())]
    after = [line for line in lines[frames[-1] + 1 :] if line[:1].strip()] if frames else []
    return MODULE.sub("", after[0] if after else lines[-1]).removeprefix("ValueError: ")


def _where(error: BaseException) -> str:
    """Return the file that an error of the system is about, as the end of a line."""
    file = error.filename if isinstance(error, OSError) else None
    return f" ({file})" if file else ""


def _first_line(error: BaseException) -> str:
    """Return the line of a message that says what it is: of a traceback the last one."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = lines[-1 if lines[0].startswith("Traceback") else 0] if lines else "no reason is given"
    return said[:LONGEST]
