"""Charts of the points of a search: accuracy by value, in their order, and the Pareto front."""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

from gon_core.intervals import Interval
from search_spaces.parameter import Choice, Parameter, value_text
from sweeps.engine.report import sentences
from sweeps.engine.report.charts.chart import (
    COLORS,
    GREY,
    MOST_MARKS,
    OURS,
    PUBLISHED,
    SYMBOLS,
    Chart,
    error_bars,
    scatter,
    shown_points,
)
from sweeps.engine.report.summary.aggregate import LONG_STATUS, PointSummary, SweepSummary
from sweeps.engine.report.summary.estimates import corrupted_rows, interval_over_images
from sweeps.engine.report.summary.importance import Importances
from sweeps.engine.report.summary.space import label, point_text, with_unit

MOST_SERIES = 12
INTERVALS = "Bars: 95 % intervals, over seeds or, of one seed, over test images."


def accuracy_chart(summary: SweepSummary) -> Chart | None:
    """Return the test accuracy by value of the first parameter, a series for each of the others."""
    first = summary.parameters[0]
    points, note = shown_points(summary, summary.measured, INTERVALS)
    rests = list(dict.fromkeys(point.point[1:] for point in points))
    if not points or len(rests) > MOST_SERIES:
        return None
    traces = []
    if summary.published.means:
        means = summary.published.means
        text = [
            f"published: {summary.text(point)}<br>{mean:.1f} %" for point, mean in means.items()
        ]
        curve = summary.published.curve
        traces.append(
            scatter([x_of(first, point[0]) for point in means], list(means.values()), "published",
                    text, "lines+markers" if curve else "markers", PUBLISHED)
        )  # fmt: skip
    for number, rest in enumerate(rests):
        some = [point for point in points if point.point[1:] == rest]
        color, symbol = COLORS[number % len(COLORS)], SYMBOLS[number % len(SYMBOLS)]
        name = point_text(summary.parameters[1:], rest) if len(rests) > 1 else "mean"
        x = [x_of(first, point.point[0]) for point in some]
        intervals = [point.test.interval for point in some if point.test]
        traces.append(
            scatter(
                x, [interval.estimate for interval in intervals], name, hover(summary, some),
                "markers" if isinstance(first, Choice) else "lines+markers", color,
                error_y=error_bars(intervals), marker={"color": color, "size": 9, "symbol": symbol},
            )
        )  # fmt: skip
    traces += list(_trials(summary, points, first))
    axis: dict[str, Any] = {"title": {"text": with_unit(first)}}
    if isinstance(first, Choice):
        axis = {"title": {"text": label(first)}, "type": "category"}
    layout = {"xaxis": axis, "yaxis": {"title": {"text": f"{summary.measure}, test accuracy (%)"}}}
    title = f"{summary.measure} by {label(first)}"
    return Chart("accuracy", title, note, traces, layout, is_wide=summary.search != "line")


def x_of(parameter: Parameter, value: Any) -> Any:
    """Return where a value stands on its axis: words and choices are categories."""
    return value_text(value) if isinstance(parameter, Choice) else value


def _trials(
    summary: SweepSummary, points: Sequence[PointSummary], first: Parameter
) -> Iterator[dict[str, Any]]:
    best = sorted(points, key=lambda point: summary.ranks[point.point])
    trials = [(point, trial) for point in best for trial in point.trials if trial.measurements]
    name = f"{MOST_MARKS:,} of {len(trials):,} trials" if len(trials) > MOST_MARKS else "trials"
    trials = trials[:MOST_MARKS]
    rows = [corrupted_rows(trial) for _, trial in trials]
    values = [
        interval_over_images(trial, found).estimate
        for (_, trial), found in zip(trials, rows, strict=True)
    ]
    texts = [
        f"{summary.text(point.point)}, seed {trial.config.seed}<br>{value:.1f} %<br>"
        f"{LONG_STATUS[trial.status]}"
        for (point, trial), value in zip(trials, values, strict=True)
    ]
    x = [x_of(first, point.point[0]) for point, _ in trials]
    yield scatter(
        x, values, name, texts,
        marker={"color": GREY, "size": 6, "symbol": "circle-open"}, visible="legendonly",
    )  # fmt: skip


def hover(summary: SweepSummary, points: Sequence[PointSummary]) -> list[str]:
    """Return what is shown of each point under the pointer."""
    found = []
    for point in points:
        lines = [sentences.row_name(summary, point)]
        lines += [f"{name} {value_text(value)}" for name, value in zip(
            summary.labels, point.point, strict=False) if len(summary.labels) > 1]  # fmt: skip
        if point.test is not None:
            lines.append(f"test, corrupted: {_words(point.test.interval)}")
        if point.clean is not None:
            lines.append(f"test, clean: {_words(point.clean.interval)}")
        if point.objective is not None:
            lines.append(f"validation, corrupted: {_words(point.objective)}")
        lines.append(f"{len(point.trials)} trials")
        found.append("<br>".join(lines))
    return found


def _words(interval: Interval) -> str:
    if interval.low != interval.low:
        return f"{interval.estimate:.1f} %"
    return f"{interval.estimate:.1f} % ({interval.low:.1f} to {interval.high:.1f})"


def search_charts(summary: SweepSummary, importances: Importances) -> Iterator[Chart]:
    """Yield how the search went, its Pareto front, slices, and the importance of parameters."""
    complete = sorted(
        (point for point in summary.points if point.is_complete), key=lambda point: point.number
    )
    if summary.search == "grid" or not complete:
        return
    shown, note = shown_points(summary, complete)
    intervals = [point.objectives["corrupted"] for point in shown]
    numbers, texts = [point.number for point in shown], hover(summary, shown)
    y_title = "corrupted validation accuracy (%)"
    yield Chart(
        "progress",
        "The search, point by point",
        f"Line: the best so far. {note}".strip(),
        [
            scatter(numbers, [each.estimate for each in intervals], "mean over seeds",
                    texts, error_y=error_bars(intervals)),
            scatter(*_best_so_far(complete), "best so far", mode="lines", color=PUBLISHED,
                    line={"shape": "hv", "color": PUBLISHED}),
        ],
        {"xaxis": {"title": {"text": "point"}}, "yaxis": {"title": {"text": y_title}}},
    )  # fmt: skip
    if len(summary.objectives) == 2:
        yield _front(summary, shown, note)
    if summary.search == "joint":
        varied = f"The other parameters vary as well. Colour: the order of the search. {note}"
        for index, parameter in enumerate(summary.parameters):
            if len({point.point[index] for point in complete}) < 2:
                continue
            axis: dict[str, Any] = {"title": {"text": with_unit(parameter)}}
            if isinstance(parameter, Choice):
                listed = list(map(value_text, parameter.values))
                axis |= {"type": "category", "categoryorder": "array", "categoryarray": listed}
            elif getattr(parameter, "log", False):
                axis["type"] = "log"
            yield Chart(
                f"slice_{parameter.name}",
                f"Slice: {parameter.name}",
                varied.strip(),
                [
                    scatter(
                        [x_of(parameter, point.point[index]) for point in shown],
                        [each.estimate for each in intervals], "points", texts,
                        marker={"color": numbers, "colorscale": "Viridis", "size": 8},
                    )
                ],
                {"xaxis": axis, "yaxis": {"title": {"text": y_title}}, "showlegend": False},
            )  # fmt: skip
    for objective, shares in importances.items():
        names = sorted(shares, key=shares.__getitem__)
        yield Chart(
            f"importance_{objective}",
            f"Importance for {objective} accuracy",
            "How much of its variation each parameter explains.",
            [{"type": "bar", "orientation": "h", "y": names, "marker": {"color": OURS},
              "x": [100 * shares[name] for name in names],
              "hovertemplate": "%{y}: %{x:.0f} %<extra></extra>"}],
            {"xaxis": {"title": {"text": "share of the variation (%)"}},
             "yaxis": {"automargin": True}, "showlegend": False},
        )  # fmt: skip


def _best_so_far(points: Sequence[PointSummary]) -> tuple[list[int], list[float]]:
    """Return where the best of a search changes, and where it ends: numbers and accuracies."""
    best = accumulate((point.objectives["corrupted"].estimate for point in points), max)
    found: dict[float, int] = {}
    for point, value in zip(points, best, strict=True):
        found.setdefault(value, point.number)
    return [*found.values(), points[-1].number], [*found, max(found)]


def _front(summary: SweepSummary, shown: Sequence[PointSummary], note: str) -> Chart:
    first, second = summary.objectives
    front, _ = shown_points(summary, summary.front)
    return Chart(
        "front",
        "Pareto front",
        f"Points that no other surpasses in both accuracies are joined. {note}".strip(),
        [
            scatter([p.means[0] for p in shown], [p.means[1] for p in shown], "points",
                    hover(summary, shown), color=GREY),
            scatter([p.means[0] for p in front], [p.means[1] for p in front], "Pareto front",
                    hover(summary, front), "lines+markers", PUBLISHED),
        ],
        {"xaxis": {"title": {"text": f"{first} validation accuracy (%)"}},
         "yaxis": {"title": {"text": f"{second} validation accuracy (%)"}}},
    )  # fmt: skip
