"""Reports of models that were trained already call them checkpoints, by their own names."""

import matplotlib
import pytest

from gon_core.config import Given
from search_spaces.parameter import Choice
from sweeps.engine.report import write_report
from sweeps.engine.report.figures.accuracy import draw_accuracy
from sweeps.engine.report.figures.style import STYLE
from sweeps.engine.report.summary.aggregate import summarise
from tests.sweeps.engine.report.made_up import measured_result, write_sweep

NAMES = ("vanilla-0a1b2c", "my_own_gnt_of_yesterday", "a" * 90)
ROWS = [{"point": ["vanilla-0a1b2c"], "table": "mnist_c_top1", "model": "vanilla_madry"}]


def given(name, gain):
    method = Given(name=name, architecture="madry_cnn", sha256=name)
    return measured_result(method, 0, gain, status="evaluated")


@pytest.fixture
def make(tmp_path):
    def records(rows=None, names=NAMES):
        return write_sweep(
            tmp_path / "sweep", [given(name, 0.2 * index) for index, name in enumerate(names)],
            space=(Choice("variant", names, "checkpoint", names[0]),), search="grid", seeds=1,
            grid=[[name] for name in names],
            published={"rows": rows, "table_7": "mnist_adversarial"} if rows else None,
        )  # fmt: skip

    return records


def test_nothing_is_called_a_variant(make):
    records = make()
    report = write_report(records)
    text = records.folder.read("report/table.md").decode()
    page = records.folder.read("report/report.html").decode()
    assert report.answer[0].startswith("Best: checkpoint ")
    for content in (text, page.partition("<body>")[2]):
        assert "variant" not in content and "checkpoint" in content
    assert "<h2>Every checkpoint</h2>" in page


def test_it_says_why_nothing_published_stands_beside(make):
    report = write_report(make())
    assert "No checkpoint bears the name of a row of the paper's Table 6" in report.answer[-1]
    assert "--names" in report.answer[-1]


def test_it_says_which_row_stands_beside_which_checkpoint(make):
    records = make(ROWS)
    report = write_report(records)
    assert report.answer[-1].endswith("at paper scale: vanilla-0a1b2c with vanilla_madry.")
    document = records.folder.read("report/table.md").decode()
    assert "vanilla-0a1b2c beside vanilla_madry" in document.partition("Table 6: accuracy")[2]


def test_names_are_whole_on_the_axis_as_far_as_they_fit(make):
    with matplotlib.rc_context(STYLE):
        axes = draw_accuracy(summarise(make())).axes[0]
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels[:2] == list(NAMES[:2]) and len(labels[2]) == 32
    assert {label.get_rotation() for label in axes.get_xticklabels()} == {25.0}


def test_short_names_stand_upright(make):
    with matplotlib.rc_context(STYLE):
        axes = draw_accuracy(summarise(make(names=("one_a", "two_b")))).axes[0]
    assert {label.get_rotation() for label in axes.get_xticklabels()} == {0.0}
