"""Tables 6 and 7 beside the paper's, and paired tests: the numbers are those of the records."""

import math
import statistics

import pytest
import torch
from rich.console import Console

from gon_core import paper
from gon_core.comparison import mcnemar_exact, paired_difference
from gon_core.evaluation import right_images
from sweeps.engine.records import RIGHT
from sweeps.engine.report import write_report
from sweeps.engine.report.aggregate import summarise
from sweeps.engine.report.comparisons import build_comparisons, compare
from sweeps.engine.report.method_tables import (
    COLUMNS,
    build_method_tables,
    make_cell,
    table_6,
    table_7,
    terminal_tables,
)
from sweeps.engine.report.text_tables import to_terminal
from tests.sweeps.engine.report.made_up import METHODS, methods, write_sweep

TABLE_7 = METHODS | {"published": METHODS["published"] | {"table_7": "mnist_adversarial"}}


@pytest.fixture
def compared(tmp_path):
    def make(seeds=3):
        return write_sweep(tmp_path / f"sweep{seeds}", methods(seeds), **TABLE_7)

    return make


def test_a_cell_has_the_mean_its_standard_error_and_the_published_figure(compared):
    summary = summarise(compared())
    cells = table_6(summary)
    assert len(cells) == 12 and cells["gnt"].keys() == set(COLUMNS)
    point = next(p for p in summary.points if p.point == ("gnt",))
    fog = [row.top1 for t in point.trials for row in t.rows if _is(row, "test", "fog")]
    assert cells["gnt"]["fog"].ours == pytest.approx(statistics.fmean(fog))
    assert cells["gnt"]["fog"].error == pytest.approx(statistics.stdev(fog) / math.sqrt(3))
    row = next(r for r in paper.load("mnist_c_top1").to_pylist() if r["model"] == "gnt_sigma_0.5")
    assert cells["gnt"]["fog"].published == str(row["fog"])
    assert cells["gnt"]["mean"].difference == pytest.approx(cells["gnt"]["mean"].ours - row["mean"])
    assert cells["augmix"]["fog"].published == "" and cells["augmix"]["fog"].difference_text == ""


def _is(row, split, corruption):
    return (row.split, row.corruption) == (split, corruption)


@pytest.mark.parametrize(
    ("top1", "published", "outside"),
    [
        ([90.0, 91.0, 92.0], "93.4", False),  # the t interval ends at 93.48
        ([90.0, 91.0, 92.0], "93.6", True),
        ([90.0, 91.0, 92.0], "94", True),
        ([90.0, 90.1, 90.2], "91", True),  # 90.35 < 90.5
        ([90.0, 90.1, 90.2], "90", False),
        ([90.0], "91.6", False),  # binomial of 1000 images: 88.0 to 91.7
        ([90.0], "91.9", True),
    ],
)
def test_outside_its_noise_allows_for_the_published_rounding(top1, published, outside):
    cell = make_cell(top1, 1000, published)
    assert cell.is_outside is outside
    assert cell.difference_text.endswith("†") is outside
    if len(top1) == 1:
        assert cell.error == pytest.approx(100 * math.sqrt(0.09 / 1000)) and "*" in cell.text


def test_table_7_has_the_papers_models_beside(compared):
    seven = table_7(summarise(compared()))
    assert seven["vanilla"]["pgd"].published == "55.8"
    assert seven["ant_1x1"]["ddn"].published == "90.4" and seven["pgd"]["ddn"].published == ""


def test_files_and_window_show_both_tables_and_cut_nothing(compared):
    records = compared()
    summary = summarise(records)
    six, seven = build_method_tables(summary)
    assert any("provable_wong (not trained here" in row[0] for row in six.rows)
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(to_terminal(terminal_tables(summary, 80)))
    text = console.export_text()
    assert "…" not in text and all(name in text for name in ("augmix", "canny_edges", "l2 (1.5)"))
    write_report(records)
    page = records.folder.read("report/report.html").decode()
    document = records.folder.read("report/table.md").decode()
    for title in (six.title, seven.title, "Paired comparison with variant vanilla"):
        assert title in page and title in document
    assert seven.rows[0][2].replace("*", "\\*") in document


def test_a_paired_comparison_over_seeds_is_the_t_test_of_their_differences(compared):
    records = compared()
    summary = summarise(records)
    found = {(c.point.point[0], c.measure): c for c in compare(summary, records)}
    assert len(found) == 2 * 11 and ("vanilla", "mean") not in found
    first, second = (
        {t.config.seed: t.rows for p in summary.points if p.point == (name,) for t in p.trials}
        for name in ("vanilla", "gnt")
    )
    means = [
        {
            seed: statistics.fmean(
                r.top1 for r in rows if r.split == "test" and r.corruption != "clean"
            )
            for seed, rows in side.items()
        }
        for side in (first, second)
    ]
    expected = paired_difference(*means)
    comparison = found["gnt", "mean"]
    assert comparison.over == "seeds" and comparison.paired.pairs == 3
    assert comparison.paired.difference.estimate == pytest.approx(expected.difference.estimate)
    assert comparison.paired.p_value == pytest.approx(expected.p_value)


def test_one_seed_is_compared_over_images(compared):
    records = compared(seeds=1)
    summary = summarise(records)
    assert compare(summary, records) == []  # nobody wrote which images are right
    stream = torch.Generator().manual_seed(0)
    right = {}
    for point in summary.points:
        names = ("clean", "fog", "scale")
        right[point.point[0]] = {n: torch.rand(200, generator=stream) < 0.8 for n in names}
        folder = records.trial(point.trials[0].trial_id).folder
        folder.write(RIGHT, right_images.dump(right[point.point[0]]))
    found = {(c.point.point[0], c.measure): c for c in compare(summary, records)}
    a, b = right["vanilla"], right["gnt"]
    clean = found["gnt", "clean"]
    assert clean.over == "images" and clean.paired.pairs == 200
    difference = 100 * (b["clean"].double().mean() - a["clean"].double().mean())
    assert clean.paired.difference.estimate == pytest.approx(float(difference))
    only_a, only_b = (a["clean"] & ~b["clean"]).sum(), (b["clean"] & ~a["clean"]).sum()
    assert clean.paired.p_value == mcnemar_exact(int(only_a), int(only_b))
    mean = 50 * sum(b[n].double().mean() - a[n].double().mean() for n in ("fog", "scale"))
    assert found["gnt", "mean"].paired.difference.estimate == pytest.approx(float(mean))
    (table,) = build_comparisons(summary, records)
    assert "200 images" in table.rows[0]
