"""The figure along one real parameter, and its second axis for epsilon."""

import matplotlib
import pytest
import torch

from gon_core.evaluation import learned_noise
from sweeps.engine.report.figures.accuracy import draw_accuracy, sigma_ticks
from sweeps.engine.report.figures.style import STYLE
from sweeps.engine.report.summary.aggregate import summarise
from tests.sweeps.engine.report.made_up import epsilon_line


@pytest.fixture
def portrait(noise):
    return learned_noise.load(noise)


def test_sigmas_stand_at_the_size_of_their_noise(portrait):
    ticks = sigma_ticks(portrait, 0.0, 20.0)
    sizes = dict(zip(portrait.sigmas.tolist(), portrait.gaussian_sizes.tolist(), strict=True))
    at_half = next(size for sigma, size in sizes.items() if sigma == pytest.approx(0.5))
    assert ticks[0.5] == pytest.approx(at_half, abs=0.02)
    assert list(ticks) == sorted(ticks) and list(ticks.values()) == sorted(ticks.values())


def test_what_gaussian_noise_cannot_reach_has_no_tick(portrait):
    largest = float(portrait.gaussian_sizes.max())
    assert sigma_ticks(portrait, largest + 0.5, largest + 5) == {}
    assert all(low <= largest for low in sigma_ticks(portrait, 0.0, 2 * largest).values())


def test_sizes_that_dip_do_not_turn_the_axis_round(portrait):
    sizes = portrait.gaussian_sizes.clone()
    sizes[-1] = sizes[-3] - 0.1
    dipping = learned_noise.LearnedNoise(**{**vars(portrait), "gaussian_sizes": sizes})
    places = list(sigma_ticks(dipping, 0.0, 20.0).values())
    assert places == sorted(places)
    assert torch.all(torch.tensor(places).diff() > 0)


def test_epsilon_has_the_axis_only_if_the_sizes_are_known(make_ant_sweep, portrait):
    summary = summarise(make_ant_sweep(epsilon_line()))
    with matplotlib.rc_context(STYLE):
        with_axis, without = draw_accuracy(summary, portrait), draw_accuracy(summary, None)
    (second,) = with_axis.axes[0].child_axes
    assert "sigma" in second.get_xlabel()
    assert without.axes[0].child_axes == []
    assert "published, at paper scale" in without.axes[0].get_legend_handles_labels()[1]


@pytest.mark.parametrize("best", [4.0, 17.0, 10.0])
def test_nothing_overlaps_above_the_axes(make_ant_sweep, portrait, best):
    results = [r for r in epsilon_line() if r.config.method.epsilon in (best, 7.0)]
    for index, ended in enumerate(results):
        top = 95.0 if ended.config.method.epsilon == best else 70.0
        results[index] = ended.model_copy(update={"objective": top})
    with matplotlib.rc_context(STYLE):
        figure = draw_accuracy(summarise(make_ant_sweep(results)), portrait)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    (label,) = [text for text in axes.texts if text.get_text().startswith("best")]
    (second,) = axes.child_axes
    title = axes.title if axes.title.get_text() else axes._left_title
    boxes = [text.get_window_extent() for text in (label, second.xaxis.label, title)]
    boxes.append(second.get_tightbbox())
    assert not boxes[0].overlaps(boxes[3]), "label on the second axis"
    assert not boxes[2].overlaps(boxes[3]), "title on the second axis"
    inside = axes.get_window_extent()
    assert inside.x0 <= boxes[0].x0 and boxes[0].x1 <= inside.x1


def test_validation_is_shown_since_it_chooses(make_sweep, line_search):
    summary = summarise(make_sweep(line_search))
    axes = draw_accuracy(summary).axes[0]
    (line,) = [each for each in axes.lines if str(each.get_label()).startswith("validation")]
    chosen = {point.point[0]: point.objective.estimate for point in summary.measured}
    assert dict(zip(line.get_xdata(), line.get_ydata(), strict=True)) == pytest.approx(chosen)
    assert axes.get_ylabel() == "MNIST-C mean accuracy (%)"
