"""Every selection rule on 10 million rows, and a stable sort of the whole table in NumPy.

The table, its rules and the sort are those of benchmarks/select_100m.py, which measures 100 million
rows and memory. The platform maps its columns from disk, the sort has them in memory, and both have
to choose the same rows.
"""

import time

import numpy as np

from benchmarks.measuring.figures import Bench, Check, Figure, Found, say, seconds
from benchmarks.select_100m import RATIO, RULES, expected, selected, table_of, write

ROUNDS, ROWS = 3, 10_000_000


def measure(bench: Bench) -> Found:
    folder, rows = bench.folder / "table", bench.size(ROWS, 20_000)
    folder.mkdir()
    write(folder, rows)
    table = {name: np.array(column) for name, column in table_of(folder).items()}
    figures, checks = list[Figure](), list[Check]()
    for kind in RULES:
        name, rule = kind.__name__, kind(ratio=RATIO)
        found = [selected(rule, folder) for _ in range(bench.size(ROUNDS, 1))]
        started = time.perf_counter()
        by_sort = expected(rule, table)
        sort_s = time.perf_counter() - started
        figures += [
            seconds(f"{name}, platform", [one.seconds for one in found]),
            seconds(f"{name}, full sort", [sort_s]),
        ]
        say(f"  {name}: {figures[-2].median:.3g} s, full sort {sort_s:.3g} s")
        equal = all(np.array_equal(one.rows, by_sort) for one in found)
        seen = f"{len(by_sort):,} of {rows:,}"
        checks.append(Check(claim=f"{name}: the rows of a full sort", holds=equal, seen=seen))
    return Found(figures=figures, checks=checks)
