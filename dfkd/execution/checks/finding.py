"""What a check has found: one line, and how to mend it."""

from dataclasses import dataclass

OK, BROKEN, SKIPPED = "ok", "broken", "skipped"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One finding. state: OK, BROKEN or SKIPPED. mend: what to do, of what is broken."""

    check: str
    state: str
    said: str
    mend: str = ""

    def line(self) -> str:
        """Return what is wrong and how to mend it, in one line."""
        return f"{self.said}: {self.mend}" if self.mend else self.said


def ok(check: str, said: str) -> Finding:
    """Return that all is well."""
    return Finding(check=check, state=OK, said=said)


def broken(check: str, said: str, mend: str) -> Finding:
    """Return what is wrong."""
    return Finding(check=check, state=BROKEN, said=said, mend=mend)


def skipped(check: str, said: str) -> Finding:
    """Return why something was not looked at."""
    return Finding(check=check, state=SKIPPED, said=said)
