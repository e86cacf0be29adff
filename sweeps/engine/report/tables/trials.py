"""The table of all trials in report.html: one line a trial, with the reason where one was lost."""

from collections.abc import Sequence
from html import escape
from itertools import islice

from sweeps.engine.records import TrialResult
from sweeps.engine.report.sentences import percent
from sweeps.engine.report.summary.aggregate import LONG_STATUS, SweepSummary
from sweeps.engine.report.summary.estimates import (
    binomial_interval,
    clean_rows,
    corrupted_rows,
    finite_objectives,
    share_unattainable,
)
from sweeps.engine.report.summary.space import value_text
from sweeps.engine.report.tables.points import html_head

WORDS = ("trial", "status", "device")  # heads of columns that hold no numbers


def shown_trials(summary: SweepSummary, most: int) -> list[TrialResult]:
    """Return all trials, or ``most`` of them: what is told of nowhere else, then the best points'.

    In the order of ``summary.trials``.
    """
    if len(summary.trials) <= most:
        return list(summary.trials)
    told = [trial for trial in summary.trials if trial.reason or trial.notes]
    ranked = [t for p in (*summary.by_rank, *summary.baselines) for t in p.trials]
    chosen = dict.fromkeys(trial.trial_id for trial in (*told, *ranked))
    ids = set(islice(chosen, most))
    return [trial for trial in summary.trials if trial.trial_id in ids]


def trials_table(summary: SweepSummary, trials: Sequence[TrialResult]) -> str:
    """Return the table of some trials as an HTML element, every cell escaped."""
    validation = ["validation"]
    if len(summary.objectives) > 1:
        validation = [f"validation {name}" for name in summary.objectives]
    has_share = any(share_unattainable(trial) is not None for trial in summary.trials)
    heads = [
        "trial", *(name.replace("_", " ") for name in summary.labels), "seed", "status", "epochs",
        *validation, "clean", summary.measure, "95 % interval",
        *(["unattainable %"] if has_share else []), "seconds training", "evaluation", "device",
    ]  # fmt: skip
    head = "".join(html_head(text, is_number=text not in WORDS) for text in heads)
    body = "\n".join(_trial(summary, trial, has_share) for trial in trials)
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def _trial(summary: SweepSummary, trial: TrialResult, has_share: bool) -> str:
    rows, clean = corrupted_rows(trial), clean_rows(trial)
    interval = binomial_interval(rows) if rows else None
    objectives = finite_objectives(trial, summary.objectives)
    cells = [
        *_values(summary, trial),
        str(trial.config.seed),
        None,
        str(len(trial.history)),
        *(map(percent, objectives) if objectives else [""] * len(summary.objectives)),
        percent(clean[0].value) if clean else "",
        percent(interval.estimate) if interval else "",
        f"{percent(interval.low)} to {percent(interval.high)}" if interval else "",
        *([percent(share_unattainable(trial))] if has_share else []),
        _seconds(trial, "training"),
        _seconds(trial, "evaluation"),
    ]
    html = "".join(
        f'<td class="number">{escape(cell)}</td>' if cell is not None else _status(trial)
        for cell in cells
    )
    html += f"<td>{escape(trial.device)}</td>"
    return f'<tr><th scope="row"><code>{escape(trial.trial_id)}</code></th>{html}</tr>'


def _values(summary: SweepSummary, trial: TrialResult) -> list[str]:
    texts = list(map(value_text, summary.point_of(trial)))
    return texts + [""] * (len(summary.names) - len(texts))


def _seconds(trial: TrialResult, part: str) -> str:
    return f"{trial.seconds[part]:.1f}" if part in trial.seconds else ""


def _status(trial: TrialResult) -> str:
    word = escape(LONG_STATUS[trial.status])
    if not (text := "\n".join([trial.reason, *trial.notes]).strip()):
        return f"<td>{word}</td>"
    reason = f"<pre>{escape(text)}</pre>"
    return f"<td><details><summary>{word}</summary>{reason}</details></td>"
