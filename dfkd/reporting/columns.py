"""Tables in a terminal of any width: numbers stay whole, names wrap, columns never vanish.

What is too wide for the terminal first wraps its texts, then goes on in a further table below,
which begins with the same first column.
"""

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

GAP = 2  # between columns
NARROWEST, WORD = 12, 16  # a column of text keeps words of up to WORD characters whole
LONGEST_NUMBER = 24  # longer cells are text, which may wrap: "-13.8 to -8.4" is a number


class Columns:
    """Header and rows of a table as plain text. text: the columns that are text, beside the first.

    A column with a cell of more than LONGEST_NUMBER characters is text as well.
    """

    def __init__(
        self, header: Sequence[str], rows: Sequence[Sequence[str]], text: Sequence[str] = ()
    ) -> None:
        # names of parameters may break at their first "."
        self.heads = [name.replace(".", ".\n", 1) for name in header]
        self.rows = [[cell.replace("\n", " ") for cell in row] for row in rows]
        self.cells = [max((cell_len(row[i]) for row in self.rows), default=0) for i in self.all()]
        self.named = [name in text for name in header]
        self.is_text = [
            i == 0 or self.named[i] or self.cells[i] > LONGEST_NUMBER for i in self.all()
        ]

    def all(self) -> range:
        """Return the indices of all columns."""
        return range(len(self.heads))

    def natural(self, i: int) -> int:
        """Return the width in which a column needs not wrap, in cells of the terminal."""
        return max(self.cells[i], *(cell_len(line) for line in self.heads[i].split("\n")))

    def least(self, i: int) -> int:
        """Return the width below which a column must not go."""
        if not self.is_text[i]:
            return self.natural(i)
        words = (cell_len(word) for row in self.rows for word in row[i].split())
        longest = max((width for width in words if width <= WORD), default=0)
        return min(self.natural(i), max(NARROWEST, longest))

    def groups(self, width: int | None) -> Iterator[list[int]]:
        """Yield the columns of each table, such that it fits. width: None has room for all."""
        group = [0]
        for i in self.all()[1:]:
            wide = sum(self.least(j) + GAP for j in (*group, i)) - GAP
            if width is not None and wide > width and len(group) > 1:
                yield group
                group = [0]
            group.append(i)
        yield group

    def table(self, group: Sequence[int], title: str, width: int | None) -> Table:
        """Return the table of these columns. title: "" for none."""
        natural, least = (
            sum(size(i) + GAP for i in group) - GAP for size in (self.natural, self.least)
        )
        table = Table(
            title=Text(title) if title else None,
            title_justify="left",
            box=None,
            pad_edge=False,
            header_style="bold",
            width=natural if width is None else max(min(natural, width), least),
        )
        for i in group:
            table.add_column(
                Text(self.heads[i]),
                justify="left" if i == 0 or self.named[i] else "right",
                no_wrap=not self.is_text[i],
                overflow="fold",
                min_width=self.least(i),
            )
        for row in self.rows:
            table.add_row(*(Text(row[i]) for i in group))
        return table


def tables(
    title: str,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    text: Sequence[str],
    width: int | None,
) -> Iterator[Table]:
    """Yield the tables, mostly one, that show these rows in a terminal of this width."""
    columns = Columns(header, rows, text)
    for number, group in enumerate(columns.groups(width)):
        yield columns.table(group, "" if number else title, width)
