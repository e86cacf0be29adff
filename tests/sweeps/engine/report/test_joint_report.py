"""Joint searches: how they went, the front, what matters, and how little may be known."""

import matplotlib
import pytest

from sweeps.engine.report import write_report
from sweeps.engine.report.figures.joint_search import draw_front, draw_progress, draw_slices
from sweeps.engine.report.figures.style import STYLE
from sweeps.engine.report.summary.aggregate import summarise
from sweeps.engine.report.summary.importance import measure_importances
from tests.sweeps.engine.report.made_up import JOINT, ant_result, joint_search


def names(records):
    return (records.folder / "report").names()


def table(records):
    return (records.folder / "report").read("table.md").decode()


@pytest.mark.system
def test_points_are_numbered_in_their_turns_and_the_best_comes_first(sweeps):
    summary = summarise(sweeps("joint"))
    turns = {point.number: point.point for point in summary.points}
    configs = list(sweeps("joint").trials().values())
    assert turns[1][0] == configs[0].method.epsilon
    assert turns[14][0] == configs[13].method.epsilon
    objectives = [point.objective.estimate for point in summary.by_rank if point.is_complete]
    assert objectives == sorted(objectives, reverse=True)
    rows = [
        line for line in table(sweeps("joint")).splitlines() if line.startswith(("| #", "| **#"))
    ]
    assert rows[1].startswith(f"| **#{summary.best.number}** |")


@pytest.mark.system
def test_figures_of_one_objective(sweeps):
    assert [n for n in names(sweeps("joint")) if n.endswith(".png")] == [
        "accuracy_by_point.png", "importance.png", "learned_noise_best.png",
        "learned_noise_points.png", "mnist_c_per_corruption.png", "slices.png",
    ]  # fmt: skip
    with matplotlib.rc_context(STYLE):
        axes = draw_progress(summarise(sweeps("joint"))).axes[0]
    labels = axes.get_legend_handles_labels()[1]
    assert {"best so far", "earlier sweeps (6)", "pruned, not measured (2)"} <= set(labels)
    (best,) = [line for line in axes.lines if line.get_label() == "best so far"]
    heights = list(best.get_ydata())
    assert heights == sorted(heights)


@pytest.mark.system
def test_importances_add_up_and_are_told(sweeps):
    summary = summarise(sweeps("joint"))
    (shares,) = measure_importances(summary).values()
    assert set(shares) == set(summary.names)
    assert sum(shares.values()) == pytest.approx(1.0)
    assert max(shares, key=lambda name: shares[name]) == "epsilon"
    assert "What explains the corrupted accuracy most: epsilon" in table(sweeps("joint"))


@pytest.mark.system
def test_known_points_alone_can_tell_importances(make_ant_sweep, sweeps):
    known = sweeps("joint").read_sweep().known
    records = make_ant_sweep([], known=known, **JOINT)
    assert measure_importances(summarise(records))
    foreign = [[["huge"] * 6, [50.0]]] * 9
    records = make_ant_sweep([], known=foreign, **JOINT)
    assert measure_importances(summarise(records)) == {}


@pytest.mark.slow
@pytest.mark.system
def test_front_of_two_objectives(sweeps):
    summary = summarise(sweeps("front"))
    assert len(summary.front) > 1
    assert summary.best is summary.front[0], "the highest corrupted accuracy ends the front"
    assert "Pareto front, " in table(sweeps("front"))
    assert "pareto_front.svg" in names(sweeps("front"))
    assert "| validation clean | validation corrupted |" in table(sweeps("front"))
    with matplotlib.rc_context(STYLE):
        axes = draw_front(summary).axes[0]
        slices = draw_slices(summary)
    labelled = [text.get_text() for text in axes.texts if text.get_text().startswith("#")]
    assert labelled == [f"#{point.number}" for point in summary.front]
    assert len(slices.axes) == 12


CASES = {
    "nothing ended": ([], "no trial has ended yet"),
    "all failed": ([ant_result(status="failed", top1=None)], "no trial was measured"),
    "one point": ([ant_result()], "the only point"),
    "too few": (joint_search(3), "too few points to tell"),
    "a seed missing": (joint_search(1, 1), "no point has been measured with all its seeds"),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("objectives", [["corrupted"], ["clean", "corrupted"]])
@pytest.mark.filterwarnings("error")
def test_little_is_known(make_ant_sweep, case, objectives):
    results, expected = CASES[case]
    seeds = 2 if case == "a seed missing" else 1
    records = make_ant_sweep(results, seeds=seeds, objectives=objectives, **JOINT)
    write_report(records)
    assert expected in table(records)
    assert "accuracy_by_point.png" in names(records)
    assert "importance.png" not in names(records)
    assert ("pareto_front.png" in names(records)) == (len(objectives) == 2)
    assert ("slices.png" in names(records)) == (case in ("one point", "too few"))
