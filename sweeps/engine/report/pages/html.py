"""report.html: one page that needs nothing else, on a phone or a desk, light or dark."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import resources
from string import Template

from plotly.offline import get_plotlyjs

from search_spaces.parameter import value_text
from sweeps.engine.report import sentences
from sweeps.engine.report.charts.chart import Chart, as_json
from sweeps.engine.report.figures.catalogue import Drawing
from sweeps.engine.report.summary.aggregate import SweepSummary
from sweeps.engine.report.summary.space import range_text, with_unit
from sweeps.engine.report.tables.table import Column, Row, Table
from sweeps.engine.system.text import plural

MOST_ROWS = 500  # of a table: a page of ten thousand is no page any more
PAGE, SCRIPT = (
    resources.files("sweeps.engine.report.pages").joinpath(name)
    for name in ("page.html", "page.js")
)
NUMBERS = "The tables below hold the numbers."
MOST_UNFILTERED = 8  # rows of a table that needs no filter


def to_page(
    summary: SweepSummary, tables: Sequence[Table], answer: Sequence[str],
    pictures: Mapping[Drawing, bytes], charts: Sequence[Chart] = (),
) -> str:  # fmt: skip
    """Return report.html: what was found, charts to explore, pictures with their SVG, tables.

    Args:
        summary: of the sweep.
        tables: in their order.
        answer: what was found, in sentences.
        pictures: what charts cannot show, as SVG.
        charts: what plotly draws; its script is in the page.
    """
    reduced = sentences.deviations(summary)
    best, *rest = answer
    return Template(PAGE.read_text()).substitute(
        title=escape(summary.description.title),
        deviations=f'<p class="reduced"><strong>{escape(reduced)}</strong></p>' if reduced else "",
        answer=_paragraph([best], "best-value") + _paragraph(rest),
        config=_paragraph([_config(summary)], "note"),
        charts=_charts(charts),
        figures="\n".join(_figure(drawing, svg) for drawing, svg in pictures.items()),
        tables="\n".join(map(_table, tables)),
        provenance=_provenance(summary),
        next=_next(summary),
        plotly=get_plotlyjs() if charts else "",
        script=SCRIPT.read_text(),
    )


def several_page(
    summaries: Sequence[SweepSummary], tables: Sequence[Table], charts: Sequence[Chart]
) -> str:
    """Return a page with several sweeps."""
    names = [summary.description.name for summary in summaries]
    reduced = {name: sentences.deviations(s) for name, s in zip(names, summaries, strict=True)}
    lines = [f"<strong>{escape(name)}.</strong> {escape(text)}" for name, text in reduced.items()]
    questions = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(f'{s.description.title} {_config(s)}')}</dd>"
        for name, s in zip(names, summaries, strict=True)
    )
    commands = [f"{s.description.command}   # {s.description.name}" for s in summaries]
    return Template(PAGE.read_text()).substitute(
        title=escape(f"{len(summaries)} sweeps compared"),
        deviations=f'<p class="reduced">{"<br>".join(lines)}</p>' if any(reduced.values()) else "",
        answer=_paragraph([f"Each is compared with the first, {names[0]}."], "best-value"),
        config="",
        charts=_charts(charts),
        figures="",
        tables="\n".join(map(_table, tables)),
        provenance=f"<dl>{questions}</dl>",
        next=f"<pre>{escape(chr(10).join(commands))}</pre>",
        plotly=get_plotlyjs(),
        script=SCRIPT.read_text(),
    )


def _paragraph(lines: Iterable[str], kind: str = "text") -> str:
    text = escape(" ".join(lines))
    return f'<p class="{kind}">{text}</p>' if text else ""


def _config(summary: SweepSummary) -> str:
    description = summary.description
    seeds = plural(len(description.seeds), "seed")
    return (
        f"Sweep {description.name} of {description.created}, {description.scale} scale: "
        f"{_searched(summary)}, {seeds} each. {sentences.how_trials_ended(summary)}"
    )


def _searched(summary: SweepSummary) -> str:
    if summary.search == "joint":
        ranges = "; ".join(f"{with_unit(p)}: {range_text(p)}" for p in summary.parameters)
        known = plural(len(summary.known), "point")
        learned = f", with what is known of {known} from earlier sweeps" if summary.known else ""
        sampler = summary.description.config.get("sampler")
        by = f" by the sampler {sampler}" if sampler else ""
        return f"{ranges}; proposed{by}{learned}"
    points = [", ".join(map(value_text, point)) for point in summary.description.grid]
    separator = ", " if len(summary.parameters) == 1 else "; "
    texts = sentences.listed(points, separator, sentences.NAMED)
    if summary.has_checkpoints:
        return f"{summary.parameters[0].unit}s {texts}"
    units = ", ".join(map(with_unit, summary.parameters))
    further = " and where the search went from there" if summary.search == "line" else ""
    return f"{units} at {texts}{further}"


def _charts(charts: Iterable[Chart]) -> str:
    texts: dict[str, int] = {}
    sections = [_chart(chart, texts) for chart in charts]
    shared = f'<script type="application/json" id="texts">{as_json(list(texts))}</script>'
    return "\n".join([shared, *sections]) if sections else ""


def _chart(chart: Chart, texts: dict[str, int]) -> str:
    note = f'<p class="note">{escape(chart.note)}</p>' if chart.note else ""
    kind = "chart wide-chart" if chart.is_wide else "chart"
    label = escape(f"{chart.title}. {NUMBERS}")
    options = "".join(f"<option>{escape(name)}</option>" for name in chart.choices)
    menu = f"<p><label>Shown: <select>{options}</select></label></p>" if options else ""
    return (
        f'<section class="{kind}"><h2>{escape(chart.title)}</h2>{menu}'
        f'<div class="plot" id="{chart.name}" role="img" aria-label="{label}"></div>{note}'
        f'<script type="application/json" data-for="{chart.name}">{chart.to_json(texts)}</script>'
        "</section>"
    )


def _figure(drawing: Drawing, svg: bytes) -> str:
    source = "data:image/svg+xml;base64," + base64.b64encode(svg).decode()
    caption = escape(drawing.caption)
    return (
        f'<figure><img src="{source}" alt="{f"{caption} {drawing.numbers}".strip()}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _table(table: Table) -> str:
    shown = table.fewer(MOST_ROWS)
    lines = [table.note]
    if hidden := len(table.rows) - len(shown.rows):
        lines.append(f"{hidden:,} of {len(table.rows):,} rows are not shown: {table.complete}")
    heads = "".join(map(_head, table.columns))
    body = "\n".join(_row(table, row) for row in shown.rows)
    # A wide table scrolls by itself; the page never does.
    element = (
        f'<div class="wide" tabindex="0"><table>\n<thead><tr>{heads}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table></div>\n"
    )
    note = _paragraph(lines, "note")
    if len(shown.rows) > MOST_UNFILTERED:
        label = escape(f"Filter rows: {table.title}")
        element = (
            f'<input class="filter" type="search" placeholder="Filter rows" aria-label="{label}">'
            f"{element}"
        )
    return f"<h2>{escape(table.title)}</h2>\n{element if table.rows else ''}{note}"


def _head(column: Column) -> str:
    if column.is_vertical:
        return f'<th scope="col" class="vertical"><span>{escape(column.name)}</span></th>'
    kind = ' class="number"' if column.is_number else ""
    return f'<th scope="col"{kind}>{escape(column.name)}</th>'


def _row(table: Table, row: Row) -> str:
    first, *others = map(_cell, row.cells)
    cells = "".join(
        f'<td class="{"number" if column.is_number else "text"}">{cell}</td>'
        for column, cell in zip(table.columns[1:], others, strict=True)
    )
    return f'<tr class="{row.mark or "own"}"><th scope="row">{first}</th>{cells}</tr>'


def _cell(text: str) -> str:
    first, *rest = escape(text).split("\n", 1)
    if not rest:
        return first
    return f"<details><summary>{first}</summary><pre>{rest[0]}</pre></details>"


def _provenance(summary: SweepSummary) -> str:
    description = summary.description
    code, packages = description.code, description.packages
    dirty = ", with changes that were not committed" if code.get("dirty") else ""
    entries = {
        "Code": f"{code.get('git_sha') or 'unknown'}{dirty}",
        "Packages": ", ".join(f"{name} {version}" for name, version in packages.items()),
        "Data": f"digest {description.data_digest or 'unknown'}",
        "Seeds": sentences.listed(list(map(str, description.seeds)), ", ", sentences.NAMED),
        "Files": "results.parquet has every accuracy; trials/ has every record.",
    }
    items = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in entries.items())
    return f"<dl>{items}</dl>"


BESIDE = "uv run mlflow ui --backend-store-uri sqlite:///mlflow.db   # in the folder of all sweeps"


def _next(summary: SweepSummary) -> str:
    description, stopped = summary.description, summary.stopped
    started = "It was started with:" if stopped else "Repeat or resume this sweep:"
    commands = [
        ("Resume with a larger budget:", stopped.resume_command if stopped else ""),
        (started, description.command),
        ("Every epoch of every trial, in MLflow:", description.tracking_uri or BESIDE),
    ]
    return "".join(
        f"<p>{text}</p><pre>{escape(command)}</pre>" for text, command in commands if command
    )
