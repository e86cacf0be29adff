"""Draws docs/figures/mlflow.png: a recorded sweep in the MLflow UI, table and charts.

Needs Chromium and the packages of the tests: ``uv run python -m docs.draw_mlflow results/<sweep>``.
"""

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

from sweeps.engine.records import SweepRecords
from sweeps.engine.records.storage import Folder
from sweeps.engine.tracking import replay
from tests.sweeps.engine.tracking.browser import Browser
from tests.sweeps.engine.tracking.mlflow_server import Server

WIDTH, HEIGHT, COLOURS = 1500, 880, 256
# A new browser shows an assistant, which covers what the figure is about.
CLOSE_ASSISTANT = """
[...document.querySelectorAll('button')]
    .filter(button => /close|dismiss/i.test(button.ariaLabel ?? '')).forEach(b => b.click())
"""


def main(sweep: str) -> None:
    """Write ``docs/figures/mlflow.png``: the table above the charts."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        server = Server(folder)
        server.start()
        try:
            link = replay(SweepRecords(Folder(sweep)), server.uri).link
            with Browser(folder / "browser", WIDTH, HEIGHT) as browser:
                pictures = [
                    Image.open(io.BytesIO(browser.open(address, (text,), script=script, then=8)[1]))
                    for address, text, script in (
                        (link, "clean/top1", CLOSE_ASSISTANT),
                        (f"{link}&compareRunsMode=CHART", "clean/top1", CLOSE_ASSISTANT),
                    )
                ]
        finally:
            server.kill()
    width, height = pictures[0].size
    sheet = Image.new("RGB", (width, height * len(pictures)), "white")
    for row, picture in enumerate(pictures):
        sheet.paste(picture, (0, row * height))
    sheet.quantize(COLOURS).save(Path(__file__).parent / "figures" / "mlflow.png", optimize=True)


if __name__ == "__main__":
    main(sys.argv[1])
