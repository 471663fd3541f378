"""Options of commands, as they are typed in a shell."""

import shlex
from collections.abc import Mapping


def option(name: str, value: object) -> str:
    """Return "--name value", quoted where the shell would read it otherwise."""
    return f"--{name} {shlex.quote(str(value))}"


def command(name: str, words: str, given: Mapping[str, object], values: Mapping[str, str]) -> str:
    """Return the line that calls a command of the platform.

    given: its options, see `options`. values: what --set sets.
    """
    changes = [f"{parameter}={value}" for parameter, value in values.items()]
    set_here = ["--set", shlex.join(changes)] if changes else []
    said = [f"python -m platform.{name}", words, *options(given), *set_here]
    return " ".join(part for part in said if part)


def options(given: Mapping[str, object]) -> list[str]:
    """Return options by name: those that are None or False are left out, True has no value."""
    said = {
        name: value for name, value in given.items() if value is not None and value is not False
    }
    return [f"--{name}" if value is True else option(name, value) for name, value in said.items()]
