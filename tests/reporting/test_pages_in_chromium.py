"""A page in a real browser: narrow or wide, dark or light, sorted by a click; what marks say."""

import asyncio
import re
from html import unescape
from pathlib import Path

import chromium
import pytest
from searches import write_sweep
from synthetic import STUDY, data, with_classes, write_study

from dfkd.comparison.comparing import compare
from dfkd.reporting.console import Console
from dfkd.storage import FolderStorage
from dfkd.studies.findings import find
from dfkd.studies.page import written

WIDTHS = (390, 768, 1280)
# the texts of figures that reach over an edge
OUTSIDE = """[...document.querySelectorAll('svg text')].filter(text => {
  const [own, all] = [text, text.ownerSVGElement].map(drawn => drawn.getBoundingClientRect());
  return own.left < all.left - 1 || own.right > all.right + 1
    || own.top < all.top - 1 || own.bottom > all.bottom + 1;
}).map(text => text.textContent)"""
ANOTHER_FONT = (
    "document.querySelectorAll('svg text').forEach(text => text.style.fontFamily = 'Arial')"
)
needs_chromium = pytest.mark.skipif(not chromium.is_there(), reason="Chromium is not installed")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A study, a sweep, both side by side, and a study with classes."""
    root = tmp_path_factory.mktemp("pages")
    write_study(root, "components", STUDY, {"without selection": -0.08})
    write_sweep(root)
    compare([], FolderStorage(root), None, log=False, console=Console(quiet=True))
    found = {path.parents[1].name: path for path in root.rglob("index.html")}
    made = with_classes(data(root / "other", STUDY, {"without selection": -0.08}), 10)
    found["classes"] = root / "classes.html"
    found["classes"].write_text(written(find(made))["index.html"], encoding="utf-8")
    return found


def test_marks_say_what_they_are_in_every_page(pages: dict[str, Path]) -> None:
    study, sweep = (pages[n].read_text(encoding="utf-8") for n in ("components", "digits-174ed102"))
    titles = [unescape(text) for text in re.findall(r"<title>([^<]*)</title>", study)[1:]]
    assert any(t.startswith("without selection: -7.") and "8 blocks" in t for t in titles)
    assert sum("s a cell" in t for t in titles) == 5
    trials = re.findall(r"<title>trial (\d+): probe [\d.]+, selection.ratio", sweep)
    assert set(trials) == {str(number) for number in range(24)}


async def look(page: chromium.Page, address: str, width: int, scheme: str) -> dict[str, object]:
    """Return what a person sees of a page at this width."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    await page.call("Emulation.setEmulatedMedia", features=features)
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    await page.call("Emulation.setDeviceMetricsOverride", **size)
    await page.call("Page.navigate", url=address)
    await page.wait(f"document.readyState === 'complete' && location.href === '{address}'")
    return {
        "overflow": await page.value("document.documentElement.scrollWidth - innerWidth"),
        "paper": await page.value("getComputedStyle(document.body).backgroundColor"),
        "overlapping": await page.value(
            "[...document.querySelectorAll('td')].filter(d => d.scrollWidth > d.clientWidth + 1)"
            ".map(d => d.innerText)"
        ),
        "outside": [await page.value(OUTSIDE), await page.value(f"{ANOTHER_FONT}, {OUTSIDE}")],
        "names": await page.value(
            "Math.min(...[...document.querySelectorAll('.results td:first-child')]"
            ".map(d => d.clientWidth), 999)"
        ),
        "figure": await page.value(
            "Math.min(...[...document.querySelectorAll('figure.plot svg')]"
            ".map(s => s.getBoundingClientRect().width))"
        ),
    }


async def sorted_by(page: chromium.Page, column: int) -> tuple[list[str], str]:
    """Click on the head of a column of the first table; return its cells and how it is sorted."""
    await page.value(f"document.querySelectorAll('table thead th')[{column}].click()")
    rows = "[...document.querySelector('table').tBodies[0].rows]"
    cells = f"{rows}.map(row => row.cells[{column}].innerText)"
    head = f"document.querySelectorAll('table thead th')[{column}].ariaSort"
    return await page.value(cells), await page.value(head)


@needs_chromium
def test_pages_fit_any_width_and_light(pages: dict[str, Path], tmp_path: Path) -> None:
    async def visit() -> None:
        async with chromium.opened("about:blank", tmp_path / "profile") as page:
            for path in pages.values():
                for width in WIDTHS:
                    seen = await look(page, path.as_uri(), width, "light")
                    assert (
                        float(str(seen["overflow"])) <= 0 and seen["paper"] == "rgb(255, 255, 255)"
                    ), path
                    assert seen["overlapping"] == [] and float(str(seen["names"])) > 90, (
                        path,
                        width,
                    )
                    assert 560 <= float(str(seen["figure"])) <= 1000
                    assert seen["outside"] == [[], []], (path, width)
            seen = await look(page, pages["components"].as_uri(), 768, "dark")
            assert seen["paper"] == "rgb(20, 20, 20)"

    asyncio.run(visit())


@needs_chromium
def test_tables_are_sorted_by_a_click(pages: dict[str, Path], tmp_path: Path) -> None:
    async def visit() -> None:
        async with chromium.opened(pages["components"].as_uri(), tmp_path / "profile") as page:
            await page.wait("!!document.querySelector('th[title]')")
            rising, how = await sorted_by(page, 1)
            assert rising == sorted(rising, key=float) and how == "ascending"
            falling, how = await sorted_by(page, 1)
            assert falling == rising[::-1] and how == "descending"
            points, _ = await sorted_by(page, 3)
            assert points[-1] == "" and points[0].startswith("-7")  # the baseline has none
            assert points[:-1] == sorted(points[:-1], key=float)

    asyncio.run(visit())
