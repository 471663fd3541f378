"""What people say of a study or sweep: a note and tags, in a file of its folder."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from dfkd.storage import layout
from dfkd.storage.layout import Key
from dfkd.storage.storage import Storage


@dataclass(frozen=True, kw_only=True)
class Note:
    """A line of text, and words by which things are found again."""

    text: str = ""
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if "\n" in self.text:
            raise ValueError(
                "a note is one line: put longer text where it is read, and a link here"
            )
        for tag in self.tags:
            if not tag.strip() or "," in tag:
                raise ValueError(f"a tag is a word without commas, but got {tag!r}")

    def lines(self) -> list[str]:
        """Return the note and the tags as lines of a report; none where nothing was said."""
        said = [f"note: {self.text}"] if self.text else []
        return [*said, *([f"tags: {', '.join(self.tags)}"] if self.tags else [])]

    def in_mlflow(self) -> dict[str, str]:
        """Return text and tags as tags of a run in MLflow."""
        said = {"note": self.text, "tags": ", ".join(self.tags)}
        return {name: value for name, value in said.items() if value}

    def json(self) -> str:
        """Return what `parsed` reads."""
        return json.dumps(asdict(self), indent=1) + "\n"


NO_NOTE = Note()


def parsed(text: str) -> Note:
    """Return the note that `Note.json` wrote; an empty one for ""."""
    facts = json.loads(text) if text else {}
    return Note(text=facts.get("text", ""), tags=tuple(facts.get("tags", ())))


def read_note(storage: Storage, folder: Key) -> Note:
    """Return the note of the study or sweep in this folder, an empty one where there is none."""
    key = folder / layout.NOTE
    return parsed(storage.get(key).decode() if storage.exists(key) else "")


def annotate(storage: Storage, folder: Key, text: str | None, tags: Sequence[str]) -> Note:
    """Write what is given over what there is, and return both. text: None leaves the earlier one.

    Tags are added to the earlier ones; "" as the text takes it away, and a tag "-word" the word.
    """
    before = read_note(storage, folder)
    gone = {tag[1:] for tag in tags if tag.startswith("-")}
    new = [tag for tag in tags if not tag.startswith("-")]
    kept = tuple(tag for tag in dict.fromkeys((*before.tags, *new)) if tag not in gone)
    note = Note(text=before.text if text is None else text, tags=kept)
    if note != before:
        storage.write_text(folder / layout.NOTE, note.json())
    return note
