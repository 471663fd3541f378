"""An ablation compared where people do it: a real server's search, and its compare page."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import chromium
import pytest
from mlflow_records import outcome
from mlflow_server import Server, serving

from dfkd.storage import FolderStorage
from dfkd.tracking import FACTOR, Tracker
from dfkd.tracking.tracker import RUNS

LEVELS = {  # variant -> whether dropping and implicit loss are on
    "full": ("on", "on"),
    "without dropping": ("off", "on"),
    "without implicit": ("on", "off"),
    "base": ("off", "off"),
}
TESTS = {"full": 0.95, "without dropping": 0.85, "without implicit": 0.91, "base": 0.8}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that knows a study of four variants in three blocks."""
    with serving(tmp_path_factory.mktemp("server")) as server:
        lines: list[str] = []
        storage = FolderStorage(tmp_path_factory.mktemp("storage"))
        tracker = Tracker(storage, server.ready(), warn=lines.append)
        parent = tracker.parent(
            kind="study", name="losses", identity="study losses", params={}, tags={}
        )
        for variant, (dropping, implicit) in LEVELS.items():
            tags = {"study": "losses", "variant": variant}
            tags |= {f"{FACTOR}dropping": dropping, f"{FACTOR}implicit": implicit}
            for block in range(3):
                cell = outcome(f"{variant} {block}", test=TESTS[variant] + 0.01 * block)
                cell.block["seed"] = block
                tracker.cell(cell, parent, role="variant", name=cell.cell, tags=tags)
        assert tracker.close() and lines == []
        yield server


def found(server: Server, condition: str) -> dict[str, str]:
    """Return the runs that meet a condition, name -> id."""
    runs = server.client().search_runs(["1"], condition)
    return {str(run.info.run_name): run.info.run_id for run in runs}


def test_variants_are_found_by_metric_param_and_factor(server: Server) -> None:
    condition = "metrics.test > 0.9 and params.variant = 'without implicit'"
    assert found(server, condition).keys() == {f"without implicit {i}" for i in range(3)}
    factor = f"params.`{FACTOR}dropping` = 'on' and params.block = '1.d1' and metrics.test > 0.9"
    assert found(server, factor).keys() == {"full 1", "without implicit 1"}


@pytest.mark.slow
@pytest.mark.skipif(not chromium.is_there(), reason="Chromium is not installed")
def test_the_compare_page_draws_boxes_by_variant_and_lines_by_factor(
    server: Server, tmp_path: Path
) -> None:
    boxes, lines = asyncio.run(_drawn(f"{server.uri}/#/experiments/1/{RUNS}", tmp_path))
    drawn = {name: [round(value, 2) for value in values] for name, values in boxes.items()}
    assert drawn == {
        name: [round(TESTS[name] + 0.01 * block, 2) for block in range(3)] for name in LEVELS
    }
    # chosen by the page itself: what differs, in alphabetical order, and the first metric
    assert lines == ["block", "factor.dropping", "factor.implicit", "test"]


async def _drawn(url: str, folder: Path) -> tuple[dict[str, list[float]], list[str]]:
    """Return the boxes, name and values, and the axes of the parallel coordinates.

    url: the address that commands print, from which the study's runs are chosen as docs say.
    """
    async with chromium.opened(url, folder / "profile") as page:
        await page.click(_in_row(0, "[aria-colindex='2'] svg"))  # the + of the study
        await page.click(_in_row(1, "input"))
        await page.click(_in_row(3 * len(LEVELS), "input"), shift=True)
        await page.picture(folder / "chosen.png")
        await page.click(_called("button", "Compare"))
        lines = await page.wait(
            "document.querySelector('.js-plotly-plot').data[0].dimensions.map(d => d.label)"
        )
        await page.picture(folder / "lines.png")
        await page.click(_called("[role=tab]", "Box Plot"))
        for axis, name in {"x": "variant", "y": "test"}.items():
            await page.click(f"document.querySelector('#{axis}-axis-selector')")
            await page.click(_called("[role=option]", name))
        boxes = await page.wait(
            "(b => b.length && b)([...document.querySelectorAll('.js-plotly-plot')]"
            ".flatMap(plot => plot.data).filter(trace => trace.type == 'box')"
            ".map(trace => [trace.name, [...trace.y].sort()]))"
        )
        await page.picture(folder / "boxes.png")
    return dict(boxes), lines


def _in_row(row: int, what: str) -> str:
    return f"""document.querySelector(".ag-row[row-index='{row}'] {what}")"""


def _called(kind: str, text: str) -> str:
    return f"[...document.querySelectorAll('{kind}')].find(e => e.textContent.trim() == '{text}')"
