"""The charts of the page: what they show, how large they are, and that a browser draws them."""

import json
import re
import shutil
import subprocess

import pytest

from sweeps.engine.report import write_report
from sweeps.engine.report.charts import catalogue, trials
from sweeps.engine.report.charts.chart import Chart
from sweeps.engine.report.pages import html
from sweeps.engine.report.summary.aggregate import summarise
from sweeps.engine.report.summary.importance import measure_importances
from tests.sweeps.engine.report.made_up import JOINT, SPACES, ant_result, reset_grid, write_sweep

CHROMIUM = shutil.which("chromium")


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


def test_curves_have_every_epoch_and_a_menu_of_metrics(make_sweep, line_search, monkeypatch):
    records = make_sweep(line_search)
    chart = charts_of(records)["curves"]
    assert len(chart.data) == len(summarise(records).trials)
    (menu,) = chart.layout["updatemenus"]
    assert [button["label"] for button in menu["buttons"]] == ["loss"]
    assert menu["buttons"][0]["args"][0]["y"][0] == [1.0, 0.5] == chart.data[0]["y"]
    monkeypatch.setattr(trials, "MOST_CURVES", 3)
    fewer = charts_of(records)["curves"]
    assert len(fewer.data) == 3 and "trials are not shown" in fewer.note


def test_json_in_the_page_ends_no_element_and_has_few_digits():
    text = "</script><b>&amp;"
    chart = Chart("a", "A", "", [{"name": text, "y": [1 / 3, float("nan"), 2]}])
    encoded = chart.to_json()
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


@pytest.mark.system
@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")
def test_a_browser_draws_every_chart(page):
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--virtual-time-budget=10000", "--dump-dom",
        page.as_uri(),
    ]  # fmt: skip
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert dom.count('class="main-svg"') >= 4 and "parcoords" in dom
    assert len(re.findall('class="plot js-plotly-plot"', dom)) == 5
