"""No text of a figure lies on another, as matplotlib says where each is."""

from functools import partial
from itertools import combinations

import matplotlib
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from gon_core.benchmarks.cifar10 import CIFAR10
from gon_core.benchmarks.mnist import MNIST
from gon_core.evaluation.examples import Examples
from sweeps.engine.report.figures.accuracy import draw_accuracy
from sweeps.engine.report.figures.catalogue import appendix_drawings, search_drawings
from sweeps.engine.report.figures.corruption_bars import draw_corruption_bars
from sweeps.engine.report.figures.examples import draw_corruptions, draw_perturbed, draw_sigmas
from sweeps.engine.report.figures.learned_noise import read_portraits
from sweeps.engine.report.figures.perturbations import draw_perturbations
from sweeps.engine.report.figures.severities import draw_severities
from sweeps.engine.report.figures.style import STYLE
from sweeps.engine.report.summary.aggregate import summarise
from sweeps.engine.report.summary.importance import measure_importances
from tests.sweeps.engine.report.made_up import METHODS, methods, write_sweep

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


def found_in(drawings):
    """Return the texts that lie on each other, by figure."""
    with matplotlib.rc_context(STYLE):
        return {name: pairs for name, draw in drawings if (pairs := overlaps(draw()))}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["epsilon", "depth", "reset", "joint", "front"])
def test_no_text_lies_on_another(kind, sweeps):
    records = sweeps(kind)
    summary = summarise(records)
    importances = measure_importances(summary)
    drawings = [
        *search_drawings(summary, importances, read_portraits(records, summary)),
        *appendix_drawings(summary, records),
    ]
    assert drawings
    found = found_in((each.name, each.draw) for each in drawings)
    assert not found, found


@pytest.mark.system
def test_no_text_of_a_line_search_lies_on_another(make_sweep, line_search):
    drawings = search_drawings(summarise(make_sweep(line_search)), {}, {})
    found = found_in((each.name, each.draw) for each in drawings)
    assert not found, found


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seeds", [1, 3])
def test_no_text_of_twelve_methods_lies_on_another(seeds, tmp_path):
    summary = summarise(write_sweep(tmp_path / "sweep", methods(seeds), **METHODS))
    names = draw_severities, draw_corruption_bars, draw_perturbations, draw_accuracy
    found = found_in((draw.__name__, partial(draw, summary)) for draw in names)
    assert not found, found


@pytest.mark.system
@pytest.mark.parametrize("benchmark", [MNIST, CIFAR10], ids=["mnist", "cifar10"])
@pytest.mark.parametrize("severities", [(3,), (1, 2, 3, 4, 5)])
def test_no_text_of_a_sheet_lies_on_another(benchmark, severities):
    images = torch.zeros((4, *benchmark.image_shape), dtype=torch.uint8)
    names = benchmark.suites["test"].corruptions
    shown = Examples(images, {name: dict.fromkeys(severities, images) for name in names})
    sigmas = [0.0, 0.08, 0.1, 0.125, 0.25, 0.5, 1.0]
    found = found_in([
        ("corruptions", lambda: draw_corruptions(shown, benchmark)),
        ("sigmas", lambda: draw_sigmas(shown, sigmas)),
    ])  # fmt: skip
    assert not found, found


@pytest.mark.system
def test_no_text_of_perturbed_images_lies_on_another(tmp_path):
    trials = methods(1)
    summary = summarise(write_sweep(tmp_path / "sweep", trials, **METHODS | {"seeds": 1}))
    images = torch.zeros((4, 1, 28, 28), dtype=torch.uint8)
    noisy = {
        point.point: (point.trials[0], {"clean": images, "gaussian": images, "uniform": images})
        for point in summary.points
    }
    found = found_in([("perturbed", lambda: draw_perturbed(summary, noisy))])
    assert not found, found
