"""The charts of the page: what they show, and how large they are."""

import json
import re

import pytest

from sweeps.engine.report import write_report
from sweeps.engine.report.charts import catalogue, points, trials
from sweeps.engine.report.charts import chart as chart_module
from sweeps.engine.report.charts.chart import Chart, as_json
from sweeps.engine.report.pages import html
from sweeps.engine.report.summary.aggregate import summarise
from sweeps.engine.report.summary.importance import measure_importances
from tests.sweeps.engine.report.made_up import JOINT, SPACES, ant_result, reset_grid, write_sweep


def charts_of(records):
    summary = summarise(records)
    found = catalogue.charts(summary, measure_importances(summary))
    return {chart.name: chart for chart in found}


def test_a_line_search_has_its_curve_with_intervals_and_what_was_published(make_sweep, line_search):
    records = make_sweep(line_search)
    summary, charts = summarise(records), charts_of(records)
    assert list(charts) == ["accuracy", "progress", "parallel", "corruptions_map", "curves"]
    published, mean, single = charts["accuracy"].data
    assert dict(zip(published["x"], published["y"], strict=True))[0.5] == 92.4
    for point, x, y, up in zip(
        summary.measured, mean["x"], mean["y"], mean["error_y"]["array"], strict=True
    ):
        assert (x, y, y + up) == (point.point[0], point.test.mean, point.test.interval.high)
    assert len(single["x"]) == sum(bool(t.measurements) for t in summary.trials)
    assert "seed 0" in single["text"][0] and "epoch limit reached" in " ".join(single["text"])


def test_an_accuracy_chart_of_many_trials_shows_some_and_says_so(
    make_sweep, line_search, monkeypatch
):
    monkeypatch.setattr(points, "MOST_MARKS", 5)
    *_, single = charts_of(make_sweep(line_search))["accuracy"].data
    assert single["name"] == "5 of 17 trials" and len(single["x"]) == 5
    assert set(single["x"]) == {0.5, 0.7}, "those of the best points"


def test_parallel_coordinates_have_a_line_for_each_measured_trial(make_sweep, line_search):
    (trace,) = charts_of(make_sweep(line_search))["parallel"].data
    columns = {column["label"]: column["values"] for column in trace["dimensions"]}
    assert list(columns) == ["sigma", "seed", "validation", "clean", "corrupted"]
    assert len({len(values) for values in columns.values()}) == 1
    assert set(columns["seed"]) == {0, 1, 2}


def test_a_grid_of_words_and_numbers_is_categories_in_series(tmp_path):
    records = write_sweep(
        tmp_path, reset_grid(), space=SPACES["reset"], search="grid", published=None
    )
    chart = charts_of(records)["accuracy"]
    assert chart.layout["xaxis"]["type"] == "category"
    assert "never" in chart.data[-2]["x"]
    assert "progress" not in charts_of(records), "a grid is in no order"


@pytest.mark.system
def test_a_joint_search_has_slices_of_what_varies_and_its_importances(tmp_path):
    found = [
        ant_result(0, top1=80.0 + epsilon, epsilon=epsilon, depth=depth)
        for epsilon in (5.0, 8.0, 10.0)
        for depth in (2, 4)
    ]
    records = write_sweep(tmp_path, found, **JOINT | {"seeds": 1})
    charts = charts_of(records)
    assert {"progress", "slice_epsilon", "slice_depth", "importance_corrupted"} <= set(charts)
    assert "slice_kernel_size" not in charts and "accuracy" not in charts
    best = charts["progress"].data[1]["y"]
    assert best == sorted(best)
    (bars,) = charts["importance_corrupted"].data
    assert sum(bars["x"]) == pytest.approx(100)


def test_words_of_a_slice_stand_in_their_order(tmp_path):
    found = [ant_result(0, reset_interval=interval) for interval in ("never", 1.0, 0.1)]
    records = write_sweep(tmp_path, found, **JOINT | {"seeds": 1})
    axis = charts_of(records)["slice_reset_interval"].layout["xaxis"]
    assert axis["categoryarray"] == ["0.1", "0.2", "0.33", "0.5", "1", "2", "never"]


def test_curves_have_every_epoch_and_a_menu_of_metrics(make_sweep, line_search, monkeypatch):
    records = make_sweep(line_search)
    chart = charts_of(records)["curves"]
    assert len(chart.data) == len(summarise(records).trials)
    assert list(chart.choices) == ["loss"] and chart.choices["loss"][0] == [1.0, 0.5]
    assert all(trace["y"] == [] for trace in chart.data), "no metric is written twice"
    monkeypatch.setattr(trials, "MOST_CURVES", 3)
    fewer = charts_of(records)["curves"]
    assert len(fewer.data) == 3 and "trials are not shown" in fewer.note


def test_long_curves_are_drawn_in_part_with_both_ends(make_sweep, monkeypatch):
    monkeypatch.setattr(trials, "MOST_EPOCHS", 4)
    records = make_sweep([(0.5, 0, "converged", 80.0)], seeds=1)
    (found,) = records.results()
    epochs = [{"epoch": float(epoch), "loss": 1 / epoch} for epoch in range(1, 12)]
    changed = found.model_copy(update={"history": epochs})
    records.trial(found.trial_id).write_result(changed)
    chart = charts_of(records)["curves"]
    assert chart.data[0]["x"] == [1, 4, 8, 11]
    assert chart.choices["loss"] == [[1, 1 / 4, 1 / 8, 1 / 11]]
    assert "At most 4 epochs of a trial are drawn" in chart.note


def test_curves_of_many_points_differ_in_colour_or_dashes(make_sweep):
    sigmas = [step / 20 for step in range(20)]
    chart = charts_of(make_sweep([(s, 0, "converged", 80.0) for s in sigmas], seeds=1))["curves"]
    looks = [(trace["line"]["color"], trace["line"]["dash"]) for trace in chart.data]
    assert len(set(looks)) == len(sigmas)
    assert len({dash for _, dash in looks[:6]}) == 6, "nor is it the colour alone"


def size(charts):
    """Return how many bytes charts have in the page, with the texts of their marks."""
    texts = {}
    return sum(len(each.to_json(texts)) for each in charts.values()) + len(as_json(list(texts)))


@pytest.mark.system
def test_charts_of_twice_as_many_points_are_no_larger_and_say_what_they_leave_out(
    tmp_path, monkeypatch
):
    for module, name in (
        (chart_module, "MOST_MARKS"), (points, "MOST_MARKS"), (trials, "MOST_TRIALS"),
        (trials, "MOST_CURVES"), (trials, "MOST_ROWS"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, 20)
    found = [
        ant_result(0, top1=80 + index % 17 / 4, epsilon=3 + index / 40, depth=1 + index % 5)
        for index in range(80)
    ]
    changes = JOINT | {"seeds": 1, "objectives": ["clean", "corrupted"]}
    some = charts_of(write_sweep(tmp_path / "some", found[:40], **changes))
    all_ = charts_of(write_sweep(tmp_path / "all", found, **changes))
    assert {"progress", "front", "slice_epsilon"} <= set(some)
    assert abs(size(all_) - size(some)) < 0.02 * size(some)
    for name in ("progress", "front", "slice_epsilon"):
        assert "The best 20 of 80 points are shown." in all_[name].note
        assert len(all_[name].data[0]["x"]) == 20
    best = all_["progress"].data[1]
    assert max(best["y"]) == best["y"][-1] and max(best["x"]) == 80, "of all points"


def test_what_several_charts_say_of_a_point_is_written_once(make_sweep, line_search):
    charts, texts = charts_of(make_sweep(line_search)), {}
    said = charts["accuracy"].data[1]["text"]
    written = json.loads(charts["accuracy"].to_json(texts))["data"][1]["text"]
    assert [list(texts)[number] for number in written] == list(said)
    before = len(texts)
    charts["progress"].to_json(texts)
    assert len(texts) == before


def test_json_in_the_page_ends_no_element_and_has_few_digits():
    text = "</script><b>&amp;"
    chart = Chart("a", "A", "", [{"name": text, "y": [1 / 3, float("nan"), 2]}])
    encoded = chart.to_json({})
    assert "<" not in encoded and "&" not in encoded
    assert json.loads(encoded)["data"][0] == {"name": text, "y": [0.33333, None, 2]}


@pytest.fixture
def page(make_sweep, line_search, monkeypatch, tmp_path):
    from plotly.offline import get_plotlyjs

    monkeypatch.setattr(html, "get_plotlyjs", get_plotlyjs)
    records = make_sweep(line_search)
    write_report(records)
    path = tmp_path / "report.html"
    path.write_bytes(records.folder.read("report/report.html"))
    return path


def test_the_page_has_its_script_once_and_loads_nothing(page):
    text = page.read_text()
    assert len(text) < 6e6
    assert text.count("plotly.js v") == 1
    assert not re.search(r"<(script|link|img)[^>]*(src|href)=.http", text)
