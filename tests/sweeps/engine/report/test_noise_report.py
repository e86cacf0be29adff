"""What generators learned, as figures; the share of images that no noise can change enough."""

import io

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from gon_core.benchmarks.mnist import MNIST
from gon_core.evaluation import learned_noise
from sweeps.engine.records import NOISE
from sweeps.engine.report import write_report
from sweeps.engine.report.figures import learned_noise as noise_figures
from sweeps.engine.report.figures.learned_noise import (
    draw_overview,
    draw_portrait,
    read_portraits,
    render_trial,
)
from sweeps.engine.report.figures.style import STYLE
from sweeps.engine.report.summary.aggregate import summarise
from tests.sweeps.engine.report.made_up import (
    METHODS,
    ant_history,
    ant_result,
    epsilon_line,
    noise_file,
    result,
    write_sweep,
)


@pytest.mark.system
def test_trial_is_rendered_alone_and_the_same_again(noise):
    files = render_trial(ant_result(), noise)
    assert list(files) == ["learned_noise.png"]
    height, width, _ = imread(io.BytesIO(files["learned_noise.png"])).shape
    assert width > 800 and height > 800
    assert files == render_trial(ant_result(), noise)


@pytest.mark.system
@pytest.mark.parametrize("history", [[], ant_history(1), [{"epoch": 1.0, "loss": float("nan")}]])
@pytest.mark.filterwarnings("error")
def test_trial_with_little_history_is_rendered(noise, history):
    ended = ant_result().model_copy(update={"history": history})
    assert render_trial(ended, noise)


def test_file_that_is_no_noise_is_refused():
    with pytest.raises(Exception, match=r"(?i)header|deserializ"):
        render_trial(ant_result(), b"no tensors")


def test_panels_show_density_correlation_samples_and_training(noise):
    described = learned_noise.load(noise)
    with matplotlib.rc_context(STYLE):
        figure = draw_portrait(ant_result(), described, "title")
    titles = [axes._left_title.get_text() for axes in figure.axes]
    assert [title.split()[0] for title in titles] == [
        "Density", "Correlation", "Images", "Classifier's", "Its",
    ]  # fmt: skip
    numbers = [text.get_text() for text in figure.axes[1].texts]
    assert len(numbers) == 25 and numbers[12] == "1.00" and "-0.00" not in numbers
    sheet = np.asarray(figure.axes[2].images[0].get_array())
    assert (sheet[:28, :28] == described.noisy[0].numpy()).all()
    assert (sheet[30:, :28] == described.clean[0].numpy()).all()
    assert list(figure.axes[3].lines[0].get_ydata()) == [60.0, 75.0]


def test_resets_are_marked_only_where_few():
    rare = [{"epoch": float(e), "resets": float(e // 3)} for e in range(1, 8)]
    assert noise_figures.reset_epochs(rare) == [3.0, 6.0]
    assert noise_figures.reset_epochs(ant_history(6)) == []
    assert noise_figures.resets_text(rare) == "2 generators replaced in 7 epochs"


@pytest.mark.system
def test_report_has_the_best_large_and_every_point_small(sweeps):
    records = sweeps("epsilon")
    names = (records.folder / "report").names()
    assert {"learned_noise_best.png", "learned_noise_points.svg"} <= set(names)
    page = (records.folder / "report").read("report.html").decode()
    assert page.count("data:image/svg+xml;base64") == 2  # accuracies are charts
    summary = summarise(records)
    portraits = read_portraits(records, summary)
    point, (trial, _) = next(iter(portraits.items()))
    assert (point, trial.config.seed) == ((9.3,), 0)
    with matplotlib.rc_context(STYLE):
        assert len(draw_overview(summary, portraits).axes) == 2 * len(summary.points)


def test_missing_and_damaged_files_are_passed_over(make_ant_sweep, noise, caplog):
    results = epsilon_line()[:6]
    records = make_ant_sweep(results, noise=noise, seeds=3)
    records.trial(results[0].trial_id).folder.remove(NOISE)
    records.trial(results[1].trial_id).folder.write(NOISE, b"damaged")
    summary = summarise(records)
    portraits = read_portraits(records, summary)
    assert [trial.config.seed for trial, _ in portraits.values()] == [0, 2]
    assert "noise.safetensors is left out" in caplog.text
    for ended in results:
        records.trial(ended.trial_id).folder.remove(NOISE)
    write_report(records)
    assert not any("noise" in name for name in (records.folder / "report").names())


def words(figure):
    return " ".join(text.get_text() for text in figure.texts).replace("\n", " ")


def test_only_points_with_a_generator_are_counted(tmp_path, noise):
    trials = [result(MNIST.methods[name], 0, "converged", 80.0) for name in ("vanilla", "gnt")]
    trials += [ant_result(), ant_result(kernel_size=3)]
    records = write_sweep(tmp_path, trials, **METHODS | {"seeds": 1})
    for trial in trials[2:]:
        records.trial(trial.trial_id).folder.write(NOISE, noise)
    summary = summarise(records)
    assert "points" not in words(draw_overview(summary, read_portraits(records, summary)))
    records.trial(trials[3].trial_id).folder.write(NOISE, b"damaged")
    summary = summarise(records)
    portraits = read_portraits(records, summary)
    assert "1 of 2 measured points with a noise" in words(draw_overview(summary, portraits))


def test_one_portrait_needs_no_overview(make_ant_sweep, noise):
    records = make_ant_sweep([ant_result()], noise=noise, seeds=1)
    write_report(records)
    names = (records.folder / "report").names()
    assert "learned_noise_best.png" in names and "learned_noise_points.png" not in names


@pytest.mark.parametrize("epochs", [1, 2, 3, 7])
def test_epochs_are_whole_numbers(epochs):
    axes = Figure().add_axes((0, 0, 1, 1))
    noise_figures.draw_metric(axes, ant_history(epochs), "generator_accuracy")
    low, high = axes.get_xlim()
    ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert ticks and all(tick == round(tick) for tick in ticks)


@pytest.mark.system
def test_unattainable_sizes_are_told(sweeps):
    text = (sweeps("epsilon").folder / "report").read("table.md").decode()
    assert "epsilon 13: 3.4 % of them; epsilon 17: 61.2 % of them" in text
    assert "| unattainable |" in text
    page = (sweeps("epsilon").folder / "report").read("report.html").decode()
    assert "unattainable %" in page
    plain = (sweeps("depth").folder / "report").read("table.md").decode()
    assert "reaches epsilon" not in plain


def test_kernels_of_three_correlate_neighbours():
    independent, correlated = (learned_noise.load(noise_file(size)) for size in (1, 3))
    assert independent.correlation[2, 1].abs() < 0.03 < correlated.correlation[2, 1].abs()
