"""How all figures look, and how they become files.

Matplotlib without pyplot: no global state, no display.
"""

import io
import math
import textwrap
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.axes import Axes
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
TRUE_TYPE = 42  # letters of a PDF: text, which a drawing program can change
DATED_BY = {"png": "Software", "svg": "Date", "pdf": "CreationDate"}  # what would change the bytes
SIZE = (7.0, 4.3)
DPI = 200
LEGEND_LINE = 14.0  # points
# By their gid the title and the caption are found, where a figure is wanted without them.
TITLE: dict[str, Any] = {"gid": "title", "fontsize": 13, "parse_math": False}
CAPTION: dict[str, Any] = {
    "gid": "caption", "fontsize": 8.5, "color": "#333333", "va": "top", "parse_math": False,
    "linespacing": 1.35,
}  # fmt: skip
TITLE_LETTERS, CAPTION_LETTERS = 9.0, 14.5  # that fit in an inch
CAPTION_GAP = 0.12  # inches between a figure of several plots and its caption
LEGEND_ORDER = ("mean", "one", "published", "trial")  # first words; the rest follows as drawn
_ONE_AT_A_TIME = threading.RLock()


def render(
    name: str,
    draw: Callable[[], Figure],
    endings: Sequence[str] = ("png", "svg"),
    dpi: int = DPI,
    is_bare: bool = False,
    has_paths: bool = True,
) -> dict[str, bytes]:
    """Return a figure by file name; equal figures give equal bytes.

    Args:
        name: of the files, without ending.
        draw: makes the figure, in the common style.
        endings: the kinds of files: ``png``, ``svg``, ``pdf``.
        dpi: pixels per inch of a PNG.
        is_bare: without its title and caption.
        has_paths: whether letters are outlines, which look the same on a machine without the font;
            else they are text, which a drawing program can change.
    """
    files = {}
    with in_style():
        if not has_paths:
            matplotlib.rcParams.update({"svg.fonttype": "none", "pdf.fonttype": TRUE_TYPE})
        figure = draw()
        if is_bare:
            for text in figure.findobj(lambda artist: artist.get_gid() in ("title", "caption")):
                text.set_visible(False)
        for ending in endings:
            buffer = io.BytesIO()
            figure.savefig(
                buffer, format=ending, dpi=dpi, bbox_inches="tight", pad_inches=0.15,
                metadata={DATED_BY[ending]: None},
            )  # fmt: skip
            files[f"{name}.{ending}"] = buffer.getvalue()
    return files


@contextmanager
def in_style() -> Iterator[None]:
    """Set the common style for a while, and nothing of a user's matplotlibrc.

    The style is the whole process's: one thread draws at a time.
    """
    with _ONE_AT_A_TIME, matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def new_axes(title: str, pad: float = 12) -> Axes:
    """Return the axes of a figure of one plot, with its title ``pad`` points above."""
    axes = Figure(figsize=SIZE).add_axes((0.1, 0.12, 0.88, 0.8))
    axes.set_title(textwrap.fill(str(title), 70), loc="left", pad=pad, **TITLE)
    return axes


def small_panels(
    items: int,
    most_columns: int,
    column: float,
    gap: float,
    margin: float,
    panels: Sequence[tuple[float, float]],
    block: float,
) -> tuple[Figure, list[list[Axes]]]:
    """Return a figure of many small panels, and the panels of each item, from the top.

    The items stand side by side in blocks, one block below the other. The layout is in inches, so
    that panels are as large whatever their number.

    Args:
        items: how many there are, each with a column of a block to itself.
        most_columns: that stand side by side.
        column: width of a column with the gap to the next.
        gap: between two columns.
        margin: at the left, for the labels of the y axes.
        panels: for each panel of an item, where it begins in the block and its height.
        block: height of a block with the gap to the next.
    """
    columns = min(most_columns, items)
    width, height = margin + column * columns, block * math.ceil(items / columns)
    figure = Figure(figsize=(width, height))
    plots = []
    for item in range(items):
        left = (margin + column * (item % columns)) / width
        top = block * (item // columns)
        plots.append([
            figure.add_axes(
                (left, 1 - (top + begin + high) / height, (column - gap) / width, high / height)
            )
            for begin, high in panels
        ])  # fmt: skip
    return figure, plots


def share_range(plots: Sequence[Axes]) -> None:
    """Give all plots the widest range of their y axes."""
    limits = [axes.get_ylim() for axes in plots if axes.has_data()]
    for axes in plots:
        if limits:
            axes.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))


def say(axes: Axes, text: str) -> None:
    """Write in the middle of axes that have nothing to show, small enough for a narrow panel."""
    axes.text(
        0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY, fontsize=8
    )


def add_legend_and_caption(axes: Axes, lines: Sequence[str], further_down: float = 0.0) -> Figure:
    """Put both below the axes, so that no label ever covers a point; return the figure.

    Args:
        axes: everything is drawn already.
        lines: of the caption; empty ones are left out.
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
        _fill(lines, 104), (0, 0), xytext=(0, -offset), xycoords="axes fraction",
        textcoords="offset points", **CAPTION,
    )  # fmt: skip
    figure = axes.get_figure(root=True)
    assert figure is not None
    return figure


def _legend_position(entry: tuple[Any, str]) -> int:
    word = entry[1].split(": ")[-1].replace(",", "").split()[0]
    return LEGEND_ORDER.index(word) if word in LEGEND_ORDER else len(LEGEND_ORDER)


def add_title_and_caption(
    figure: Figure, title: str, lines: Sequence[str], further_down: float = 0.0
) -> Figure:
    """Put a title above and a caption below a figure of several plots; return the figure.

    The file is as large as what is drawn, not as the figure, so there is room outside.

    Args:
        figure: everything else is drawn already.
        title: of any length.
        lines: of the caption; empty ones are left out.
        further_down: inches below the figure that a legend takes.
    """
    width, height = figure.get_size_inches()
    figure.text(0, 1, textwrap.fill(str(title), round(TITLE_LETTERS * width)), va="bottom", **TITLE)
    down = (CAPTION_GAP + further_down) / height
    figure.text(0, -down, _fill(lines, round(CAPTION_LETTERS * width)), **CAPTION)
    return figure


def _fill(lines: Sequence[str], width: int) -> str:
    return "\n".join(textwrap.fill(line, width) for line in lines if line)
