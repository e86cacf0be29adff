"""The table: every table of the report is one, and each kind of page lays it out in its own way."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: its head.
        is_number: whether its cells are right-aligned.
        is_vertical: whether its head is written upwards in HTML: for many narrow columns.
    """

    name: str
    is_number: bool = True
    is_vertical: bool = False


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        cells: one text for each column. Of several lines HTML shows the first, and folds the rest.
        mark: what is special about it: ``best``, ``front``, ``baseline``, ``paper`` or
            ``paper only``; empty for nothing. Marked rows are emphasised, and never left out.
        rank: the least are shown where there is room for some rows only.
    """

    cells: tuple[str, ...]
    mark: str = ""
    rank: int = 0


@dataclass(frozen=True)
class Table:
    """A title, columns, rows and a note.

    Attributes:
        title: above it.
        columns: from the left.
        rows: from the top.
        note: how to read it, below.
        heads: how many columns, from the left, say what a row is of.
        complete: where all rows are, in a sentence.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    note: str = ""
    heads: int = 1
    complete: str = "table.md has all."

    def fewer(self, most: int) -> "Table":
        """Return the table with its marked rows and those of a rank below ``most``."""
        return replace(self, rows=tuple(r for r in self.rows if r.mark or r.rank < most))


def words(*names: str) -> tuple[Column, ...]:
    """Return columns of words."""
    return tuple(Column(name, is_number=False) for name in names)


def numbers(*names: str) -> tuple[Column, ...]:
    """Return columns of numbers."""
    return tuple(map(Column, names))
