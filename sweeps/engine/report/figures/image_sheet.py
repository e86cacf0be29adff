"""A sheet of images in rows and columns of cells, with words around them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from sweeps.engine.report.figures.style import OURS, add_title_and_caption

FRAME = 1  # pixels of grey around each image, which may be as white as the paper
GREY_LEVEL, PAPER = 128, 255
SMALL = 64  # pixels: larger images are shown larger, and fewer
WIDTH, LARGEST, LARGEST_PHOTO = 8.8, 0.52, 1.35  # inches: of a sheet and of an image, at most
LETTER = 0.068  # inches, of a row's name
NAME, NOTE = 9.0, 8.5  # points
NOTE_LINE, NAME_LINE = 0.22, 0.08  # inches: for a note, and between names of columns and images
ROW_GAP = 0.05  # inches, between rows without notes

Cell = UInt8[Tensor, "image channel height width"] | Sequence[UInt8[Tensor, "channel height width"]]
"""Images side by side, of one channel or three; none leaves the cell empty."""


def draw_sheet(
    cells: Sequence[Sequence[Cell]],
    title: str,
    lines: Sequence[str],
    columns: Sequence[str] = (),
    rows: Sequence[str] = (),
    notes: Sequence[Sequence[str]] = (),
    bold: Sequence[bool] = (),
    gap: int = 10,
) -> Figure:
    """Return the figure of a sheet.

    Args:
        cells: by row and column, as many columns in each row; not all are empty.
        title: above it.
        lines: of its caption.
        columns: names above the first row; none for no names.
        rows: names left of the rows; none for no names.
        notes: of each cell, below it, or above it where columns have no names; none for no notes.
        bold: of each row, whether its name is; none for no bold ones.
        gap: between two columns, in pixels of an image.
    """
    most = max(len(cell) for row in cells for cell in row)
    channels, high, wide = next(cell[0].shape for row in cells for cell in row if len(cell))
    tall, cell = high + 2 * FRAME, most * (wide + FRAME) + FRAME
    lefts = [column * (cell + gap) for column in range(len(cells[0]))]
    width = lefts[-1] + cell
    margin = 0.12 + LETTER * max(map(len, rows)) if rows else 0.0
    largest, interpolation = (
        (LARGEST, "nearest") if high <= SMALL else (LARGEST_PHOTO, "antialiased")
    )
    inch = max(width / (WIDTH - margin), high / largest)  # pixels in an inch
    note, row_gap = round(NOTE_LINE * inch), round(ROW_GAP * inch)
    top, tops = round((NAME_LINE + (NOTE_LINE if columns else 0)) * inch), []
    for row in range(len(cells)):
        room = note if notes and any(notes[row]) else 0
        tops.append(top if columns else top + room)
        top += room + tall + row_gap
    height = top - row_gap
    canvas = np.full((height, width, channels), PAPER, dtype=np.uint8)
    for top, row in zip(tops, cells, strict=True):
        for left, images in zip(lefts, row, strict=True):
            _paste(canvas, top, left, images)
    figure = Figure(figsize=(margin + width / inch, height / inch))
    share = margin / (margin + width / inch)
    axes = figure.add_axes((share, 0, 1 - share, 1))
    shown = canvas if channels == 3 else canvas[..., 0]
    axes.imshow(shown, cmap="gray", vmin=0, vmax=255, interpolation=interpolation, aspect="auto")
    axes.set_axis_off()
    centres = [left + cell / 2 for left in lefts]
    for x, name in zip(centres, columns, strict=bool(columns)):
        _write(axes, name, (x, tops[0]), (0, 4))
    for index, (top, name) in enumerate(zip(tops, rows, strict=bool(rows))):
        color, weight = (OURS, "bold") if bold and bold[index] else ("black", "normal")
        look = {"ha": "right", "va": "center", "color": color, "fontweight": weight}
        _write(axes, name, (-0.5, top + tall / 2), (-6, 0), **look)
    for top, texts in zip(tops, notes, strict=bool(notes)):
        y, offset, va = (top + tall, -3, "top") if columns else (top, 3, "bottom")
        for x, text in zip(centres, texts, strict=True):
            _write(axes, text, (x, y), (0, offset), va=va, color="#333333", fontsize=NOTE)
    return add_title_and_caption(figure, title, lines)


def _write(
    axes: Axes, text: str, place: tuple[float, float], offset: tuple[float, float], **look: Any
) -> None:
    """Write beside a place in pixels, at an offset in points."""
    common: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": NAME, "parse_math": False}
    axes.annotate(text, place, xytext=offset, textcoords="offset points", **common | look)


def _paste(canvas: np.ndarray, top: int, left: int, images: Cell) -> None:
    for index, image in enumerate(images):
        pixels = image.permute(1, 2, 0).cpu().numpy()
        high, wide = pixels.shape[:2]
        x, y = left + FRAME + index * (wide + FRAME), top + FRAME
        canvas[y - FRAME : y + high + FRAME, x - FRAME : x + wide + FRAME] = GREY_LEVEL
        canvas[y : y + high, x : x + wide] = pixels
