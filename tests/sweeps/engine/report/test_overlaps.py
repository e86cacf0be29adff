"""No text of a figure lies on another, as matplotlib says where each is."""

from itertools import combinations

import matplotlib
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from sweeps.engine.report.figures.catalogue import appendix_drawings, search_drawings
from sweeps.engine.report.figures.learned_noise import read_portraits
from sweeps.engine.report.figures.style import STYLE
from sweeps.engine.report.summary.aggregate import summarise
from sweeps.engine.report.summary.importance import measure_importances

GAP = 1.0  # pixels at 100 dpi: texts that are nearer read as one, as "97.5100.0"
TOUCH = 2.0  # pixels that boxes of different lines may share: they have room above the letters


def overlaps(figure):
    """Return the pairs of texts whose boxes lie on each other."""
    figure.set_dpi(100)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    hidden = {label for axes in figure.axes for label in _out_of_view(axes)}
    boxes = [
        (text.get_text(), text.get_window_extent(renderer))
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip() and text not in hidden
    ]
    return [
        (one, other)
        for (one, first), (other, second) in combinations(boxes, 2)
        if _share(first, second)
    ]


def _out_of_view(axes):
    """Yield the labels of ticks beyond the ends of an axis, and of one that is not shown."""
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        room = 1e-9 * (high - low)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
            if not axes.axison or not low - room <= tick.get_loc() <= high + room:
                yield from (tick.label1, tick.label2)


def _share(one, other):
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return width > -GAP and height > TOUCH


@pytest.mark.system
@pytest.mark.parametrize("kind", ["epsilon", "front"])
def test_no_text_lies_on_another(kind, sweeps):
    records = sweeps(kind)[0] if isinstance(sweeps(kind), tuple) else sweeps(kind)
    summary = summarise(records)
    importances = measure_importances(summary)
    drawings = [
        *search_drawings(summary, importances, read_portraits(records, summary)),
        *appendix_drawings(summary, records),
    ]
    assert drawings
    with matplotlib.rc_context(STYLE):
        found = {each.name: pairs for each in drawings if (pairs := overlaps(each.draw()))}
    assert not found, found


@pytest.mark.system
def test_no_text_of_a_line_search_lies_on_another(make_sweep, line_search):
    summary = summarise(make_sweep(line_search))
    with matplotlib.rc_context(STYLE):
        found = {
            each.name: pairs
            for each in search_drawings(summary, {}, {})
            if (pairs := overlaps(each.draw()))
        }
    assert not found, found
