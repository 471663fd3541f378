"""Options of commands, as they are typed in a shell."""

import shlex


def option(name: str, value: object) -> str:
    """Return "--name value", quoted where the shell would read it otherwise."""
    return f"--{name} {shlex.quote(str(value))}"
