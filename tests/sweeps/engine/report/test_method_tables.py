"""Tables 6 and 7 beside the paper's, and paired tests: the numbers are those of the records."""

import io
import math
import statistics

import pytest
import torch
from rich.console import Console

import sweeps.method_comparison as method_comparison
from gon_core import paper
from gon_core.comparison import mcnemar_exact, paired_difference
from gon_core.corruptions.mnist_c import CORRUPTIONS
from gon_core.evaluation import right_images
from sweeps.engine.records import RIGHT
from sweeps.engine.report import print_report, write_report
from sweeps.engine.report.figures.accuracy import draw_accuracy
from sweeps.engine.report.sentences import INTERVALS
from sweeps.engine.report.summary.aggregate import summarise
from sweeps.engine.report.tables.comparisons import build_comparisons, compare
from sweeps.engine.report.tables.methods import (
    build_methods,
    make_cell,
    table_6,
    table_7,
)
from sweeps.engine.report.tables.points import build_points
from tests.sweeps.engine.report.made_up import (
    METHODS,
    measured_as,
    measured_sigmas,
    methods,
    with_correct,
    write_sweep,
)

TITLE_6, TITLE_7 = "Table 6: accuracy on MNIST-C", "Table 7: accuracy under attack"
TABLE_7 = METHODS | {"published": METHODS["published"] | {"table_7": "mnist_adversarial"}}


@pytest.fixture
def compared(tmp_path):
    def make(seeds=3):
        return write_sweep(tmp_path / f"sweep{seeds}", methods(seeds), **TABLE_7)

    return make


def test_a_cell_has_the_mean_its_standard_error_and_the_published_figure(compared):
    summary = summarise(compared())
    cells = table_6(summary)
    assert len(cells) == 12 and cells["gnt"].keys() == {"clean", "mean", *CORRUPTIONS}
    point = next(p for p in summary.points if p.point == ("gnt",))
    fog = [row.value for t in point.trials for row in t.of("top1") if _is(row, "test", "fog")]
    assert cells["gnt"]["fog"].ours == pytest.approx(statistics.fmean(fog))
    assert cells["gnt"]["fog"].error == pytest.approx(statistics.stdev(fog) / math.sqrt(3))
    row = next(r for r in paper.load("mnist_c_top1").to_pylist() if r["model"] == "gnt_sigma_0.5")
    assert cells["gnt"]["fog"].published == str(row["fog"])
    difference = f"{cells['gnt']['mean'].ours - row['mean']:+.1f}"
    assert cells["gnt"]["mean"].difference.removesuffix("†") == difference
    assert cells["augmix"]["fog"].published == "" and cells["augmix"]["fog"].difference == ""


def _is(row, split, corruption):
    return (row.split, row.setting) == (split, corruption)


@pytest.mark.parametrize(
    ("top1", "count", "published", "outside"),
    [
        ([90.0, 91.0, 92.0], 10_000, "93.3", False),  # the interval ends at 93.34
        ([90.0, 91.0, 92.0], 10_000, "93.6", True),
        ([90.0, 91.0, 92.0], 10_000, "94", True),
        ([90.0, 90.1, 90.2], 10_000, "91", True),  # 90.35 < 90.5
        ([90.0, 90.1, 90.2], 10_000, "90", False),
        ([90.0, 90.1, 90.2], 1000, "91", False),  # which 1000 images adds 1.7 to either side
        ([90.0, 90.1, 90.2], 1000, "93", True),
        ([99.0, 99.0, 99.0], 1000, "99.1", False),  # equal seeds say nothing of the images
        ([99.0, 99.0, 99.0], 10_000, "99.1", True),
        ([90.0], 1000, "91.6", False),  # binomial of 1000 images: 88.0 to 91.7
        ([90.0], 1000, "91.9", True),
    ],
)
def test_outside_its_noise_allows_for_the_published_rounding(top1, count, published, outside):
    cell = make_cell(top1, count, 10_000, published)
    assert cell.is_outside is outside
    assert cell.difference.endswith("†") is outside
    if len(top1) == 1:
        assert (
            cell.error == pytest.approx(100 * math.sqrt(0.09 / 1000), rel=0.01) and "*" in cell.text
        )


def test_one_seed_that_errs_nowhere_still_has_an_error():
    assert make_cell([100.0], 50, 10_000).error > 1
    assert make_cell([0.0], 50, 10_000).text == "0.0 ±1.8*"


def test_table_7_has_the_papers_models_beside(compared):
    seven = table_7(summarise(compared()))
    assert seven["vanilla"]["pgd"].published == "55.8"
    assert seven["ant_1x1"]["ddn"].published == "90.4" and seven["pgd"]["ddn"].published == ""


@pytest.mark.system
def test_files_and_window_show_both_tables_and_cut_nothing(compared):
    records = compared()
    summary = summarise(records)
    six, seven = build_methods(summary)
    assert all(row.cells[0] for row in (*six.rows, *seven.rows)), "a name stays when it scrolls"
    only = [row.cells[0] for row in six.rows if row.mark == "paper only"]
    assert only == ["pgd_madry", "vanilla_wong", "provable_wong", "vanilla_ddn", "ddn"]
    assert max(len(row.cells[0]) for row in six.rows) == len("ant_1x1_without_replay")
    assert "provable_wong: not trained here" in six.note and "paper only" not in str(seven.rows)
    console = Console(width=80, file=io.StringIO())
    print_report(write_report(records), console)
    text = console.file.getvalue()
    assert "…" not in text and all(name in text for name in ("augmix", "canny edges", "l2 (1.5)"))
    assert "pgd_madry" not in text and "5 further rows" in text
    titles = [line for line in text.splitlines() if line.startswith(six.title)]
    assert len(titles) > 2 and "(continued)" not in titles[0]
    page = records.folder.read("report/report.html").decode()
    document = records.folder.read("report/table.md").decode()
    for title in (six.title, seven.title, "Paired comparison with variant vanilla"):
        assert title in page and title in document
    assert seven.rows[0].cells[2].replace("*", "\\*") in document


def fewer(trial, count):
    rows = [
        with_correct(row, row.extra["correct"] * count // row.count, count)
        for row in trial.of("attacks")
    ]
    return measured_as(trial, "attacks", rows)


def test_table_7_says_that_attacks_are_on_fewer_images_than_the_clean_accuracy(tmp_path):
    for count, said in ((1_000, False), (300, True)):
        trials = [fewer(trial, count) for trial in methods(1)]
        records = write_sweep(tmp_path / str(count), trials, **TABLE_7 | {"seeds": 1})
        summary = summarise(records)
        words = "is on 1,000 test images, the accuracy under attack on the first 300 of them"
        assert (words in build_methods(summary)[1].note) is said


def test_published_rows_of_methods_that_were_not_asked_for_stand_in_table_6_alone(tmp_path):
    options = method_comparison.Options(method=["vanilla", "augmix", "ant_1x1"], scale="demo")
    published = method_comparison.spec(options).published
    trials = [methods(1)[0], methods(1)[6], methods(1)[9]]
    records = write_sweep(tmp_path, trials, **METHODS | {"published": published, "seeds": 1})
    summary = summarise(records)
    table = build_points(summary)
    assert [r.cells[0] for r in table.rows if r.mark == "paper"] == ["vanilla", "ant_1x1"]
    axes = draw_accuracy(summary).axes[0]
    assert len(axes.get_xticks()) == 3
    six, seven = build_methods(summary)
    assert {"gnt_sigma_0.5", "ddn"} <= {
        row.cells[0] for row in six.rows if row.mark == "paper only"
    }
    assert [row.cells[0] for row in seven.rows if row.mark == "paper only"] == ["gnt_sigma_0.5"]


def test_without_published_rows_there_are_no_columns_for_them(tmp_path):
    records = write_sweep(tmp_path, methods(1)[:2], **METHODS | {"published": None, "seeds": 1})
    summary = summarise(records)
    tables = build_methods(summary)
    assert [table.title for table in tables] == [TITLE_6, TITLE_7]
    for table in tables:
        assert {row.cells[1] for row in table.rows} == {"ours"} and "published" not in table.note


def test_plus_minus_is_explained_where_it_stands(compared, tmp_path):
    """Half widths and standard errors: each is explained beside its own tables alone."""
    printed = {}
    lines = write_sweep(tmp_path / "line", measured_sigmas(2), seeds=2)
    comparison = compared()
    for name, records in (("methods", comparison), ("line", lines)):
        console = Console(width=200, file=io.StringIO())
        print_report(write_report(records), console)
        printed[name] = " ".join(console.file.getvalue().split())
    assert "standard error" in printed["methods"] and INTERVALS not in printed["methods"]
    assert INTERVALS in printed["line"] and "standard error" not in printed["line"]
    for records in (comparison, lines):
        page = records.folder.read("report/report.html").decode()
        assert ">95 % ±</th>" in page and ">±<" not in page


def test_a_paired_comparison_over_seeds_is_the_t_test_of_their_differences(compared):
    records = compared()
    summary = summarise(records)
    found = {(c.point.point[0], c.measure): c for c in compare(summary, records)}
    assert len(found) == 2 * 11 and ("vanilla", "mean") not in found
    first, second = (
        {
            t.config.seed: t.of("top1", "test")
            for p in summary.points
            if p.point == (name,)
            for t in p.trials
        }
        for name in ("vanilla", "gnt")
    )
    means = [
        {
            seed: statistics.fmean(r.value for r in rows if r.setting != "clean")
            for seed, rows in side.items()
        }
        for side in (first, second)
    ]
    expected = paired_difference(*means)
    comparison = found["gnt", "mean"]
    assert comparison.over == "seed" and comparison.paired.pairs == 3
    assert comparison.paired.difference.estimate == pytest.approx(expected.difference.estimate)
    assert comparison.paired.p_value == pytest.approx(expected.p_value)


def test_one_seed_is_compared_over_images(compared):
    records = compared(seeds=1)
    summary = summarise(records)
    assert not list(compare(summary, records))  # nobody wrote which images are right
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
    assert clean.over == "image" and clean.paired.pairs == 200
    difference = 100 * (b["clean"].double().mean() - a["clean"].double().mean())
    assert clean.paired.difference.estimate == pytest.approx(float(difference))
    only_a, only_b = (a["clean"] & ~b["clean"]).sum(), (b["clean"] & ~a["clean"]).sum()
    assert clean.paired.p_value == mcnemar_exact(int(only_a), int(only_b))
    mean = 50 * sum(b[n].double().mean() - a[n].double().mean() for n in ("fog", "scale"))
    assert found["gnt", "mean"].paired.difference.estimate == pytest.approx(float(mean))
    (table,) = build_comparisons(summary, records)
    assert "200 images" in table.rows[0].cells


def test_points_of_a_search_are_named_in_a_comparison(tmp_path):
    records = write_sweep(tmp_path, measured_sigmas(2), seeds=2)
    (table,) = build_comparisons(summarise(records), records)
    assert table.rows[0].cells[0] == "sigma 0" and table.title.endswith("sigma 0.5")
