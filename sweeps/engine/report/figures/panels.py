"""A figure of many small panels: equal columns, in blocks of panels one below the other."""

import math
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sweeps.engine.report.figures.style import new_figure


@dataclass(frozen=True)
class Blocks:
    """The layout, in inches, so that panels are as large whatever their number.

    Attributes:
        items: how many there are, each with a column of a block to itself.
        most_columns: that stand side by side.
        column: width of a column with the gap to the next.
        gap: between two columns.
        margin: at the left, for the labels of the y axes.
        panels: for each panel of an item, from the top, where it begins in the block and its
            height.
        block: height of a block with the gap to the next.
    """

    items: int
    most_columns: int
    column: float
    gap: float
    margin: float
    panels: tuple[tuple[float, float], ...]
    block: float

    @property
    def columns(self) -> int:
        """How many columns there are."""
        return min(self.most_columns, self.items)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the figure."""
        blocks = math.ceil(self.items / self.columns)
        return self.margin + self.column * self.columns, self.block * blocks

    def figure(self) -> Figure:
        """Return the empty figure."""
        return new_figure(self.size)

    def is_first(self, item: int) -> bool:
        """Whether an item stands at the left."""
        return item % self.columns == 0

    def add(self, figure: Figure, item: int) -> list[Axes]:
        """Add the panels of an item and return them, from the top."""
        width, height = self.size
        block, column = divmod(item, self.columns)
        left = self.margin + self.column * column
        return [
            figure.add_axes(
                (
                    left / width,
                    1 - (self.block * block + begin + high) / height,
                    (self.column - self.gap) / width,
                    high / height,
                )
            )
            for begin, high in self.panels
        ]


def share_range(plots: list[Axes]) -> None:
    """Give all plots the widest range of their y axes."""
    limits = [axes.get_ylim() for axes in plots if axes.has_data()]
    for axes in plots:
        if limits:
            axes.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
