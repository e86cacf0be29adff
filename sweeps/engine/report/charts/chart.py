"""A chart: what plotly's script draws in the page, and the marks that all charts share."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gon_core.intervals import Interval
from sweeps.engine.report.figures.style import GREY, OURS, PUBLISHED, SERIES

COLORS = tuple(color for color, _, _ in SERIES)
SYMBOLS = ("circle", "diamond", "triangle-up", "square", "triangle-down", "cross")
DIGITS = 5  # significant, of every number: more would only make the page larger
__all__ = ["COLORS", "GREY", "OURS", "PUBLISHED", "SYMBOLS", "Chart", "error_bars", "scatter"]


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
    """

    name: str
    title: str
    note: str
    data: list[dict[str, Any]]
    layout: dict[str, Any] = field(default_factory=dict)
    is_wide: bool = False

    def to_json(self) -> str:
        """Return data and layout as JSON that may stand inside an element of HTML."""
        text = json.dumps(_plain({"data": self.data, "layout": self.layout}), separators=(",", ":"))
        return text.replace("<", "\\u003c").replace("&", "\\u0026")


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
