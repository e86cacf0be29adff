"""How all figures look, and how they become files.

Matplotlib without pyplot: no global state, no display.
"""

import io
import math
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sweeps.engine.records import Status

# Okabe and Ito's palette: distinct for the colour-blind, and in grey by marker and line style.
OURS, PUBLISHED, GREY = "#0072B2", "#D55E00", "#666666"
SERIES = (
    (OURS, "D", "-"), ("#E69F00", "o", (0, (5, 2))), ("#009E73", "^", (0, (1, 1.5))),
    ("#CC79A7", "s", (0, (4, 1.5, 1, 1.5))), ("#56B4E9", "v", (0, (3, 1))), ("#000000", "P", "-"),
)  # fmt: skip
OFF_CURVE: dict[Status, str] = {"pruned": "v", "diverged": "x", "failed": "+"}
STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "svg.hashsalt": "game of noise",  # else the ids, and so the bytes, differ in every run
    "svg.fonttype": "path",
}
MOST_VECTORS = 2_000  # marks of one kind; more are pixels, in an SVG too, so that it opens at once
SIZE = (7.0, 4.3)
DPI = 200
LEGEND_LINE = 14.0  # points
TITLE_LETTERS, CAPTION_LETTERS = 9.0, 14.5  # that fit in an inch
CAPTION_GAP = 0.12  # inches between a figure of several plots and its caption
LEGEND_ORDER = ("mean", "one", "published", "trial")  # first words; the rest follows as drawn


def render(
    name: str, draw: Callable[[], Figure], endings: Sequence[str] = ("png", "svg"), dpi: int = DPI
) -> dict[str, bytes]:
    """Return a figure by file name; equal figures give equal bytes.

    Args:
        name: of the files, without ending.
        draw: makes the figure, in the common style.
        endings: the kinds of files.
        dpi: pixels per inch of a PNG.
    """
    files = {}
    with matplotlib.rc_context(STYLE):
        figure = draw()
        for ending in endings:
            buffer = io.BytesIO()
            metadata = {"Date": None} if ending == "svg" else {"Software": None}
            figure.savefig(
                buffer, format=ending, dpi=dpi, bbox_inches="tight", pad_inches=0.15,
                metadata=metadata,
            )  # fmt: skip
            files[f"{name}.{ending}"] = buffer.getvalue()
    return files


def new_figure(size: tuple[float, float] = SIZE) -> Figure:
    """Return an empty figure of a size in inches."""
    figure = Figure(figsize=size)
    FigureCanvasAgg(figure)
    return figure


def new_axes(title: str, pad: float = 12) -> Axes:
    """Return the axes of a figure of one plot, with its title ``pad`` points above."""
    axes = new_figure().add_axes((0.1, 0.12, 0.88, 0.8))
    text = textwrap.fill(str(title), 70)
    axes.set_title(text, loc="left", fontsize=13, parse_math=False, pad=pad)
    return axes


def empty_figure(title: str, text: str, lines: Sequence[str] = ()) -> Figure:
    """Return a figure that says why it shows nothing."""
    figure = new_figure((SIZE[0], 1.0))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    say(axes, text)
    add_title_and_caption(figure, title, lines)
    return figure


def say(axes: Axes, text: str) -> None:
    """Write in the middle of axes that have nothing to show."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY)


def add_legend_and_caption(axes: Axes, lines: Sequence[str], further_down: float = 0.0) -> Figure:
    """Put both below the axes, so that no label ever covers a point; return the figure.

    Args:
        axes: everything is drawn already.
        lines: of the caption.
        further_down: points that the labels of the x axis are higher than one line.
    """
    entries = sorted(zip(*axes.get_legend_handles_labels(), strict=True), key=_legend_position)
    offset = 38.0 + further_down
    if entries:
        handles, labels = zip(*entries, strict=True)
        height = axes.get_window_extent().height * 72 / axes.figure.dpi
        axes.legend(
            handles, labels, loc="upper left", bbox_to_anchor=(-0.01, -offset / height), ncols=2,
            frameon=False, fontsize=9, borderaxespad=0, columnspacing=2,
        )  # fmt: skip
        offset += LEGEND_LINE * math.ceil(len(entries) / 2) + 12
    axes.annotate(
        fill(lines), (0, 0), xytext=(0, -offset), xycoords="axes fraction",
        textcoords="offset points", va="top", fontsize=8.5, color="#333333", parse_math=False,
        linespacing=1.35,
    )  # fmt: skip
    figure = axes.get_figure(root=True)
    assert figure is not None
    return figure


def add_title_and_caption(figure: Figure, title: str, lines: Sequence[str]) -> None:
    """Put a title above and a caption below a figure of several plots, outside of it."""
    # The file is as large as what is drawn, not as the figure, so there is room outside.
    width, height = figure.get_size_inches()
    figure.text(
        0, 1, textwrap.fill(str(title), round(TITLE_LETTERS * width)), fontsize=13, va="bottom",
        parse_math=False,
    )  # fmt: skip
    figure.text(
        0, -CAPTION_GAP / height, fill(lines, round(CAPTION_LETTERS * width)), fontsize=8.5,
        color="#333333", va="top", parse_math=False, linespacing=1.35,
    )  # fmt: skip


def fill(lines: Sequence[str], width: int = 104) -> str:
    """Return the lines of a caption, none longer than ``width`` letters."""
    return "\n".join(textwrap.fill(line, width) for line in lines)


def _legend_position(entry: tuple[Any, str]) -> int:
    word = entry[1].split(": ")[-1].replace(",", "").split()[0]
    return LEGEND_ORDER.index(word) if word in LEGEND_ORDER else len(LEGEND_ORDER)
