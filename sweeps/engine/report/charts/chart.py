"""A chart: what plotly's script draws in the page, and the marks that all charts share."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gon_core.intervals import Interval
from sweeps.engine.report.figures.style import GREY, OURS, PUBLISHED, SERIES
from sweeps.engine.report.summary.aggregate import PointSummary, SweepSummary

COLORS = tuple(color for color, _, _ in SERIES)
SYMBOLS = ("circle", "diamond", "triangle-up", "square", "triangle-down", "cross")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
MOST_MARKS = 2_000  # of one kind in a chart: a page holds as many, however large the sweep
DIGITS = 5  # significant, of every number: more would only make the page larger
__all__ = [
    "COLORS", "DASHES", "GREY", "MOST_MARKS", "OURS", "PUBLISHED", "SYMBOLS", "Chart", "as_json",
    "error_bars", "scatter", "shown_points",
]  # fmt: skip


@dataclass(frozen=True)
class Chart:
    """What plotly draws.

    Attributes:
        name: of its element in the page.
        title: above it.
        note: how to read it, below; empty for nothing.
        data: plotly's traces.
        layout: of plotly, what is special; the page adds colours and margins.
        is_wide: whether it takes the whole width of the page.
        choices: what a menu lets the reader draw: the ``y`` of each trace, by the name of the
            vertical axis. The first is drawn at the beginning; ``data`` then has no ``y``.
    """

    name: str
    title: str
    note: str
    data: list[dict[str, Any]]
    layout: dict[str, Any] = field(default_factory=dict)
    is_wide: bool = False
    choices: dict[str, list[list[float | None]]] = field(default_factory=dict)

    def to_json(self, texts: dict[str, int]) -> str:
        """Return the chart as JSON for an element of HTML.

        Args:
            texts: of the marks, by number. Several charts show the same ones, so the page holds
                each once, and the chart its number; those that are new are added.
        """
        data = [
            trace | {"text": [texts.setdefault(text, len(texts)) for text in trace["text"]]}
            if "text" in trace
            else trace
            for trace in self.data
        ]
        choices = {"choices": self.choices} if self.choices else {}
        return as_json({"data": data, "layout": self.layout} | choices)


def as_json(value: Any) -> str:
    """Return JSON that may stand inside an element of HTML."""
    text = json.dumps(_plain(value), separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("&", "\\u0026")


def shown_points(
    summary: SweepSummary, points: Sequence[PointSummary], note: str = ""
) -> tuple[list[PointSummary], str]:
    """Return the points that a chart shows, in their order: all, or the best ``MOST_MARKS``.

    Args:
        summary: of the sweep; its baselines are always among them.
        points: that it could show.
        note: how to read the chart. What is returned beside the points says if some are missing.
    """
    if len(points) <= MOST_MARKS:
        return list(points), note
    ranked = sorted(points, key=lambda point: summary.ranks.get(point.point, -1))
    kept = {point.point for point in ranked[:MOST_MARKS]}
    missing = f"The best {MOST_MARKS:,} of {len(points):,} points are shown."
    return [point for point in points if point.point in kept], f"{note} {missing}".strip()


def _plain(value: Any) -> Any:
    """Return a value with fewer digits, and None for what JSON has no number for."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value


def scatter(
    x: Sequence[Any], y: Sequence[float | None], name: str, hover: Sequence[str] = (),
    mode: str = "markers", color: str = OURS, **further: Any,
) -> dict[str, Any]:  # fmt: skip
    """Return a trace of marks, of lines, or of both; ``hover`` is the text of each mark."""
    trace = {
        "type": "scatter", "x": list(x), "y": list(y), "name": name, "mode": mode,
        "marker": {"color": color, "size": 8}, "line": {"color": color, "width": 1.5},
    }  # fmt: skip
    if hover:
        trace |= {"text": list(hover), "hovertemplate": "%{text}<extra></extra>"}
    return trace | further


def error_bars(intervals: Sequence[Interval]) -> dict[str, Any]:
    """Return the bars of a trace: the 95 % intervals of its values, where they have one."""
    return {
        "type": "data", "symmetric": False, "thickness": 1.2, "width": 4,
        "array": [interval.high - interval.estimate for interval in intervals],
        "arrayminus": [interval.estimate - interval.low for interval in intervals],
    }  # fmt: skip
