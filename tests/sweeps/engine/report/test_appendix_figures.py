"""The appendix' figures of our own runs draw the records' numbers, all of them and no others."""

import math
import statistics
from dataclasses import replace
from functools import cache

import matplotlib
import numpy as np
import pytest
import torch

from gon_core.benchmarks.cifar10 import CIFAR10
from gon_core.benchmarks.mnist import MNIST
from gon_core.config import GNT, AugMix, DataConfig, TrialConfig, Vanilla
from gon_core.corruptions.mnist_c import CORRUPTIONS
from gon_core.evaluation import perturbed
from gon_core.evaluation.examples import Examples, dump
from gon_core.intervals import percent_interval
from gon_core.measurement import SEVERITIES_SPLIT, TOP1, accuracy_row
from search_spaces.parameter import Choice
from sweeps.engine.records import EXAMPLES, PERTURBED
from sweeps.engine.report.figures.accuracy import draw_accuracy
from sweeps.engine.report.figures.catalogue import appendix_drawings
from sweeps.engine.report.figures.corruption_bars import draw_corruption_bars
from sweeps.engine.report.figures.examples import (
    draw_corruptions,
    draw_perturbed,
    draw_posterize,
    draw_sigmas,
)
from sweeps.engine.report.figures.image_sheet import FRAME
from sweeps.engine.report.figures.perturbations import draw_perturbations
from sweeps.engine.report.figures.severities import draw_severities, title_of
from sweeps.engine.report.figures.style import PUBLISHED, STYLE, render
from sweeps.engine.report.summary.aggregate import summarise
from tests.spaces import SIGMA
from tests.sweeps.engine.report.made_up import (
    METHODS,
    NOISES,
    measured_as,
    measured_result,
    measured_sigmas,
    methods,
    result,
    size_rows,
    with_correct,
    write_sweep,
)

PAPER = {("vanilla",): {"pgd": 55.8, "ddn": 73.2}, ("ant_1x1",): {"ddn": 90.4}}

SIDE = 28  # pixels of an image


@pytest.fixture
def make(tmp_path):
    """Return a function from trials, by default all methods, to their summary."""

    def summary(results=None, **changes):
        found = methods(1) if results is None else results
        return summarise(write_sweep(tmp_path / "sweep", found, **METHODS | changes))

    return summary


@pytest.fixture(scope="module")
def three_seeds(tmp_path_factory):
    """Twelve methods with three seeds each: results, summary, and each figure, drawn once."""
    results = methods(3)
    summary = summarise(write_sweep(tmp_path_factory.mktemp("three") / "sweep", results, **METHODS))
    return results, summary, cache(lambda draw: drawn(draw, summary))


def drawn(draw, *arguments):
    with matplotlib.rc_context(STYLE):
        figure = draw(*arguments)
    figure.draw_without_rendering()
    return figure


def panel(figure, title):
    return next(axes for axes in figure.axes if axes.get_title(loc="left") == title)


def words(figure):
    axes_texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    return [text.get_text() for text in figure.texts] + axes_texts


def caption(figure):
    return figure.texts[-1].get_text().replace("\n", " ")


def bars(axes):
    """Return (middle, low, high) of each error bar along x, and its row."""
    found = []
    for container in axes.containers:
        if hasattr(container, "has_xerr"):
            line, _, (collection,) = container
            (x,), (row,) = line.get_data()
            ends = collection.get_segments()[0][:, 0]
            found.append((row, x, min(ends), max(ends)))
    return found


def top1(trial, split, corruption, severity):
    key = (split, corruption, severity)
    return next(r.value for r in trial.of(TOP1) if (r.split, r.setting, r.severity) == key)


@pytest.mark.system
def test_severities_are_means_over_seeds(three_seeds):
    results, _, figures = three_seeds
    figure = figures(draw_severities)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        name.replace("_", " ") for name in CORRUPTIONS
    ]
    for name in ("fog", "canny_edges"):
        axes = panel(figure, name.replace("_", " "))
        assert len(axes.containers) == 12
        for index, container in enumerate(axes.containers):
            trials = results[3 * index : 3 * index + 3]
            x, y = container[0].get_data()
            assert [round(place) for place in x] == [0, 1, 2, 3, 4, 5]
            for severity, mean in enumerate(y):
                kind = name if severity else "clean"
                expected = statistics.fmean(
                    top1(trial, SEVERITIES_SPLIT, kind, severity) for trial in trials
                )
                assert mean == pytest.approx(expected)
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend[0] == "vanilla" and legend[-1] == "ant 1x1 without replay" and len(legend) == 12
    assert "our extension" in caption(figure) and "Student t over seeds" in caption(figure)


def test_severity_0_is_of_the_images_that_the_severities_are_of(make):
    trial = measured_result(Vanilla(), 0, 0.3)
    fewer = [
        with_correct(row, min(row.extra["correct"], 60), 60)
        if row.split == SEVERITIES_SPLIT
        else row
        for row in trial.of(TOP1)
    ]
    summary = make([measured_as(trial, TOP1, fewer)], seeds=1)
    axes = panel(drawn(draw_severities, summary), "fog")
    x, y = axes.containers[0][0].get_data()
    assert [round(place) for place in x] == [0, 1, 2, 3, 4, 5] and y[0] == 100


def test_photos_have_severities_in_what_every_trial_is_tested_on(make):
    ended = result(Vanilla(), 0, "max_epochs", None)
    config = TrialConfig(**dict(ended.config) | {"data": DataConfig(dataset="cifar10")})
    left_out = [name for name in CIFAR10.suites["test"].corruptions if name not in ("fog", "snow")]
    rows = [accuracy_row("test", "clean", 0, 90, 100)]
    rows += [
        accuracy_row("test", name, severity, 80 - severity, 100)
        for name in ("snow", "fog")
        for severity in range(1, 6)
    ]
    changed = {"trial_id": config.trial_id, "config": config, "measurements": rows}
    trial = ended.model_copy(update=changed)
    said = {"data": {"dataset": "cifar10"}, "evaluation": {"left_out": left_out}}
    summary = make([trial], seeds=1, config=said, published=None)
    assert title_of(summary) == "CIFAR-10-C"
    figure = drawn(draw_severities, summary)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["snow", "fog"]
    _, y = panel(figure, "fog").containers[0][0].get_data()
    assert y.tolist() == [90, 79, 78, 77, 76, 75]
    assert "extension" not in caption(figure)
    assert title_of(make([result(Vanilla(), 1, "max_epochs", 80.0)])) == ""


def wide(count=2):
    """Return seeds so far apart that t intervals end beyond 0 and 100 %."""
    found = []
    for seed, correct in enumerate((450, 950)[:count]):
        trial = measured_result(GNT(sigma=0.5), seed, 0.5)
        rows = [with_correct(row, correct) for row in (*trial.of(TOP1), *trial.of("attacks"))]
        found.append(trial.model_copy(update={"measurements": rows}))
    return found


@pytest.mark.system
def test_intervals_end_where_accuracies_do_and_stay_in_their_panels(make):
    summary = make(wide(), space=(SIGMA,), seeds=2)
    figures = [drawn(draw, summary) for draw in (draw_corruption_bars, draw_perturbations)]
    for figure in figures:
        panels = [axes for axes in figure.axes if axes.containers]
        assert panels
        for axes in panels:
            left, right = axes.get_xlim()
            assert right == 100
            for _, _, low, high in bars(axes):
                assert (low, high) == (0, 100) and left <= 0
    for axes in drawn(draw_severities, summary).axes:
        assert -10 < axes.get_ylim()[0] < 0 and 100 < axes.get_ylim()[1] < 110


@pytest.mark.parametrize("search", ["line", "grid"])
def test_no_axis_of_accuracies_goes_beyond_them(make, search):
    summary = make(wide(), space=(SIGMA,), search=search, seeds=2, published=None)
    figure = drawn(draw_accuracy, summary)
    axes = figure.axes[0]
    low, high = axes.get_ylim()
    assert -4 < low <= 0 and 100 <= high < 104
    assert min(axes.get_yticks()) >= 0 and max(axes.get_yticks()) <= 100


def test_noises_have_a_range_each(make):
    far = measured_as(sized(0, 20.0), "epsilon_star", size_rows([20.0, 2.0]))
    figure = drawn(draw_perturbations, make([far], seeds=1))
    ends = [panel(figure, title).get_xlim()[1] for title in ("gaussian", "uniform")]
    assert ends[0] > 20 and ends[1] < 3


def test_the_title_names_what_was_measured(make):
    trial = measured_result(Vanilla(), 0, 0.3)
    titles = {
        "epsilon_star": "Accuracy under attack",
        "attacks": "Median perturbation size epsilon*",
    }
    for lacking, title in titles.items():
        figure = drawn(draw_perturbations, make([measured_as(trial, lacking, [])], seeds=1))
        assert figure.texts[0].get_text() == title
        assert ("epsilon*" in caption(figure)) is (lacking == "attacks")


@pytest.mark.system
def test_no_two_lines_of_twelve_look_alike(three_seeds):
    _, _, figures = three_seeds
    axes = panel(figures(draw_severities), "fog")
    looks = set()
    for line, *_ in axes.containers:
        face = matplotlib.colors.to_hex(line.get_markerfacecolor())
        looks.add((line.get_color(), line.get_marker(), face))
    assert len(looks) == 12


def test_severities_that_no_trial_has_are_told(make):
    figure = drawn(draw_severities, make(methods(1, severities=False)))
    assert words(figure).count("not measured") == len(CORRUPTIONS)
    assert figure.legends == []


def test_a_point_without_severities_is_left_out_and_counted(make):
    results = [*methods(1)[:2], measured_result(methods(1)[3].config.method, 0, 0.4, False)]
    figure = drawn(draw_severities, make(results, seeds=1))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["vanilla", "gnt"]
    assert "2 of 3 measured points" in caption(figure)
    assert "intervals: over images, of one model each." in caption(figure)


@pytest.mark.system
def test_bars_show_each_method_under_each_corruption(three_seeds):
    results, _, figures = three_seeds
    figure = figures(draw_corruption_bars)
    assert len(figure.axes) == len(CORRUPTIONS) + 2
    for name in CORRUPTIONS:
        axes = panel(figure, name.replace("_", " "))
        found = bars(axes)
        assert len(found) == 12
        for row, mean, low, high in found:
            trials = results[3 * int(row) : 3 * int(row) + 3]
            values = [top1(trial, "test", name, 1) for trial in trials]
            assert mean == pytest.approx(statistics.fmean(values))
            assert (low, high) == pytest.approx(percent_interval(values)[1:])
            (box,) = [p for p in axes.patches if round(p.get_y() + p.get_height() / 2) == row]
            assert (box.get_x(), box.get_x() + box.get_width()) == pytest.approx((mean, 100))
        assert [text.get_text() for text in axes.texts] == [f"{each[1]:.1f}" for each in found]


@pytest.mark.system
def test_bars_mark_what_was_published(make, three_seeds):
    _, summary, figures = three_seeds
    figure = figures(draw_corruption_bars)
    rows = summary.published.rows
    order = [point.point for point in summary.points]
    for title, name in (("fog", "fog"), ("mean of 15", "mean"), ("clean", "clean")):
        lines = [line for line in panel(figure, title).lines if line.get_color() == PUBLISHED]
        marks = {int(y): x for (x,), (y,) in (line.get_data() for line in lines)}
        expected = {order.index(point): row[name] for point, row in rows.items()}
        assert marks == expected
    assert "Orange: published" in caption(figure)
    few = make(methods(1)[:2], published=None)
    assert "Orange" not in caption(drawn(draw_corruption_bars, few))


@pytest.mark.system
def test_methods_are_named_at_the_left_and_the_best_is_bold(three_seeds):
    _, _, figures = three_seeds
    figure = figures(draw_corruption_bars)
    labels = panel(figure, "clean").get_yticklabels()
    assert [label.get_text() for label in labels][:3] == ["vanilla", "gnt", "gnt mult"]
    assert [x.get_text() for x in labels if x.get_fontweight() == "bold"] == ["ant 1x1"]
    assert panel(figure, "mean of 15").get_yticklabels() == []


def test_epsilon_star_and_attacks_are_the_records(make):
    results = methods(1)
    summary = make(results, seeds=1)
    summary = replace(summary, published=replace(summary.published, attacks=PAPER))
    figure = drawn(draw_perturbations, summary)
    for index, noise in enumerate(NOISES):
        axes = panel(figure, noise.replace("_", " "))
        dots = [line for line in axes.lines if line.get_label() == "epsilon*"]
        rows = [trial.of("epsilon_star")[index] for trial in results]
        finite = [row.value for row in rows if math.isfinite(row.value)]
        assert [line.get_xdata()[0] for line in dots] == finite
        whiskers = [line.get_xdata() for line in axes.lines if line.get_linestyle() == "-"]
        assert (np.array(whiskers) >= 0).all()
        numbers = [text.get_text() for text in axes.texts]
        assert numbers == [f"{r.value:.1f}" if math.isfinite(r.value) else "never" for r in rows]
    for index, (title, name) in enumerate((("PGD linf 0.1", "pgd"), ("DDN l2 1.5", "ddn"))):
        axes = panel(figure, title)
        assert [x for _, x, *_ in bars(axes)] == [t.of("attacks")[index].value for t in results]
        intervals = [t.of("attacks")[index].interval[1:] for t in results]
        assert np.array([bar[2:] for bar in bars(axes)]) == pytest.approx(np.array(intervals))
        marks = [
            x for line in axes.lines if line.get_color() == PUBLISHED for x in line.get_xdata()
        ]
        assert marks == [by_attack[name] for by_attack in PAPER.values() if name in by_attack]
    assert "Triangles" not in caption(figure) and "Orange" in caption(figure)


def sized(seed, median, **changes):
    trial = measured_result(Vanilla(), seed, 0.3)
    return measured_as(trial, "epsilon_star", size_rows([median], **changes))


def test_infinite_epsilon_star_is_a_triangle_and_says_never(make):
    figure = drawn(draw_perturbations, make([sized(seed, math.inf) for seed in range(2)], seeds=2))
    axes = panel(figure, "gaussian")
    assert [line.get_marker() for line in axes.lines if line.get_label() == "never"] == [">"]
    assert [text.get_text() for text in axes.texts] == ["never"]
    assert "Triangles: never" in caption(figure)


def test_seeds_that_never_come_to_it_are_not_averaged_away(make):
    results = [sized(0, 12.5), sized(1, math.inf), sized(2, 13.5)]
    figure = drawn(draw_perturbations, make(results))
    axes = panel(figure, "gaussian")
    assert [text.get_text() for text in axes.texts] == ["never 1/3"]
    others = [line.get_xdata() for line in axes.lines if line.get_marker() == "o"]
    assert [list(x) for x in others] == [[12.5, 13.5]]
    assert "grey dots are the others" in caption(figure)


def test_one_seed_whose_interval_has_no_upper_end_reaches_the_edge(make):
    (row,) = size_rows([9.0], high=math.inf, converged=False)
    trial = measured_result(Vanilla(), 0, 0.3)
    trial = trial.model_copy(update={"measurements": [*trial.of(TOP1), row]})
    figure = drawn(draw_perturbations, make([trial], seeds=1))
    (axes,) = figure.axes
    whisker = next(line for line in axes.lines if line.get_linestyle() == "-")
    assert list(whisker.get_xdata()) == [8.8, axes.get_xlim()[1]]
    dot = next(line for line in axes.lines if line.get_label() == "epsilon*")
    assert dot.get_markerfacecolor() == "white" and "Hollow" in caption(figure)


def test_nothing_to_show_is_said(make):
    lost = [result(Vanilla(), 0, "failed", None)]
    for draw in (draw_severities, draw_corruption_bars):
        figure = drawn(draw, make(lost))
        assert "Not measured: vanilla." in caption(figure)
        assert "not measured" in words(figure)


def images(value, count=4):
    return torch.full((count, 1, 28, 28), value, dtype=torch.uint8)


def image(figure, top, left):
    """Return the pixels of the sheet whose first is at (top, left)."""
    canvas = np.asarray(figure.axes[0].images[0].get_array())
    return canvas[top : top + SIDE, left : left + SIDE]


def rows_of(figure, value):
    """Return how many images of a sheet are all of one grey level."""
    canvas = np.asarray(figure.axes[0].images[0].get_array())
    return int((canvas == value).sum()) / SIDE**2


def test_sheet_of_one_severity_has_every_corruption():
    corrupted = {name: {3: images(k)} for k, name in enumerate(CORRUPTIONS, 1)}
    figure = drawn(draw_corruptions, Examples(images(77), corrupted), MNIST)
    assert [rows_of(figure, value) for value in (*range(1, 16), 77)] == [4] * 16
    assert {name.replace("_", " ") for name in CORRUPTIONS} <= set(words(figure))
    assert "extension" not in " ".join(words(figure))


def test_sheet_of_severities_names_the_extension():
    corrupted = {name: {s: images(10 * s) for s in range(1, 6)} for name in CORRUPTIONS}
    figure = drawn(draw_corruptions, Examples(images(77), corrupted), MNIST)
    shown = [rows_of(figure, value) for value in (77, 10, 20, 30, 40, 50)]
    assert shown == [45] * 6
    assert "severity 3 (published)" in words(figure)
    assert "extension" in figure.texts[0].get_text() and "extension" in caption(figure)


def test_sheet_of_sigmas_begins_without_noise_and_names_its_size():
    clean = torch.randint(0, 256, (6, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator())
    figure = drawn(draw_sigmas, Examples(clean, {}), [0.0, 0.5])
    canvas = np.asarray(figure.axes[0].images[0].get_array())
    first = next(y for y in range(len(canvas)) if canvas[y, 0] != 255) + FRAME
    assert (image(figure, first, FRAME) == clean[0].numpy()).all()
    assert {"0", "0.5", "0.0"} <= set(words(figure))
    with pytest.raises(ValueError, match="sigma"):
        draw_sigmas(Examples(clean, {}), [-0.1])


def test_perturbed_images_have_their_size_below(make):
    results = [sized(0, 7.26), *methods(1)[1:3]]
    results[1] = measured_as(results[1], "epsilon_star", size_rows([math.inf]))
    shown = {
        point: (trial, {"clean": images(50), "gaussian": images(100 + 10 * index)})
        for index, (point, trial) in enumerate(zip((("vanilla",), ("gnt",)), results, strict=False))
    }
    figure = drawn(draw_perturbed, make(results, seeds=1), shown)
    assert [rows_of(figure, value) for value in (50, 100, 110)] == [3, 3, 3]
    found = words(figure)
    assert {"without noise", "vanilla", "gnt", "gaussian", "7.3", "never"} <= set(found)
    assert "gnt mult" not in found and "2 of 3 measured points" in caption(figure)
    assert "First seed" not in caption(figure)


def test_perturbed_images_are_of_the_first_seed_that_has_them(tmp_path):
    results = [measured_result(GNT(sigma=0.5), seed, 0.5) for seed in range(3)]
    records = write_sweep(tmp_path, results, **METHODS | {"space": (SIGMA,)})
    for trial in results[1:]:
        shown = {"clean": images(0), "gaussian": images(trial.config.seed)}
        records.trial(trial.trial_id).folder.write(PERTURBED, perturbed.dump(shown))
    drawings = appendix_drawings(summarise(records), records)
    (figure,) = [drawn(d.draw) for d in drawings if d.name == "examples_by_epsilon_star"]
    assert (rows_of(figure, 1), rows_of(figure, 2)) == (3, 0)
    assert "sigma 0.5" in words(figure) and "First seed each." in caption(figure)


def test_perturbed_images_are_drawn_without_validation_images_too(tmp_path):
    """As of checkpoints on ImageNet: nothing is selected there, so they have no objective."""
    ended = measured_result(GNT(sigma=0.5), 0, 0.5)
    given = ended.model_copy(
        update={
            "objective": None,
            "measurements": [row for row in ended.measurements if row.split != "validation"],
        }
    )
    records = write_sweep(tmp_path, [given], **METHODS | {"space": (SIGMA,)})
    shown = {"clean": images(0), "gaussian": images(1)}
    records.trial(given.trial_id).folder.write(PERTURBED, perturbed.dump(shown))
    names = {drawing.name for drawing in appendix_drawings(summarise(records), records)}
    assert "examples_by_epsilon_star" in names


@pytest.mark.system
def test_equal_summaries_give_equal_bytes(make):
    summary = make(measured_sigmas(1)[:1], space=(SIGMA,), seeds=1)
    first, again = (render("figure", lambda: draw_perturbations(summary), dpi=40) for _ in range(2))
    assert first == again


def test_equal_examples_give_equal_bytes():
    shown = Examples(images(77), {})
    first, again = (render("sheet", lambda: draw_sigmas(shown, [0.1, 0.5])) for _ in range(2))
    assert first == again


def test_posterize_stands_beside_jpeg_where_augmix_was_trained_on_photos(tmp_path):
    stream = torch.Generator().manual_seed(0)
    photos = torch.randint(0, 256, (2, 3, 224, 224), generator=stream, dtype=torch.uint8)
    jpegs = {severity: photos // severity for severity in range(1, 6)}
    shown = Examples(photos, {"jpeg_compression": jpegs})
    names = {}
    for method in (AugMix(), GNT(sigma=0.5)):
        ended = [result(method, 0, "max_epochs", 85.0)]
        space = (Choice("variant", (method.variant,), "method", method.variant),)
        kind = {"space": space, "search": "grid", "published": None, "seeds": 1}
        records = write_sweep(tmp_path / method.variant, ended, **kind)
        records.folder.write(EXAMPLES, dump(shown))
        found = appendix_drawings(summarise(records), records)
        names[method.variant] = [drawing.name for drawing in found]
    assert "posterize_beside_jpeg" in names["augmix"]
    assert "posterize_beside_jpeg" not in names["gnt"]
    with matplotlib.rc_context(STYLE):
        figure = draw_posterize(shown)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert "quality 25" in texts and "4 bits" in texts
    (image,) = figure.axes[0].get_images()
    levels = set(np.unique(image.get_array()[-10:-2, -10:-2]))
    assert levels <= {0, 128}, "one bit is kept in the last cell"
