"""One table as a file for other programs: CSV, or LaTeX for a paper."""

import csv
import io
import re
from collections.abc import Callable, Iterable

from sweeps.engine.report.tables.table import Column, Row, Table

SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}", "±": r"$\pm$", "\N{MULTIPLICATION SIGN}": r"$\times$",
    "≥": r"$\ge$", "≤": r"$\le$",
    "…": r"\dots{}", "<": r"\textless{}", ">": r"\textgreater{}",
    **{letter: f"\\{letter}" for letter in "&%$#_"},
}  # fmt: skip
EMPHASIS = {"best": r"\textbf", "paper": r"\textit", "paper only": r"\textit"}  # by mark of a row


def file_name(table: Table) -> str:
    """Return the name of a table's file without ending: its title in plain letters."""
    title = table.title.split(" (")[0].split(": ")[0]
    return re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")[:60] or "table"


def to_csv(table: Table) -> str:
    """Return the rows under the names of the columns; title and note are left out."""
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(column.name for column in table.columns)
    writer.writerows(row.cells for row in table.rows)
    return lines.getvalue()


def to_latex(table: Table) -> str:
    """Return a ``table`` environment; it needs the packages booktabs and graphicx."""
    kinds = "".join("r" if column.is_number else "l" for column in table.columns)
    return "\n".join([
        r"\begin{table}",
        rf"\caption{{{_escape(table.title)}. {_escape(table.note)}}}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",  # if it is too wide
        rf"\begin{{tabular}}{{{kinds}}}",
        r"\toprule",
        _line(map(_head, table.columns)),
        r"\midrule",
        *map(_row, table.rows),
        r"\bottomrule",
        r"\end{tabular}}",
        r"\end{table}",
        "",
    ])  # fmt: skip


TABLE_FORMATS: dict[str, Callable[[Table], str]] = {"csv": to_csv, "tex": to_latex}


def _head(column: Column) -> str:
    name = _escape(column.name)
    return rf"\rotatebox{{90}}{{{name}}}" if column.is_vertical else name


def _row(row: Row) -> str:
    emphasis = EMPHASIS.get(row.mark)
    texts = [_escape(cell.split("\n", 1)[0]) for cell in row.cells]
    return _line(f"{emphasis}{{{text}}}" if emphasis and text else text for text in texts)


def _line(cells: Iterable[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def _escape(text: str) -> str:
    return "".join(SPECIAL.get(letter, letter) for letter in " ".join(text.split()))
