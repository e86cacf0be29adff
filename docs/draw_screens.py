"""Draws what a sweep looks like, from one real sweep: terminal, report, MLflow.

    uv run python -m docs.draw_screens

It runs a sweep of some five minutes in a terminal of its own, and writes ``terminal.png``,
``report_light.png``, ``report_dark.png``, ``report_whole.png`` and ``mlflow.png`` into
docs/figures. It needs Chromium and the packages of the tests.
"""

import io
import os
import pty
import struct
import subprocess
import sys
import tempfile
import time
from fcntl import ioctl
from html import escape
from itertools import groupby
from pathlib import Path
from termios import TIOCSWINSZ

import pyte
from PIL import Image, ImageChops

from sweeps.engine.records import SweepRecords
from sweeps.engine.records.storage import Folder
from sweeps.engine.tracking import replay
from tests.sweeps.engine.tracking.browser import Browser
from tests.sweeps.engine.tracking.mlflow_server import Server

ROOT = Path(__file__).parent.parent
FIGURES = ROOT / "docs" / "figures"
SCRIPT = "sweeps/sigma_line_search.py"
LINES, COLUMNS = 34, 112
WIDTH, HEIGHT, COLOURS, MARGIN = 1500, 880, 256, 18
TERMINAL_WIDTH = 1050  # of so many columns
WORDS = ("evaluating", "best so far", " running ", " left")  # all on the screen that is shown
ANSI = {
    "default": "#d8dee9", "black": "#4c566a", "red": "#ff7a76", "green": "#8fd694",
    "brown": "#f2c14e", "blue": "#7db3ff", "magenta": "#d59cf0", "cyan": "#6fd6d6",
    "white": "#eceff4",
}  # fmt: skip
# A new browser shows an assistant, which covers what the figure is about.
CLOSE_ASSISTANT = """
[...document.querySelectorAll('button')]
    .filter(button => /close|dismiss/i.test(button.ariaLabel ?? '')).forEach(b => b.click())
"""


def main() -> None:
    """Run the sweep and draw all figures."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        screen = run_in_terminal(folder)
        (sweep,) = (path.parent for path in folder.glob("results/*/sweep.json"))
        with Browser(folder / "browser", WIDTH, HEIGHT) as browser:
            (folder / "terminal.html").write_text(screen.replace(str(folder), "/home/me"))
            page = f"file://{folder}/terminal.html"
            _save("terminal", browser.open(page, width=TERMINAL_WIDTH)[1])
            draw_report(sweep, folder, browser)
            _save("mlflow", *in_mlflow(sweep, folder, browser))


def run_in_terminal(folder: Path) -> str:
    """Run the sweep; return the last screen with trials and a time left, as a page."""
    screen = pyte.Screen(COLUMNS, LINES)
    stream, (ours, theirs) = pyte.ByteStream(screen), pty.openpty()
    ioctl(theirs, TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    environment = os.environ | {"TERM": "xterm-256color"}
    process = subprocess.Popen(
        [sys.executable, str(ROOT / SCRIPT)], cwd=folder, env=environment, stdin=theirs,
        stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    page, looked_at = "", time.monotonic()
    while True:
        try:
            data = os.read(ours, 2**16)
        except OSError:  # nobody writes any more
            break
        stream.feed(data)
        text = "\n".join(screen.display)
        if time.monotonic() - looked_at > 1 and all(word in text for word in WORDS):
            page, looked_at = to_html(screen), time.monotonic()
    assert process.wait() == 0 and page
    return page


def to_html(screen: pyte.Screen) -> str:
    """Return a screen as a page, with its colours."""
    lines = []
    for number in range(screen.lines):
        row = [screen.buffer[number][column] for column in range(screen.columns)]
        spans = (
            (look, "".join(each.data for each in some))
            for look, some in groupby(row, key=lambda each: (each.fg, each.bold))
        )
        lines.append(
            "".join(
                f'<span style="color:{ANSI.get(color, f"#{color}")};'
                f'font-weight:{700 if bold else 400}">{escape(text)}</span>'
                for (color, bold), text in spans
            )
        )
    command = f"$ uv run python {SCRIPT}"
    text = "\n".join([f"<b>{command}</b>", *lines]).rstrip()
    style = "background:#20242c;color:#d8dee9;margin:0;padding:18px;font:15px/1.17 monospace"
    return f'<meta charset="utf-8"><body style="{style}"><pre style="font:inherit">{text}</pre>'


def draw_report(sweep: Path, folder: Path, browser: Browser) -> None:
    """Draw the first screen of a sweep's report, light and dark, and the whole page."""
    text = (sweep / "report" / "report.html").read_text()
    for place, shown in ((sweep.parent, "results"), (f"{ROOT}/", ""), (folder, "/home/me")):
        text = text.replace(str(place), shown)
    (folder / "report.html").write_text(text)
    page = f"file://{folder}/report.html"
    _save("report_light", browser.open(page, then=3)[1])
    _save("report_dark", browser.open(page, then=3, is_dark=True)[1])
    _save("report_whole", browser.open(page, then=3, is_whole=True)[1])


def in_mlflow(sweep: Path, folder: Path, browser: Browser) -> list[bytes]:
    """Return pictures of the table and of the charts of a sweep in the MLflow UI."""
    server = Server(folder)
    server.start()
    try:
        link = replay(SweepRecords(Folder(str(sweep))), server.uri).link
        views = (link, f"{link}&compareRunsMode=CHART")
        return [
            browser.open(view, ("clean/top1",), script=CLOSE_ASSISTANT, then=8)[1] for view in views
        ]
    finally:
        server.kill()


def _save(name: str, *pictures: bytes) -> None:
    """Write pictures below each other, with few colours, without what is empty below."""
    images = [Image.open(io.BytesIO(picture)) for picture in pictures]
    width, height = images[0].size
    sheet = Image.new("RGB", (width, height * len(images)), "white")
    for row, image in enumerate(images):
        sheet.paste(image, (0, row * height))
    empty = Image.new("RGB", sheet.size, sheet.getpixel((width - 1, sheet.height - 1)))
    if (used := ImageChops.difference(sheet, empty).getbbox()) is not None:
        sheet = sheet.crop((0, 0, width, min(sheet.height, used[3] + MARGIN)))
    sheet.quantize(COLOURS).save(FIGURES / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
