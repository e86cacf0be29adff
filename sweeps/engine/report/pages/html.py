"""report.html: one page that needs nothing else, on a phone or a desk, light or dark."""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from string import Template

from sweeps.engine.report import sentences
from sweeps.engine.report.summary.aggregate import SweepSummary
from sweeps.engine.report.summary.space import range_text, value_text
from sweeps.engine.report.tables.table import Column, Row, Table

MOST_ROWS = 500  # of a table: a page of ten thousand is no page any more
STYLE = """
:root { color-scheme: light dark; --line: #8885; --soft: #8881;
  --mark: color-mix(in srgb, #0072b2 18%, Canvas); }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1rem; max-width: 90rem; }
p { max-width: 50rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
.reduced { border-left: 4px solid #d55e00; padding: .4rem .8rem; background: var(--soft); }
.best-value { font-size: 1.1rem; }
.note, figcaption { font-size: .875rem; opacity: .8; }
figure { margin: 1rem 0; }
figure img { max-width: 100%; height: auto; background: #fff; border-radius: 6px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .4rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { text-align: left; vertical-align: bottom; }
tbody th { position: sticky; left: 0; background: Canvas; max-width: 40vw; white-space: normal;
  overflow-wrap: break-word; }
.number { text-align: right; }
.vertical { padding: .25rem .2rem; }
.vertical span { writing-mode: vertical-rl; transform: rotate(180deg); font-weight: normal; }
.front th { color: #c04f00; }
.best, .best th { background: var(--mark); font-weight: 600; }
.paper { font-style: italic; opacity: .75; }
.paper th { font-weight: normal; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: var(--soft);
  padding: .5rem .75rem; border-radius: 6px; }
details pre { max-width: 40rem; }
dt { font-weight: 600; } dd { margin: 0 0 .5rem; overflow-wrap: anywhere; }
"""

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>$style</style>
</head>
<body>
<h1>$title</h1>
$deviations
$answer
<p class="note">$config</p>
<h2>$figures_title</h2>
$figures
$tables
<h2>Where it comes from</h2>
$provenance
<h2>Next</h2>
$next
</body>
</html>
""")


@dataclass(frozen=True)
class Picture:
    """A drawn figure: what it shows and where its numbers are, in sentences, and its SVG."""

    caption: str
    svg: bytes
    numbers: str = ""


def to_page(
    summary: SweepSummary, tables: Sequence[Table], answer: Sequence[str],
    pictures: Sequence[Picture],
) -> str:  # fmt: skip
    """Return report.html.

    Args:
        summary: of the sweep.
        tables: in their order.
        answer: what was found, in sentences, the most important first.
        pictures: the figures.
    """
    reduced = sentences.deviations(summary)
    best, *rest = answer
    return PAGE.substitute(
        style=STYLE,
        title=escape(summary.description.title),
        deviations=f'<p class="reduced"><strong>{escape(reduced)}</strong></p>' if reduced else "",
        answer=_paragraph([best], "best-value") + _paragraph(rest),
        config=escape(_config(summary)),
        figures_title="Figure" if len(pictures) == 1 else "Figures",
        figures="\n".join(map(_figure, pictures)),
        tables="\n".join(map(_table, tables)),
        provenance=_provenance(summary),
        next=_next(summary),
    )


def _paragraph(lines: Iterable[str], kind: str = "") -> str:
    text = escape(" ".join(lines))
    return f'<p class="{kind or "text"}">{text}</p>' if text else ""


def _config(summary: SweepSummary) -> str:
    description = summary.description
    seeds = sentences.plural(len(description.seeds), "seed")
    return (
        f"Sweep {description.name} of {description.created}, {description.scale} scale: "
        f"{_searched(summary)}, {seeds} each. {sentences.how_trials_ended(summary)}"
    )


def _searched(summary: SweepSummary) -> str:
    grid = summary.description.grid
    if len(summary.parameters) == 1:
        (parameter,) = summary.parameters
        values = sentences.listed([value_text(v) for (v,) in grid], ", ", sentences.NAMED)
        further = " and where the search went from there" if summary.search == "line" else ""
        if summary.has_checkpoints:
            return f"{parameter.unit}s {values}"
        return f"{parameter.name} (in {parameter.unit}) at {values}{further}"
    if summary.search == "grid":
        texts = [", ".join(map(value_text, point)) for point in grid]
        points = sentences.listed(texts, most=sentences.NAMED)
        units = ", ".join(f"{p.name} (in {p.unit})" for p in summary.parameters)
        return f"{units} at {points}"
    ranges = "; ".join(f"{p.name} ({range_text(p)}; {p.unit})" for p in summary.parameters)
    known = sentences.plural(len(summary.known), "point")
    learned = f", with what is known of {known} from earlier sweeps" if summary.known else ""
    sampler = summary.description.config.get("sampler")
    by = f" by the sampler {sampler}" if sampler else ""
    return f"{ranges}; proposed{by}{learned}"


def _figure(picture: Picture) -> str:
    source = "data:image/svg+xml;base64," + base64.b64encode(picture.svg).decode()
    caption = escape(picture.caption)
    return (
        f'<figure><img src="{source}" alt="{f"{caption} {picture.numbers}".strip()}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _table(table: Table) -> str:
    shown = table.fewer(MOST_ROWS)
    lines = [table.note]
    if hidden := len(table.rows) - len(shown.rows):
        lines.append(f"{hidden:,} of {len(table.rows):,} rows are not shown: {table.complete}")
    note = _paragraph(lines, "note")
    heads = "".join(map(_head, table.columns))
    body = "\n".join(_row(table, row) for row in shown.rows)
    # A wide table scrolls by itself; the page never does.
    element = (
        f'<div class="wide" tabindex="0"><table>\n<thead><tr>{heads}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table></div>\n"
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
    code = description.code
    dirty = ", with changes that were not committed" if code.get("dirty") else ""
    packages = description.packages
    entries = {
        "Code": f"{code.get('git_sha') or 'unknown'}{dirty}",
        "Packages": ", ".join(f"{name} {version}" for name, version in packages.items()),
        "Data": f"digest {description.data_digest or 'unknown'}",
        "Seeds": sentences.listed(list(map(str, description.seeds)), ", ", sentences.NAMED),
        "Files": "results.parquet has every accuracy; trials/ has every record.",
    }
    items = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in entries.items())
    return f"<dl>{items}</dl>"


def _next(summary: SweepSummary) -> str:
    description, stopped = summary.description, summary.stopped
    commands = {
        "Resume with a larger budget:": stopped.resume_command if stopped else None,
        "Repeat or resume this sweep:" if not stopped else "It was started with:": (
            description.command
        ),
        "Every epoch of every trial, in MLflow:": description.tracking,
    }
    return "".join(
        f"<p>{escape(text)}</p><pre>{escape(str(command))}</pre>"
        for text, command in commands.items()
        if command
    )
