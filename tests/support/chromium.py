"""A page in headless Chromium, driven through its DevTools protocol as a person would use it."""

import asyncio
import base64
import json
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update --window-size=1500,1100 "
    "--remote-debugging-port=0"
)
PATIENCE_S = 90.0


def is_there() -> bool:
    """Return whether Chromium is installed."""
    return shutil.which("chromium") is not None


class Page:
    """A page of the browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._calls = socket, 0

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        self._calls += 1
        await self._socket.send_json({"id": self._calls, "method": method, "params": params})
        while True:
            answer = json.loads((await self._socket.receive()).data)
            if answer.get("id") == self._calls:
                return dict(answer["result"])

    async def value(self, script: str) -> Any:
        """Return the value of a JavaScript expression, None while it raises."""
        found = await self.call("Runtime.evaluate", expression=script, returnByValue=True)
        return None if "exceptionDetails" in found else found["result"].get("value")

    async def wait(self, script: str) -> Any:
        """Return the value of an expression as soon as it is true."""
        for _ in range(int(PATIENCE_S / 0.2)):
            if found := await self.value(script):
                return found
            await asyncio.sleep(0.2)
        shown = await self.value("document.body.innerText")
        raise AssertionError(f"never true: {script}\n{shown}")

    async def click(self, element: str, shift: bool = False) -> None:
        """Click with the mouse on the element that this expression gives, once it is there."""
        await self.wait(f"(({element}).scrollIntoView({{block: 'center'}}), true)")
        middle = (
            f"(b => [b.x + b.width / 2, b.y + b.height / 2])(({element}).getBoundingClientRect())"
        )
        before = None
        while (at_rest := await self.wait(middle)) != before:  # a page moves as it loads
            before = at_rest
            await asyncio.sleep(0.3)
        x, y = at_rest
        for kind in ("mousePressed", "mouseReleased"):
            at = {"x": x, "y": y, "button": "left", "clickCount": 1, "modifiers": 8 * shift}
            await self.call("Input.dispatchMouseEvent", type=kind, **at)

    async def picture(self, file: Path) -> None:
        """Write what is seen as a PNG."""
        shot = await self.call("Page.captureScreenshot", format="png")
        file.write_bytes(base64.b64decode(shot["data"]))


@asynccontextmanager
async def opened(url: str, folder: Path) -> AsyncIterator[Page]:
    """Open a page in a browser of its own, whose profile lies in the folder."""
    command = ["chromium", *OPTIONS.split(), f"--user-data-dir={folder}", url]
    browser = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        async with aiohttp.ClientSession() as http:
            address = await _page_of(http, folder / "DevToolsActivePort")
            async with http.ws_connect(address, max_msg_size=0) as socket:
                yield Page(socket)
    finally:
        os.killpg(browser.pid, signal.SIGKILL)
        browser.wait()


async def _page_of(http: aiohttp.ClientSession, port_file: Path) -> str:
    """Return the address of the first page, once the browser has written down its port."""
    for _ in range(int(PATIENCE_S / 0.2)):
        if port_file.exists() and (lines := port_file.read_text().splitlines()):
            async with http.get(f"http://127.0.0.1:{lines[0]}/json") as answer:
                pages = [page for page in await answer.json() if page["type"] == "page"]
            if pages:
                return str(pages[0]["webSocketDebuggerUrl"])
        await asyncio.sleep(0.2)
    raise AssertionError("Chromium did not start")
