"""Names that people give are shown as they are: no markup, in no format, and in every figure."""

import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from papers import check
from synthetic import data

from dfkd import recipes
from dfkd.reporting.markdown import as_text, markdown_table
from dfkd.studies import Study
from dfkd.studies import figures as plots
from dfkd.studies.findings import Findings, find
from dfkd.studies.page import written

NAMES = (
    "_hidden",
    "w/o [/] *x* | `y`",
    "$x^2$ <i>z</i> &amp; ~~so~~",
    "没有隐式损失",
    "C:\\temp\\{a}% #1 [b](c)",
)
QUESTION = "Does $x_1$ & <b>more</b> *matter* | [really](http://x)?"


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    base = recipes.digits()
    variants = {
        name: replace(base, schedule=replace(base.schedule, learning_rate=0.001 * (i + 1)))
        for i, name in enumerate(NAMES)
    }
    study = Study(question=QUESTION, variants=variants, baseline=NAMES[0], blocks=3)
    return find(data(tmp_path_factory.mktemp("storage"), study, {NAMES[1]: 0.05}))


@pytest.fixture(scope="module")
def files(findings: Findings) -> dict[str, str]:
    return written(findings)


class Text(HTMLParser):
    """Collects the text of table cells and headings of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.cells, self.open = list[str](), False

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in ("td", "h1", "h2"):
            self.open = True
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        self.open = self.open and tag not in ("td", "h1", "h2")

    def handle_data(self, data: str) -> None:
        if self.open:
            self.cells[-1] += data


def texts_of(html: str) -> list[str]:
    reader = Text()
    reader.feed(html)
    return reader.cells


def rendered(markdown: str) -> str:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(markdown)


@pytest.mark.parametrize("file", ["index.html", "report.md"])
def test_pages_show_names_and_the_question_as_they_are(files: dict[str, str], file: str) -> None:
    html = files[file] if file.endswith("html") else rendered(files[file])
    shown = texts_of(html)
    assert all(name in shown for name in NAMES) and QUESTION in shown


def test_figures_show_names_as_they_are(findings: Findings) -> None:
    drawn = plots.figures(findings)
    assert tuple(text.get_text() for text in drawn["cost"].legends[0].get_texts()) == NAMES
    ticks = [label.get_text() for label in drawn["effects"].axes[0].get_yticklabels()]
    assert tuple(ticks) == NAMES[1:]
    assert not any(label.get_parse_math() for label in drawn["effects"].axes[0].get_yticklabels())


def test_papers_show_names_as_they_are(files: dict[str, str]) -> None:
    check(files["table.tex"])
    assert r"C:\textbackslash{}temp\textbackslash{}\{a\}\% \#1 [b](c)" in files["table.tex"]
    assert r"\$x\textasciicircum{}2\$" in files["table.tex"]


TEXTS = (
    *NAMES,
    *("# head", "1. one", "- x", "> quote", "---", "+ x", "a_b_c __init__ _x_", "<!-- x -->"),
    *(
        "**b** ~s~ `c`",
        "selection.learning_rate",
        "[^1] and [a]: b",
        "\\*",
        "&lt;",
        "-7.4",
        "< .001",
    ),
)


@pytest.mark.parametrize("text", TEXTS)
def test_markdown_shows_a_text_as_it_is(text: str) -> None:
    for source, tag in (
        (as_text(text), "p"),
        (f"## {as_text(text)}", "h2"),
        (f"- {as_text(text)}", "li"),
    ):
        html = rendered(source).strip()
        inside = re.search(rf"<{tag}>(.*)</{tag}>", html, re.DOTALL)
        assert inside is not None and unescape(inside[1]) == text, html
    table = texts_of(rendered("\n".join(markdown_table(["x"], [[text]]))))
    assert table == [text]


@pytest.mark.parametrize("text", ["selection.ratio_b", "-13.8 to -8.4", "94.5", "w/o implicit (2)"])
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert as_text(text) == text


@pytest.mark.parametrize("name", ["a \ue123", "方法  一 & <b>", "بدون انتخاب", "\U0001f9ff"])
def test_text_of_figures_is_text_whatever_fonts_are_here(
    tmp_path: Path, name: str, recwarn: pytest.WarningsRecorder
) -> None:
    base = recipes.digits()
    variants = {"full": base, name: replace(base, dropping=None)}
    study = Study(question="?", variants=variants, baseline="full", blocks=3)
    drawing = written(find(data(tmp_path, study, {})))["effects.svg"]
    texts = [unescape(text) for text in re.findall(r"<text [^>]*>([^<]*)</text>", drawing)]
    assert name in texts and "difference to full, points of test accuracy" in texts
    fonts = set(re.findall(r"font-family: ([^;\"]*)", drawing))
    assert fonts == {"'DejaVu Sans', Verdana, Arial, sans-serif"}
    assert not [w for w in recwarn if "missing from font" in str(w.message)]
