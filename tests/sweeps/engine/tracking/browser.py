"""Headless Chromium, asked by its DevTools protocol: what a page says, and a picture of it."""

import asyncio
import base64
import json
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
MOUSE = "primaryHoverType=2,availableHoverTypes=2,primaryPointerType=4,availablePointerTypes=4"
STARTING_SECONDS, PATIENCE_SECONDS = 60, 90
TEXT = "document.body?.innerText ?? ''"
SIDES = """({width: document.documentElement.clientWidth,
             height: document.documentElement.scrollHeight})"""
LARGEST_ANSWER = 2**26  # bytes: a picture comes as one message


class Browser:
    """A browser with one page; a context manager, which ends it.

    Args:
        folder: for its profile.
        width, height: of the page, in pixels.
    """

    def __init__(self, folder: Path, width: int = 1600, height: int = 1000) -> None:
        self._folder, self._size = folder, f"{width},{height}"
        self.said: Any = None

    def __enter__(self) -> "Browser":
        assert CHROMIUM is not None
        command = [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--remote-debugging-port=0", "--hide-scrollbars", f"--window-size={self._size}",
            f"--user-data-dir={self._folder}", f"--blink-settings={MOUSE}", "about:blank",
        ]  # fmt: skip
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._port = self._read_port()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def _read_port(self) -> int:
        file, deadline = self._folder / "DevToolsActivePort", time.monotonic() + STARTING_SECONDS
        while not (file.exists() and file.read_text().strip()):
            assert self._process.poll() is None, "the browser ended"
            assert time.monotonic() < deadline, "the browser did not start in time"
            time.sleep(0.1)
        return int(file.read_text().split()[0])

    def open(
        self, address: str, wanted: tuple[str, ...] = (), seconds: float = PATIENCE_SECONDS,
        then: float = 1.0, script: str = "", is_dark: bool = False, width: int = 0,
        is_whole: bool = False,
    ) -> tuple[str, bytes]:  # fmt: skip
        """Open a page and wait until it says something.

        Args:
            address: of the page.
            wanted: texts to wait for.
            seconds: how long at most.
            then: how many seconds more, for what is drawn.
            script: JavaScript to run before the last look; ``said`` is its value.
            is_dark: whether the reader prefers dark pages.
            width: of the page, in pixels; 0 for that of the browser.
            is_whole: whether the picture shows the page down to its end.

        Returns:
            Its text, with that of frames of other origins in it, and a picture as PNG.
        """
        return asyncio.run(
            self._open(address, wanted, seconds, then, script, is_dark, width, is_whole)
        )

    async def _open(
        self, address: str, wanted: tuple[str, ...], seconds: float, then: float, script: str,
        is_dark: bool, width: int, is_whole: bool,
    ) -> tuple[str, bytes]:  # fmt: skip
        async with aiohttp.ClientSession() as session:
            (page, *_) = await self._targets(session, "page")
            async with session.ws_connect(page, max_msg_size=LARGEST_ANSWER) as socket:
                scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
                await _ask(socket, "Emulation.setEmulatedMedia", features=[scheme])
                size = {"width": width, "height": 0, "deviceScaleFactor": 1, "mobile": False}
                await _ask(socket, "Emulation.setDeviceMetricsOverride", **size)
                await _ask(socket, "Page.navigate", url="about:blank")
                await _ask(socket, "Page.navigate", url=address)
                deadline = time.monotonic() + seconds
                while time.monotonic() < deadline:
                    text = await self._text(session, socket)
                    is_loaded = await _value(socket, "document.readyState") == "complete"
                    if is_loaded and all(each in text for each in wanted):
                        break
                    await asyncio.sleep(0.3)
                if script:
                    self.said = await _value(socket, script)
                await asyncio.sleep(then)
                clip = {}
                if is_whole:
                    sides = await _value(socket, SIDES)
                    clip = {"clip": {"x": 0, "y": 0, **sides, "scale": 1}}
                picture = await _ask(
                    socket, "Page.captureScreenshot", format="png", captureBeyondViewport=is_whole,
                    **clip,
                )  # fmt: skip
                text = await self._text(session, socket)
                return text, base64.b64decode(picture["data"])

    async def _text(
        self, session: aiohttp.ClientSession, page: aiohttp.ClientWebSocketResponse
    ) -> str:
        texts = [await _value(page, TEXT)]
        for frame in await self._targets(session, "iframe"):
            with suppress(aiohttp.ClientError):  # it is gone by now
                async with session.ws_connect(frame, max_msg_size=LARGEST_ANSWER) as socket:
                    texts.append(await _value(socket, TEXT))
        return "\n".join(text or "" for text in texts)

    async def _targets(self, session: aiohttp.ClientSession, kind: str) -> list[str]:
        """Return where the browser's pages, or frames, are asked."""
        async with session.get(f"http://127.0.0.1:{self._port}/json") as answer:
            found = await answer.json()
        return [each["webSocketDebuggerUrl"] for each in found if each["type"] == kind]


async def _value(socket: aiohttp.ClientWebSocketResponse, script: str) -> Any:
    """Return what a script returns; None for what JSON does not know, and for an error."""
    said = await _ask(
        socket, "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
    )
    return said["result"].get("value")


async def _ask(socket: aiohttp.ClientWebSocketResponse, method: str, **arguments: Any) -> Any:
    await socket.send_json({"id": 1, "method": method, "params": arguments})
    async for message in socket:  # in between come events
        answer = json.loads(message.data)
        if answer.get("id") == 1:
            assert "error" not in answer, answer
            return answer["result"]
    raise AssertionError("the browser has closed the connection")
