"""report.html: one page that needs nothing else, on a phone or a desk, light or dark."""

import base64
from collections.abc import Sequence
from html import escape
from string import Template
from typing import Any

from sweeps.engine.records import TrialResult
from sweeps.engine.report import sentences
from sweeps.engine.report.aggregate import (
    LONG_STATUS,
    SweepSummary,
    binomial_interval,
    clean_rows,
    corrupted_rows,
    finite_objective,
    parameter_value,
)
from sweeps.engine.report.sentences import number, percent
from sweeps.engine.report.tables import Table, to_html

STYLE = """
:root { color-scheme: light dark; --line: #8885; --soft: #8881;
  --mark: color-mix(in srgb, #0072b2 18%, Canvas); }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1rem; max-width: 90rem; }
p { max-width: 50rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
.cut { border-left: 4px solid #d55e00; padding: .4rem .8rem; background: var(--soft); }
.best-value { font-size: 1.1rem; }
.note, figcaption { font-size: .875rem; opacity: .8; }
figure { margin: 1rem 0; }
figure img { width: 100%; max-width: 48rem; height: auto; background: #fff; border-radius: 6px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .4rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { text-align: left; vertical-align: bottom; }
tbody th { position: sticky; left: 0; background: Canvas; }
.number { text-align: right; }
.turned { padding: .25rem .2rem; }
.turned span { writing-mode: vertical-rl; transform: rotate(180deg); font-weight: normal; }
.best, .best th { background: var(--mark); font-weight: 600; }
.published { font-style: italic; opacity: .75; }
.published th { font-weight: normal; }
pre { overflow-x: auto; background: var(--soft); padding: .5rem .75rem; border-radius: 6px; }
details pre { white-space: pre-wrap; overflow-wrap: anywhere; max-width: 40rem; }
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
$cut
$answer
<p class="note">$asked</p>
<h2>Figure</h2>
$figure
<h2>Every value</h2>
$table
$notes
<h2>Every trial</h2>
$trials
<h2>Where it comes from</h2>
$provenance
<h2>Next</h2>
$next
</body>
</html>
""")


def to_page(summary: SweepSummary, table: Table, figure: bytes) -> str:
    """Return report.html.

    Args:
        summary: what to tell.
        table: the value x corruption table.
        figure: the SVG picture.
    """
    cut = sentences.cut_short(summary)
    best, *further = sentences.answer(summary)
    notes = (sentences.what_was_measured(summary), sentences.INTERVALS)
    return PAGE.substitute(
        style=STYLE,
        title=escape(str(summary.description["title"])),
        cut=f'<p class="cut"><strong>{escape(cut)}</strong></p>' if cut else "",
        answer=_paragraph([best], "best-value") + _paragraph(further),
        asked=escape(_asked(summary)),
        figure=_figure(summary, figure),
        table=_wide(to_html(table)) if table.rows else "<p>No value has been tried yet.</p>",
        notes=_paragraph(notes, "note"),
        trials=_trials(summary),
        provenance=_provenance(summary),
        next=_next(summary.description),
    )


def _paragraph(lines: Sequence[str], kind: str = "") -> str:
    return f'<p class="{kind or "text"}">{escape(" ".join(lines))}</p>' if lines else ""


def _wide(element: str) -> str:
    # A wide table scrolls by itself; the page never does.
    return f'<div class="wide" tabindex="0">{element}</div>'


def _asked(summary: SweepSummary) -> str:
    description, parameter = summary.description, summary.description["parameter"]
    grid = ", ".join(number(value) for value in description["grid"])
    return (
        f"Sweep {description['name']} of {description['created']}, {description['scale']} scale: "
        f"{parameter['name']} (in {parameter['unit']}) at {grid} and where the search went from "
        f"there, {sentences.plural(len(description['seeds']), 'seed')} each. "
        f"{sentences.how_trials_ended(summary)}"
    )


def _figure(summary: SweepSummary, figure: bytes) -> str:
    source = "data:image/svg+xml;base64," + base64.b64encode(figure).decode()
    caption = escape(f"{summary.measure} test accuracy by {summary.parameter}.")
    return (
        f'<figure><img src="{source}" alt="{caption} The table below holds the same numbers.">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _trials(summary: SweepSummary) -> str:
    if not summary.trials:
        return "<p>No trial has ended yet.</p>"
    heads = ("trial", summary.parameter, "seed", "status", "epochs", "validation", "clean")
    heads += (summary.measure, "95 % interval", "seconds training", "evaluation", "device")
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = "\n".join(_trial(trial, summary.parameter) for trial in summary.trials)
    table = f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
    note = "Interval of one trial: binomial over test images, each counted once."
    return _wide(table) + _paragraph([note], "note")


def _trial(trial: TrialResult, parameter: str) -> str:
    rows, clean = corrupted_rows(trial), clean_rows(trial)
    interval = binomial_interval(rows) if rows else None
    cells = (
        number(parameter_value(trial.config, parameter)),
        str(trial.config.seed),
        None,
        str(len(trial.history)),
        percent(finite_objective(trial)),
        percent(clean[0].top1) if clean else "",
        percent(interval.estimate) if interval else "",
        f"{percent(interval.low)} to {percent(interval.high)}" if interval else "",
        _seconds(trial, "training"),
        _seconds(trial, "evaluation"),
        trial.device,
    )
    html = "".join(
        f'<td class="number">{escape(cell)}</td>' if cell is not None else _status(trial)
        for cell in cells
    )
    return f'<tr><th scope="row"><code>{escape(trial.trial_id)}</code></th>{html}</tr>'


def _seconds(trial: TrialResult, part: str) -> str:
    return f"{trial.seconds[part]:.1f}" if part in trial.seconds else ""


def _status(trial: TrialResult) -> str:
    word = escape(LONG_STATUS[trial.status])
    if not trial.reason:
        return f"<td>{word}</td>"
    reason = f"<pre>{escape(trial.reason)}</pre>"
    return f"<td><details><summary>{word}</summary>{reason}</details></td>"


def _provenance(summary: SweepSummary) -> str:
    description = summary.description
    code = description.get("code") or {}
    dirty = ", with changes that were not committed" if code.get("dirty") else ""
    packages = description.get("packages") or {}
    entries = {
        "Code": f"{code.get('git_sha') or 'unknown'}{dirty}",
        "Packages": ", ".join(f"{name} {version}" for name, version in packages.items()),
        "Data": f"digest {description.get('data_digest') or 'unknown'}",
        "Seeds": ", ".join(str(seed) for seed in description["seeds"]),
        "Files": "results.parquet has every accuracy; trials/ has every record.",
    }
    items = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in entries.items())
    return f"<dl>{items}</dl>"


def _next(description: dict[str, Any]) -> str:
    commands = {
        "Repeat or carry on this sweep:": description.get("command"),
        "Every epoch of every trial, in MLflow:": description.get("tracking"),
    }
    return "".join(
        f"<p>{escape(text)}</p><pre>{escape(str(command))}</pre>"
        for text, command in commands.items()
        if command
    )
