"""epsilon* and accuracy under attack as text: the numbers that the figure draws."""

import math

import pytest

from gon_core.benchmarks.mnist import MNIST
from gon_core.config import GNT
from sweeps.engine.report import write_report
from sweeps.engine.report.summary.aggregate import summarise
from sweeps.engine.report.tables.perturbations import build_perturbations
from tests.spaces import SIGMA
from tests.sweeps.engine.report.made_up import (
    METHODS,
    measured_as,
    measured_result,
    measured_sigmas,
    methods,
    size_rows,
    write_sweep,
)


@pytest.fixture
def make(tmp_path):
    def summary(trials, **changes):
        return summarise(write_sweep(tmp_path / "sweep", trials, **{"seeds": 1} | changes))

    return summary


def with_sizes(seed, median, **changes):
    trial = measured_result(GNT(sigma=0.5), seed, 0.5)
    return measured_as(trial, "epsilon_star", size_rows([median], **changes))


def test_a_row_has_every_noise_and_attack_with_its_interval(make):
    trial = with_sizes(0, 7.0)
    (table,) = build_perturbations(make([trial], space=(SIGMA,)))
    assert tuple(column.name for column in table.columns) == (
        "",
        "epsilon* gaussian",
        "PGD linf 0.1",
        "DDN l2 1.5",
    )
    name, size, pgd, _ = table.rows[0].cells
    assert (name, size) == ("sigma 0.5", "7.0 (6.8 to 7.2)")
    interval = trial.of("attacks")[0].interval
    assert pgd == f"{interval.estimate:.1f} ({interval.low:.1f} to {interval.high:.1f})"


@pytest.mark.parametrize(
    ("trials", "text"),
    [
        ([with_sizes(0, 12.5), with_sizes(1, math.inf)], "never 1/2"),
        ([with_sizes(0, math.inf)], "never"),
        ([with_sizes(0, 7.0, converged=False)], "7.0* (6.8 to 7.2)"),
        ([with_sizes(0, 0.1)], "0.1 (0.0 to 0.3)"),
    ],
)
def test_what_is_infinite_or_not_converged_is_said(make, trials, text):
    (table,) = build_perturbations(make(trials, seeds=len(trials)))
    assert table.rows[0].cells[1] == text
    assert ("had not converged" in table.note) is ("*" in text)


def test_an_interval_without_an_upper_end_ends_never(make):
    (table,) = build_perturbations(make([with_sizes(0, 9.0, high=math.inf)]))
    assert table.rows[0].cells[1] == "9.0 (8.8 to never)"


def test_where_methods_are_compared_attacks_are_table_7(make):
    (table,) = build_perturbations(make(methods(1), **METHODS))
    assert len(table.rows) == 12 and len(table.columns) == 6
    assert table.title == "Median perturbation size epsilon*" and "attack" not in table.note


def test_nothing_measured_is_no_table(make):
    trial = measured_result(GNT(sigma=0.5), 0, 0.5)
    plain = trial.model_copy(update={"measurements": trial.of("top1")})
    assert build_perturbations(make([plain])) == ()


def test_baselines_have_the_last_rows(make):
    vanilla = measured_result(MNIST.methods["vanilla"], 0, 0.1)
    baselines = {"vanilla": MNIST.methods["vanilla"].model_dump(mode="json")}
    (table,) = build_perturbations(make([*measured_sigmas(1), vanilla], baselines=baselines))
    assert table.rows[-1].cells[0] == "vanilla" and len(table.rows) == 7


def test_it_is_in_every_file(tmp_path):
    records = write_sweep(tmp_path, measured_sigmas(2), seeds=2)
    write_report(records)
    for name in ("table.md", "report.html"):
        text = records.folder.read(f"report/{name}").decode()
        assert "Median perturbation size epsilon" in text and "PGD linf 0.1" in text
