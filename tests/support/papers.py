"""A document of a report's tables, and a check of their LaTeX that needs no LaTeX."""

import re

ALLOWED = re.compile(r"[ -~\u00a1-\u017f]*")  # what pdfLaTeX reads without further packages


def document(*tables: str) -> str:
    lines = [
        r"\documentclass{article}",
        r"\usepackage{booktabs}",
        r"\begin{document}",
        *tables,
        r"\end{document}",
    ]
    return "\n".join(lines) + "\n"


def check(text: str) -> None:
    """Check that environments close, rows have their columns and nothing special is unescaped."""
    opened: list[str] = []
    columns = 0
    for line in text.splitlines():
        assert ALLOWED.fullmatch(line), line
        if line.startswith("%"):
            continue
        for kind, name, spec in re.findall(r"\\(begin|end)\{(\w+)\}(?:\{([lrc]+)\})?", line):
            if kind == "begin":
                opened.append(name)
                columns = len(spec) or columns
            else:
                assert opened.pop() == name, line
        bare = re.sub(r"\\(?:[a-zA-Z]+|.)", " ", line)  # without commands and escaped characters
        depth = 0
        for character in bare:
            depth += {"{": 1, "}": -1}.get(character, 0)
            assert depth >= 0, line
        assert depth == 0 and bare.count("$") % 2 == 0, line
        text_only = re.sub(r"\$[^$]*\$", " ", bare)
        assert not re.search(r"[%#~]|[_^<>|\"]", re.sub(r"\{tab:[^}]*\}", "", text_only)), line
        if opened[-1:] == ["tabular"] and line.endswith(r"\\"):
            assert text_only.count("&") == columns - 1, line
        else:
            assert "&" not in text_only, line
    assert not opened
