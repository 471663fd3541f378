"""Provenance: which code a cell is computed with, and whether an earlier cell had the same.

A cell's record says the commits, and for each class of the user's own its version and a digest of
its source (source_code.py), in tags such as "code.my_loss.CosineFeatures". Records from before
there were such tags say nothing of it: their cells are reused as they always were.
"""

import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from dfkd.experiment import Experiment
from dfkd.identity import name_of, own_pieces
from dfkd.storage.ledger import Ledger
from dfkd.storage.variables import variable
from dfkd.training.source_code import source_digest

CODE = "code."  # how the tags of own classes begin
NO_SOURCE = "no source"  # in the place of a digest: such code is not known to be the same again


def commits() -> dict[str, str]:
    """Return the commits of dfkd and of the user's project as a cell's tags.

    "git_commit" is "" outside of a repository, "project_commit" is left out there.
    """
    project = _commit(Path.cwd())
    return {"git_commit": git_commit()} | ({"project_commit": project} if project else {})


def git_commit() -> str:
    """Return the commit of the running checkout of dfkd, "" outside of a repository.

    `ray job submit` uploads no .git: DFKD_GIT_COMMIT, set by the submitter, is believed then.
    """
    return _commit(Path(__file__).parent) or variable("DFKD_GIT_COMMIT") or ""


def _commit(folder: Path) -> str | None:
    """Return the commit a folder stands at, with "+changes" where its repository's files differ."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + "+changes" * bool(changes)


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout.strip()


def code_of(experiment: Experiment) -> dict[str, str]:
    """Return version and digest of the source of every class of the user's own, as tags."""
    tags = dict[str, str]()
    for _, piece in own_pieces(experiment.canonical()):
        source = source_digest(type(piece).__module__, type(piece).__qualname__) or NO_SOURCE
        tags[f"{CODE}{name_of(piece)}"] = f"{piece.version}-{source}"
    return tags


def changed_classes(recorded: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return the own classes whose code is another one than recorded, at the same version.

    Both are the tags of a cell. A class that only one of them names has not changed.
    """
    shared = [name for name in now if name.startswith(CODE) and name in recorded]
    return [
        name.removeprefix(CODE)
        for name in shared
        if recorded[name] != now[name]
        and recorded[name].partition("-")[0] == now[name].partition("-")[0]
    ]


def change_line(name: str) -> str:
    """Return the line about a class of the user's own that has changed, and what to do."""
    return f"{name} has changed since: raise its version, or --accept-changed-code"


def require_same_code(
    experiments: Iterable[Experiment], ledger: Ledger, accept: bool, say: Callable[[str], None]
) -> None:
    """Raise ValueError if cells of these experiments lie in the ledger that other code computed.

    Any block counts: all cells of an experiment come from one code, also those that are computed
    next. `accept` makes it a line to `say`. A class whose source lies in no file may have changed:
    none of its cells is reused without `accept`. Sources are read anew: a notebook may call this
    after an edit.
    """
    source_digest.cache_clear()
    wanted = [(e.params(), code) for e in experiments if (code := code_of(e))]
    lines = dict[str, str]()
    for record in ledger.records() if wanted else ():
        for params, code in wanted:
            if record["params"] == params:
                lines |= {name: change_line(name) for name in changed_classes(record["tags"], code)}
                lines |= {name: _unseen_line(name) for name in _unseen(record["tags"], code)}
    if lines and not accept:
        raise ValueError("; ".join(lines.values()))
    if lines:
        say(f"cells of earlier code are used, as --accept-changed-code says: {', '.join(lines)}")


def _unseen(recorded: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    same = [name for name, code in now.items() if recorded.get(name) == code]
    return [name.removeprefix(CODE) for name in same if now[name].endswith(NO_SOURCE)]


def _unseen_line(name: str) -> str:
    return (
        f"the source of {name} lies in no file, so that nobody can say whether it has changed "
        "since: move it to a module, raise its version, or --accept-changed-code"
    )
