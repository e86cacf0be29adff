"""The tables of several sweeps: the best of each, paired differences, and how they differ."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gon_core.comparison import paired_difference
from sweeps.engine.report.summary.aggregate import PointSummary, SweepSummary
from sweeps.engine.report.summary.estimates import Estimate
from sweeps.engine.report.tables.comparisons import MEASURES, by_seed, texts
from sweeps.engine.report.tables.table import Row, Table, numbers, words
from sweeps.engine.system.text import plural

GROWING = ("grid", "seeds", "proposals", "baselines")  # how far a sweep has come, not what it is
MOST_DIFFERENCES = 60
LONGEST = 60  # letters of a setting
BEST_NOTE = (
    "Test accuracy in percent, mean over seeds, ± half of the 95 % interval (marked * over the "
    "images of one seed). The best point of each sweep is chosen by its own validation accuracy; "
    "that of the sweep with the highest one is marked."
)
PAIRED_NOTE = (
    "Difference to the first sweep in points, over the seeds that both have, with its 95 % "
    "interval by a paired t-test; p is not corrected for the number of comparisons. Equal seeds "
    "share the order of the images and, in equal settings, the initial weights."
)


def several_tables(summaries: Sequence[SweepSummary]) -> tuple[Table, ...]:
    """Return the tables of a page with several sweeps; those that would be empty are left out."""
    tables = (_best(summaries), _paired_bests(summaries), _paired_points(summaries),
              _differences(summaries))  # fmt: skip
    return tuple(table for table in tables if table.rows)


def _best(summaries: Sequence[SweepSummary]) -> Table:
    chosen = [(summary, summary.best) for summary in summaries]
    found = [best.objective.estimate for _, best in chosen if best and best.objective]
    rows = []
    for summary, best in chosen:
        name, best_of_all = summary.description.name, False
        if best is None or best.objective is None:
            rows.append(Row((name, "no point is complete", *[""] * 5)))
        else:
            best_of_all = best.objective.estimate == max(found)
            cells = summary.text(best.point), *_accuracies(best), f"{best.objective.estimate:.1f}"
            count = plural(len(summary.trials), "trial")
            rows.append(
                Row((name, *cells, str(best.test.trials if best.test else 0), count),
                    "best" if best_of_all else "")
            )  # fmt: skip
        rows += [
            Row((name, f"baseline {each.point[0]}", *_accuracies(each), "",
                 str(each.test.trials if each.test else 0), ""), "baseline")
            for each in summary.baselines
        ]  # fmt: skip
    columns = (*words("sweep", "best"), *numbers("corrupted", "clean", "validation", "seeds"),
               *words("in all"))  # fmt: skip
    return Table("The best of each sweep", columns, tuple(rows), BEST_NOTE, heads=2)


def _accuracies(point: PointSummary) -> tuple[str, str]:
    return _text(point.test), _text(point.clean)


def _text(found: Estimate | None) -> str:
    return "" if found is None else f"{found.mean:.1f} ± {found.half_width}"


def _paired_bests(summaries: Sequence[SweepSummary]) -> Table:
    first, *others = summaries
    rows = []
    for other in others:
        if first.best is not None and other.best is not None:
            names = (other.description.name, other.text(other.best.point))
            rows += _paired(names, first.best, other.best)
    best = first.text(first.best.point) if first.best else ""
    title = f"The best, paired with {first.description.name}, {best}"
    return Table(title, _columns("sweep", "its best"), tuple(rows), PAIRED_NOTE, heads=3)


def _paired_points(summaries: Sequence[SweepSummary]) -> Table:
    """Return the differences at points that the first sweep has as well, baselines among them."""
    first, *others = summaries
    theirs = {_key(first, point): point for point in first.compared}
    rows = []
    for other in others:
        for point in other.compared:
            if (equal := theirs.get(_key(other, point))) is not None:
                names = (other.description.name, other.text(point.point))
                rows += _paired(names, equal, point)
    title = f"Equal points, paired with {first.description.name}"
    return Table(title, _columns("sweep", "point"), tuple(rows), PAIRED_NOTE, heads=3)


def _key(summary: SweepSummary, point: PointSummary) -> Any:
    if summary.is_baseline(point.point):
        return point.point
    return frozenset(zip(summary.names, point.point, strict=True))


def _columns(*names: str) -> tuple[Any, ...]:
    return (*words(*names, "accuracy"), *numbers("difference", "95 % interval", "p", "pairs"))


def _paired(names: tuple[str, str], first: PointSummary, second: PointSummary) -> Iterator[Row]:
    for measure in MEASURES:
        ours, theirs = by_seed(first, measure), by_seed(second, measure)
        if ours.keys() & theirs.keys():
            yield Row((*names, measure, *texts(paired_difference(ours, theirs), "seed")))


def _differences(summaries: Sequence[SweepSummary]) -> Table:
    """Return the settings that are not the same in all sweeps."""
    configs = [dict(_leaves(summary.description.config)) for summary in summaries]
    names = dict.fromkeys(name for config in configs for name in config)
    facts = [
        {"code": str(summary.description.code.get("git_sha", "unknown"))[:12],
         "made": summary.description.created[:10]}
        for summary in summaries
    ]  # fmt: skip
    rows = []
    for name in (*names, "code", "made"):
        texts_of = [
            _setting({**config, **fact}.get(name))
            for config, fact in zip(configs, facts, strict=True)
        ]
        if len(set(texts_of)) > 1:
            rows.append(Row((name, *texts_of)))
    columns = words("setting", *(summary.description.name for summary in summaries))
    hidden = len(rows) - MOST_DIFFERENCES
    note = f"{hidden} further settings differ." if hidden > 0 else ""
    return Table("How the sweeps differ", columns, tuple(rows[:MOST_DIFFERENCES]), note)


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        yield path, value
        return
    for name, each in value.items():
        if path or name not in GROWING:
            yield from _leaves(each, f"{path}.{name}" if path else name)


def _setting(value: Any) -> str:
    text = "none" if value is None else value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
