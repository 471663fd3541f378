"""Makes the pages of the documentation's site that lie outside docs/, and sets their links right.

A hook of MkDocs (mkdocs.yml); nothing else imports it.
"""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import dfkd

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
LINK = re.compile(r"\]\((?!https?://|#)(?:\.\./)?([^)#\s]+)(#[^)]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add README, CONTRIBUTING, CHANGELOG, the examples and the public API as pages."""
    for source, page in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=_linked(text)))
    files.append(File.generated(config, "examples.md", content=_examples()))
    files.append(File.generated(config, "api.md", content=_api()))
    return files


def on_page_markdown(markdown: str, page: object, config: MkDocsConfig, files: Files) -> str:
    """Set links right that lead from docs/ to what is a generated page here."""
    return _linked(markdown)


def _linked(text: str) -> str:
    """Return the text with links to files of the repository as links between pages."""
    return LINK.sub(lambda match: f"]({_page(match[1])}{match[2] or ''})", text)


def _page(path: str) -> str:
    if path in PAGES:
        return PAGES[path]
    if path.startswith("examples/"):
        return f"examples.md#{Path(path).stem}"
    return path.removeprefix("docs/")


def _examples() -> str:
    """Return all examples: each begins with a docstring that says what it shows."""
    parts = ["# Examples\n\nShort scripts that run as they stand; `examples/` in the repository."]
    for path in sorted((ROOT / "examples").glob("*.py")):
        code = path.read_text(encoding="utf-8")
        parts.append(f"## {path.stem} {{ #{path.stem} }}\n\n```python\n{code}```")
    return "\n\n".join(parts) + "\n"


def _api() -> str:
    """Return the public surface, `dfkd.__all__`."""
    names = [name for name in dfkd.__all__ if name != "__version__"]
    places = {name: dfkd._MODULE_OF[name] for name in names}
    classes = [name for name in names if _is_object(name)]
    modules = [name for name in names if name not in classes]
    parts = ["# API\n\nWhat `dfkd` offers by name; all else may change from version to version."]
    parts += [f"::: {places[name]}.{name}" for name in classes]
    parts += [f"::: {places[name]}.{name}" for name in modules]
    return "\n\n".join(parts) + "\n"


def _is_object(name: str) -> bool:
    return name[0].isupper() or name.startswith("run_") or name == "choose"
