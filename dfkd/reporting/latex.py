r"""Tables for papers in booktabs LaTeX, from plain text, for any LaTeX engine.

Text is escaped, and numbers are set in math mode.
"""

import re
import unicodedata
from collections.abc import Sequence

NEEDS = "% needs \\usepackage{booktabs}\n"  # the first line of a file of tables
ESCAPES = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "−": "$-$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "→": r"$\to$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "≠": r"$\ne$",
    "≈": r"$\approx$",
    "∞": r"$\infty$",
    "…": r"\ldots{}",
    "–": "--",
    "—": "---",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
    "·": r"$\cdot$",
    "°": r"$^{\circ}$",
    "µ": r"$\mu$",
    "²": "$^{2}$",
    "³": "$^{3}$",
    "½": r"$\frac{1}{2}$",
}
GREEK = (  # other capitals look as Latin ones do
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau "
    "upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
)
LAST_LATIN = 0x17F  # pdfLaTeX reads accented letters up to here by itself
NUMBER = re.compile(r"(< )?[+-]?\d*\.?\d+")


def escape(text: str) -> str:
    """Return plain text for LaTeX.

    A letter that pdfLaTeX does not know loses its accents, or becomes "?".
    """
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    if character in ESCAPES:
        return ESCAPES[character]
    if character.isascii():
        return character if character.isprintable() else " "
    words = unicodedata.name(character, "?").replace("LAMDA", "LAMBDA").split()
    script, letter = words[0], words[-1]
    greek = letter.capitalize() if "CAPITAL" in words else letter.lower()
    if script == "GREEK" and greek in GREEK.split():
        return rf"$\{greek}$"
    if script == "LATIN" and ord(character) <= LAST_LATIN:
        return character
    return escape(unicodedata.normalize("NFD", character).encode("ascii", "ignore").decode()) or "?"


def cell(text: str) -> str:
    """Return a cell of a table: numbers, and ranges of them, in math mode for their minus."""
    parts = text.split(" to ")
    if all(NUMBER.fullmatch(part) for part in parts):
        return " to ".join(f"${part}$" for part in parts)
    return escape(text)


def table(
    *,
    caption: str,
    label: str,
    header: Sequence[str],
    body: Sequence[Sequence[str]],
    left: Sequence[int] = (0,),
) -> str:
    r"""Return a floating table; it needs \usepackage{booktabs}.

    left: the columns that are set flush left.
    """
    columns = "".join("l" if i in left else "r" for i in range(len(header)))
    lines = [
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{escape(caption)}}}",
        rf"  \label{{tab:{_label(label)}}}",
        r"  \small",
        r"  \setlength{\tabcolsep}{4pt}",
        rf"  \begin{{tabular}}{{{columns}}}",
        r"    \toprule",
        f"    {_row([escape(name) for name in header])}",
        r"    \midrule",
        *(f"    {_row([cell(text) for text in row])}" for row in body),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _label(name: str) -> str:
    return "".join(
        character if character.isascii() and character.isalnum() else "-" for character in name
    )
