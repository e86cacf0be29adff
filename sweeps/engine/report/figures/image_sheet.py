"""A sheet of digits in rows and columns of cells, with words around them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from sweeps.engine.report.figures.style import (
    OURS,
    add_title_and_caption,
    empty_figure,
    new_figure,
)

FRAME = 1  # pixels of grey around each digit, which may be as white as the paper
GREY_LEVEL, PAPER = 128, 255
WIDTH, LARGEST = 8.8, 0.52  # inches: of a sheet at most, and of a digit at most
LETTER = 0.068  # inches, of a row's name
NAME, NOTE = 9.0, 8.5  # points
NOTE_LINE, NAME_LINE = 0.22, 0.08  # inches: for a note, and between names of columns and digits
ROW_GAP = 0.05  # inches, between rows without notes

Cell = Sequence[UInt8[Tensor, "channel height width"]]
"""Images side by side, of one channel or three; none leaves the cell empty."""


@dataclass(frozen=True)
class Sheet:
    """What stands on a sheet.

    Attributes:
        cells: by row and column, as many columns in each row.
        columns: names above the first row; none for no names.
        rows: names left of the rows; none for no names.
        notes: of each cell, below it, or above it where columns have no names; none for no notes.
        bold: of each row, whether its name is; none for no bold ones.
        gap: between two columns, in pixels of a digit.
    """

    cells: Sequence[Sequence[Cell]]
    columns: Sequence[str] = ()
    rows: Sequence[str] = ()
    notes: Sequence[Sequence[str]] = ()
    bold: Sequence[bool] = ()
    gap: int = 10


def draw_sheet(sheet: Sheet, title: str, lines: Sequence[str]) -> Figure:
    """Return the figure of a sheet, with the lines of its caption."""
    digits = max((len(cell) for row in sheet.cells for cell in row), default=0)
    if not digits:
        return empty_figure(title, "there are no such images", lines)
    channels, high, wide = next(c[0].shape for row in sheet.cells for c in row if len(c))
    margin = 0.12 + LETTER * max(map(len, sheet.rows), default=0) if sheet.rows else 0.0
    columns = len(sheet.cells[0])
    cell = digits * (wide + FRAME) + FRAME
    pixels = columns * (cell + sheet.gap) - sheet.gap
    inch = max(pixels / (WIDTH - margin), high / LARGEST)  # pixels in an inch
    tops, height = _rows(sheet, inch, high)
    canvas = np.full((height, pixels, channels), PAPER, dtype=np.uint8)
    for top, row in zip(tops, sheet.cells, strict=True):
        for column, images in enumerate(row):
            _paste(canvas, top, column * (cell + sheet.gap), images)
    figure = new_figure((margin + pixels / inch, height / inch))
    share = margin / (margin + pixels / inch)
    axes = figure.add_axes((share, 0, 1 - share, 1))
    shown = canvas if channels == 3 else canvas[..., 0]
    axes.imshow(shown, cmap="gray", vmin=0, vmax=255, interpolation="nearest", aspect="auto")
    axes.set_axis_off()
    centres = [column * (cell + sheet.gap) + cell / 2 for column in range(columns)]
    _name(axes, sheet, tops, high, centres)
    add_title_and_caption(figure, title, lines)
    return figure


def _rows(sheet: Sheet, inch: float, high: int) -> tuple[list[int], int]:
    """Return where each row begins and where the last one ends, in pixels."""
    note, gap = round(NOTE_LINE * inch), round(ROW_GAP * inch)
    tall = high + 2 * FRAME
    y = round((NAME_LINE + (NOTE_LINE if sheet.columns else 0)) * inch)
    tops = []
    for row in range(len(sheet.cells)):
        has_notes = bool(sheet.notes) and any(sheet.notes[row])
        y += note if has_notes and not sheet.columns else 0
        tops.append(y)
        y += tall + gap + (note if has_notes and sheet.columns else 0)
    return tops, y - gap


def _paste(canvas: np.ndarray, top: int, left: int, images: Cell) -> None:
    for index, image in enumerate(images):
        pixels = image.permute(1, 2, 0).cpu().numpy()
        high, wide = pixels.shape[:2]
        x, y = left + FRAME + index * (wide + FRAME), top + FRAME
        canvas[y - FRAME : y + high + FRAME, x - FRAME : x + wide + FRAME] = GREY_LEVEL
        canvas[y : y + high, x : x + wide] = pixels


def _name(
    axes: Axes, sheet: Sheet, tops: Sequence[int], high: int, centres: Sequence[float]
) -> None:
    tall = high + 2 * FRAME
    for x, name in zip(centres, sheet.columns, strict=bool(sheet.columns)):
        axes.annotate(
            name, (x, tops[0]), xytext=(0, 4), textcoords="offset points", ha="center",
            va="bottom", fontsize=NAME, parse_math=False,
        )  # fmt: skip
    for index, (top, name) in enumerate(zip(tops, sheet.rows, strict=bool(sheet.rows))):
        is_bold = bool(sheet.bold) and sheet.bold[index]
        axes.annotate(
            name, (-0.5, top + tall / 2), xytext=(-6, 0), textcoords="offset points", ha="right",
            va="center", fontsize=NAME, parse_math=False, color=OURS if is_bold else "black",
            fontweight="bold" if is_bold else "normal",
        )  # fmt: skip
    for top, notes in zip(tops, sheet.notes, strict=bool(sheet.notes)):
        for x, note in zip(centres, notes, strict=True):
            below = bool(sheet.columns)
            axes.annotate(
                note, (x, top + tall if below else top), xytext=(0, -3 if below else 3),
                textcoords="offset points", ha="center", va="top" if below else "bottom",
                fontsize=NOTE, color="#333333", parse_math=False,
            )  # fmt: skip
