"""Results from elsewhere, a table or an experiment in MLflow, as a study that can be analysed.

One row is one run: which variant it is, in which block (what its partners share, such as a seed or
a fold), and a metric of which more is better.
"""

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pandas as pd

from dfkd.identity import digest
from dfkd.reporting.nearest import nearest
from dfkd.reporting.numbers import counted
from dfkd.reporting.shell import command
from dfkd.storage.ledger import MEASURES
from dfkd.storage.variables import expanded
from dfkd.studies.findings import Elsewhere, StudyData
from dfkd.studies.reading import ROW
from dfkd.tracking.reading import Tracked

MLFLOW = "mlflow:"  # before an experiment's name
BLOCKS = ("block", "seed", "fold")  # names that are looked for, in this order
LONG = ("metric", "value")  # columns of a table with one row per metric
NAMELESS = re.compile(r"\s*$|Unnamed: \d+$")  # the numbers of rows, as pandas writes and reads them
LESS = re.compile(r"loss|error|perplexity|(^|\W|_)(err|ppl|nll|wer|cer|mse|rmse|mae|fid)($|\W|_)")
COMMENTS = re.compile(r"\A(\s*#( [^\n]*|[^,;\t|\n]*)\n)+")  # a column of numbers may be called "#"
NO_TEXT = "it is no text in UTF-8: save it as such"
DECIMAL_COMMA = re.compile(r"^(\d+),(\d+)$")
Row = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which columns (in MLflow params, tags and metrics) say what; "" is looked for.

    baseline: the variant that all others are compared with; "" is that of the first row.
    """

    variant: str = "variant"
    block: str = ""
    metric: str = ""
    baseline: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of text by the names of their columns. metrics: columns that may be the metric."""

    name: str
    where: str
    rows: Sequence[Row]
    metrics: Sequence[str]


def read_own(source: str, columns: Columns, tracking_uri: str) -> StudyData:
    """Return the study in a CSV file, or in "mlflow:EXPERIMENT" of a tracking server.

    Raises ValueError with one line for what cannot be a table of results.
    """
    if source.startswith(MLFLOW):
        table = from_mlflow(source.removeprefix(MLFLOW), tracking_uri)
    else:
        table = from_csv(expanded(source))
    data = study_of(table, columns)
    asked = {name: value for name, value in asdict(columns).items() if value not in ("", name)}
    again = command("compare", "", {"from": source, **asked}, {})
    return replace(data, provenance={"command": (again,), **data.provenance})


def from_csv(path: Path) -> Table:
    """Return the table in a file in UTF-8: a line of names, then rows; "," ";" "|" or tab between.

    Lines before it that begin with "#" are comments.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else NO_TEXT
        raise ValueError(f"the results {path} cannot be read: {why}") from error
    text = COMMENTS.sub("", text)
    first = text.split("\n", 1)[0]
    between = max(",;\t|", key=first.count)
    reader = csv.DictReader(io.StringIO(text), delimiter=between, strict=True)
    rows = list(reader)
    counts = Counter(name.strip() for name in reader.fieldnames or ())
    if twice := [name for name, n in counts.items() if n > 1 and not NAMELESS.match(name)]:
        raise ValueError(f"the results {path} have two columns {twice[0]!r}: give each its name")
    ragged = [i for i, row in enumerate(rows, start=2) if None in row or None in row.values()]
    if ragged or not rows:
        said = f"line {ragged[0]} has another number of columns" if rows else "it has no rows"
        raise ValueError(f"the results {path} cannot be read: {said}")
    kept = [
        {name.strip(): text.strip() for name, text in row.items() if not NAMELESS.match(name)}
        for row in rows
    ]
    names = list(kept[0])
    if set(LONG) <= set(names):
        return _widened(path, kept)
    return Table(name=path.stem, where=str(path), rows=kept, metrics=names)


def _widened(path: Path, rows: Sequence[Row]) -> Table:
    """Return a table with a row per metric as one with a column for each."""
    names = list(dict.fromkeys(row["metric"] for row in rows))
    wide = [
        {**{n: v for n, v in row.items() if n not in LONG}, row["metric"]: row["value"]}
        for row in rows
    ]
    return Table(name=path.stem, where=str(path), rows=wide, metrics=names)


def from_mlflow(experiment: str, tracking_uri: str) -> Table:
    """Return the finished runs of an experiment, each with its params, tags and metrics."""
    tracked = Tracked(tracking_uri, experiment)
    rows, metrics = list[Row](), dict[str, None]()
    for run in tracked.finished():
        numbers = {name: repr(value) for name, value in run.data.metrics.items()}
        metrics |= dict.fromkeys(numbers)
        rows.append({**run.data.tags, **run.data.params, **numbers})
    if not rows:
        raise ValueError(f"{tracked.where} has no finished run")
    return Table(name=experiment, where=tracked.where, rows=rows, metrics=list(metrics))


def study_of(table: Table, columns: Columns) -> StudyData:
    """Return the rows that have all three columns as a study."""
    names = list(dict.fromkeys(name for row in table.rows for name in row))
    variant = _found(columns.variant, names)
    block = _found(columns.block, names) if columns.block else _block_in(names)
    for name, option in ((variant, "--variant"), (block, "--block")):
        if name not in names:
            raise ValueError(_lacks(name, option, table, names))
    metric = _found(columns.metric or _only_metric(table, {variant, block}), table.metrics)
    if metric not in table.metrics:
        raise ValueError(_lacks(metric, "--metric", table, table.metrics))
    wanted = (variant, block, metric)
    used = [row for row in table.rows if all(row.get(name, "") != "" for name in wanted)]
    if not used:
        raise ValueError(f"{table.where} has no row with {', '.join(wanted)}")
    values = _values(used, metric, table)
    fractions = max(values) <= 1 and not any("%" in row[metric] for row in used)
    scale = 1.0 if fractions else 100.0
    cells = _cells(used, [value / scale for value in values], table, variant, block)
    variants = list(cells["variant"].cat.categories)
    baseline = columns.baseline or variants[0]
    if baseline not in variants:
        raise ValueError(f"there is no variant {baseline!r}: {nearest(baseline, variants)}")
    remarks = [] if fractions else _mixed(values, [row[metric] for row in used])
    if left_out := len(table.rows) - len(used):
        remarks.append(f"{counted(left_out, 'row')} without one of {', '.join(wanted)}: left out")
    if LESS.search(metric.lower()):
        remarks.append(f"more {metric} is taken to be better: if less is, read better as worse")
    blocks = tuple(sorted(cells["block"].unique()))
    return StudyData(
        name=table.name,
        question=f"What differs in {table.name}?",
        baseline=baseline,
        params={name: {} for name in variants},
        changes={name: {} for name in variants},
        blocks=blocks,
        cells=cells,
        curves=pd.DataFrame(columns=["variant", "block", "step", *MEASURES]),
        provenance={"results": (table.where,), "content": (digest([dict(r) for r in used])[:12],)},
        test_images=None,
        looks=None,
        looked=(len(blocks),),
        errors={},
        check="",
        remarks=tuple(remarks),
        elsewhere=Elsewhere(metric=metric, block=block),
    )


def _found(name: str, names: Sequence[str]) -> str:
    """Return the column that is called so, else the only one that is but for capital letters."""
    alike = [other for other in names if other.lower() == name.lower()]
    return alike[0] if name not in names and len(alike) == 1 else name


def _block_in(names: Sequence[str]) -> str:
    found = [_found(name, names) for name in BLOCKS]
    return next((name for name in found if name in names), BLOCKS[0])


def _lacks(name: str, option: str, table: Table, names: Sequence[str]) -> str:
    return f"{table.where} has no column {name!r} ({option}): {nearest(name, names)}"


def _only_metric(table: Table, others: set[str]) -> str:
    found = [name for name in table.metrics if name not in others]
    if len(found) != 1:
        raise ValueError(
            f"{table.where} has {len(found)} columns that may be the metric"
            + (f" ({', '.join(found[:20])})" if found else "")
            + ": name one with --metric"
        )
    return found[0]


def _values(rows: Sequence[Row], metric: str, table: Table) -> list[float]:
    """Return the metric of each row as it stands there, a fraction or per cent."""
    values = [_number(row[metric], metric, table) for row in rows]
    if not all(0 <= value <= 100 for value in values):
        odd = next(value for value in values if not 0 <= value <= 100)
        raise ValueError(
            f"{metric} in {table.where} must lie between 0 and 1, or 0 and 100 per cent, the more "
            f"the better, but got {odd:g}"
        )
    return values


def _cells(
    rows: Sequence[Row], values: Sequence[float], table: Table, variant: str, block: str
) -> pd.DataFrame:
    """Return a row of `StudyData.cells` for each row. values: fractions."""
    labels = _labels([row[block] for row in rows])
    seen = dict[tuple[str, str], None]()
    made = []
    for row, value, label in zip(rows, values, labels, strict=True):
        at = (row[variant], row[block])
        if at in seen:
            raise ValueError(
                f"{table.where} has two rows of {variant} {at[0]!r} in {block} {at[1]!r}: keep one"
            )
        seen[at] = None
        made.append(
            {"variant": row[variant], "block": label, "seed": label, "draw": 0, "teacher": 0}
            | {"cell": "", "state": "finished", "value": value}
            | {"seconds": math.nan, "reused": False}
        )
    frame = pd.DataFrame(made, columns=[*ROW])
    order = list(dict.fromkeys(frame["variant"]))
    return frame.assign(variant=pd.Categorical(frame["variant"], order))


def _mixed(values: Sequence[float], texts: Sequence[str]) -> list[str]:
    """Return what has to be said where fractions may stand among percentages."""
    both = zip(values, texts, strict=True)
    small = sum(0 < value <= 1 for value, text in both if "%" not in text)
    if not small:
        return []
    return [f"{small} of {len(values)} values are not above 1: read as per cent, like the others"]


def _number(text: str, metric: str, table: Table) -> float:
    """Return what stands there, with a point or, as 71,3, a comma, and with or without a "%"."""
    plain = DECIMAL_COMMA.sub(r"\1.\2", text.removesuffix("%").strip())
    try:
        value = float(plain)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(
            f"{metric} in {table.where} must be a number, but got {text!r}: of a run that failed, "
            "leave the row out; of one that diverged, give what chance gives"
        )
    return value


def _labels(texts: Sequence[str]) -> list[int] | list[str]:
    """Return blocks as numbers where all of them are, so that 10 comes after 9."""
    return [int(text) for text in texts] if all(t.isdecimal() for t in texts) else list(texts)
