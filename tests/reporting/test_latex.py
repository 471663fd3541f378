"""The LaTeX of reports: escaped whatever users write, and compiled where a LaTeX is installed."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from papers import check, document
from synthetic import GAINS, STUDY, data, factors, with_classes

from dfkd import recipes
from dfkd.reporting.latex import cell, escape
from dfkd.stats.designs import full_factorial
from dfkd.studies import Study
from dfkd.studies.findings import find
from dfkd.studies.page import written

pytestmark = pytest.mark.filterwarnings("ignore:Glyph")  # the figures' font has no Chinese
NASTY = 'a_b & 50 % of {x} #1 <~^> \\end "τ" |ü| → 学 ½ \t$5'


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return the tables of three studies.

    Components with classes, a factorial, and one whose names are all special characters.
    """
    folder = tmp_path_factory.mktemp("storage")
    bare, changes = factors()
    factorial = Study(
        question="Which together?",
        variants=full_factorial(bare, changes),
        baseline="base",
        blocks=3,
    )
    e = recipes.digits()
    variants = {NASTY: e, f"-1 {NASTY}": replace(e, dropping=None)}
    nasty = Study(question=NASTY, variants=variants, baseline=NASTY, blocks=3)
    components = with_classes(data(folder / "a", STUDY, GAINS), 10)
    found = [
        components,
        data(folder / "b", factorial, {}),
        with_classes(data(folder / "c", nasty, {}), 100),
    ]
    files = [written(find(made)) for made in found]
    return [text for of_study in files for name, text in of_study.items() if name.endswith(".tex")]


def test_tables_are_well_formed(texts: list[str]) -> None:
    assert len(texts) == 5
    for text in texts:
        check(text)
    assert texts[2].count(r"\begin{table}") == 2  # the factorial's effects


@pytest.mark.parametrize(
    "broken", [r"\begin{a}", "50 %", "a_b", "a & b", "{", "$x", r"\end{a}", "学"]
)
def test_the_check_finds_what_is_broken(broken: str) -> None:
    with pytest.raises((AssertionError, IndexError)):
        check(document(broken))


def test_escaped_text_reads_as_before() -> None:
    assert escape("τ ≤ 5 % of a_b") == r"$\tau$ $\le$ 5 \% of a\_b"
    assert escape("Größe, Nguyễn, 学 ²") == "Größe, Nguyen, ? $^{2}$"
    assert escape("🚀 🇩🇪 \x00\x85") == "? ??  ?"
    assert (
        cell("-1.5 to +0.2") == "$-1.5$ to $+0.2$"
        and cell("< .001") == "$< .001$"
        and cell("a-1") == "a-1"
    )


def test_any_character_can_be_escaped() -> None:
    beyond = [*range(0x3000), *range(0xD7FF, 0xE010), *range(0x1F000, 0x1FB00)]
    assert all(escape(chr(code)) for code in beyond)


@pytest.mark.slow
def test_the_tables_compile(texts: list[str], tmp_path: Path) -> None:
    engine = shutil.which("pdflatex") or shutil.which("tectonic")
    if engine is None:
        pytest.skip("neither pdflatex nor tectonic is installed")
    (tmp_path / "paper.tex").write_text(document(*texts))
    options = [] if engine.endswith("tectonic") else ["-interaction=nonstopmode", "-halt-on-error"]
    done = subprocess.run(
        [engine, *options, "paper.tex"], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert (tmp_path / "paper.pdf").stat().st_size > 10_000
