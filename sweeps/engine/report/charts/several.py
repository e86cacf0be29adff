"""Charts of several sweeps on the same axes."""

from collections.abc import Sequence
from typing import Any

from search_spaces.parameter import Choice, Parameter
from sweeps.engine.report.charts.chart import (
    COLORS,
    SYMBOLS,
    Chart,
    error_bars,
    scatter,
    shown_points,
)
from sweeps.engine.report.charts.points import INTERVALS, hover, x_of
from sweeps.engine.report.summary.aggregate import PointSummary, SweepSummary
from sweeps.engine.report.summary.space import label, with_unit


def several_charts(summaries: Sequence[SweepSummary]) -> list[Chart]:
    """Return a chart for each parameter that several sweeps search, and two of all points."""
    names = dict.fromkeys(name for summary in summaries for name in summary.names)
    found = []
    for name in names:
        some = [summary for summary in summaries if name in summary.names and summary.measured]
        if len(some) > 1:
            found.append(_by_parameter(name, some, summaries))
    return [*found, _accuracies(summaries), _corruptions(summaries)]


def _look(summaries: Sequence[SweepSummary], summary: SweepSummary) -> dict[str, Any]:
    """Return the marks of a sweep, the same in every chart."""
    number = summaries.index(summary)
    color, symbol = COLORS[number % len(COLORS)], SYMBOLS[number % len(SYMBOLS)]
    return {"color": color, "marker": {"color": color, "size": 9, "symbol": symbol}}


def _by_parameter(
    name: str, some: Sequence[SweepSummary], summaries: Sequence[SweepSummary]
) -> Chart:
    traces, kinds, note = [], [], INTERVALS
    for summary in some:
        index = summary.names.index(name)
        parameter = summary.parameters[index]
        points, note = shown_points(summary, summary.measured, note)
        kinds.append(parameter)
        if not isinstance(parameter, Choice):
            points.sort(key=lambda point, index=index: float(point.point[index]))
        is_line = len(summary.parameters) == 1 and not isinstance(parameter, Choice)
        traces.append(
            scatter(
                [x_of(parameter, point.point[index]) for point in points],
                [point.test.mean for point in points if point.test],
                summary.description.name, hover(summary, points),
                "lines+markers" if is_line else "markers",
                error_y=error_bars([point.test.interval for point in points if point.test]),
                **_look(summaries, summary),
            )
        )  # fmt: skip
    layout = {"xaxis": _axis(kinds), "yaxis": {"title": {"text": _measure(some[0])}}}
    others = any(len(summary.parameters) > 1 for summary in some)
    note += " Other parameters vary as well." * others
    return Chart(f"by_{name}", f"By {label(kinds[0])}", note, traces, layout)


def _axis(kinds: Sequence[Parameter]) -> dict[str, Any]:
    axis: dict[str, Any] = {"title": {"text": with_unit(kinds[0])}}
    if all(isinstance(kind, Choice) for kind in kinds):
        axis["type"] = "category"
    return axis


def _measure(summary: SweepSummary) -> str:
    return f"{summary.measure}, test accuracy (%)"


def _accuracies(summaries: Sequence[SweepSummary]) -> Chart:
    traces, note = [], "Every point of every sweep, and the baselines."
    for summary in summaries:
        points = [point for point in summary.compared if point.test and point.clean]
        points, note = shown_points(summary, points, note)
        traces.append(
            scatter(
                [point.clean.mean for point in points if point.clean],
                [point.test.mean for point in points if point.test],
                summary.description.name, hover(summary, points), **_look(summaries, summary),
            )
        )  # fmt: skip
    layout = {
        "xaxis": {"title": {"text": "clean, test accuracy (%)"}},
        "yaxis": {"title": {"text": _measure(summaries[0])}},
    }
    return Chart("accuracies", "Clean and corrupted accuracy", note, traces, layout)


def _corruptions(summaries: Sequence[SweepSummary]) -> Chart:
    names = summaries[0].suite.corruptions
    traces = [
        {
            "type": "bar", "name": f"{summary.description.name}: {summary.text(best.point)}",
            "x": [name.replace("_", " ") for name in names],
            "y": [best.corruptions.get(name) for name in names],
            "marker": {"color": _look(summaries, summary)["color"]},
            "hovertemplate": "%{x}: %{y:.1f} %<extra></extra>",
        }
        for summary in summaries
        if isinstance(best := summary.best, PointSummary)
    ]  # fmt: skip
    layout = {
        "barmode": "group", "xaxis": {"automargin": True},
        "yaxis": {"title": {"text": "test accuracy (%)"}},
    }  # fmt: skip
    return Chart("corruptions", "The best of each under each corruption", "", traces, layout, True)
