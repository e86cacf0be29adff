"""What reports say of a sweep that its budget stopped."""

import pytest

from sweeps.engine.records import Stop, Usage
from sweeps.engine.report import sentences, write_report
from sweeps.engine.report.summary.aggregate import summarise

STOP = Stop(option="budget_gpu_hours", limit=0.5, resume_command="again --budget-gpu-hours 1.4")
GRID = [[0.0], [0.2], [0.5], [0.9]]


@pytest.fixture
def stop(make_sweep):
    def make(trials, *stops, **changes):
        records = make_sweep(trials, **changes)
        for number, stopped in enumerate(stops, 1):
            usage = Usage(began="", seconds=9, gpus_per_trial=1, gpu_seconds=9, stopped=stopped)
            records.usage.write(f"{number:06d}.json", usage)
        return records

    return make


def sentence(records):
    return sentences.stopped_by_budget(summarise(records))


def test_points_without_a_figure_and_proposals_are_counted(stop):
    trials = [(0.0, 0, "converged", 70.0), (0.0, 1, "max_epochs", 71.0), (0.2, 0, "pruned", None),
              (0.2, 1, "failed", None)]  # fmt: skip
    records = stop(trials, STOP, grid=GRID, seeds=2, config={"proposals": 3})
    assert sentence(records) == (
        "Stopped by its budget of 0.5 GPU-hours: 3 of 14 trials ended; 3 values without any "
        "figure: sigma 0.2; sigma 0.5; sigma 0.9; 3 values not yet "
        "proposed by the search."
    )
    answer = write_report(records).answer
    assert answer[0].startswith("Best of the values measured so far: sigma 0, ")


def test_a_point_that_was_proposed_is_not_missing(stop):
    trials = [(sigma, 0, "converged", 70.0) for sigma in (0.0, 0.2, 0.5, 0.9, 0.41)]
    records = stop(trials, STOP, grid=GRID, seeds=1, config={"proposals": 2})
    assert sentence(records) == (
        "Stopped by its budget of 0.5 GPU-hours: 5 of 6 trials ended; 1 value not yet "
        "proposed by the search."
    )


def test_baselines_are_trials_too(stop):
    baselines = {"vanilla": {"method": "vanilla"}}
    records = stop([(0.0, 0, "converged", 70.0)], STOP, grid=[[0.0]], seeds=1, baselines=baselines)
    assert sentence(records) == (
        "Stopped by its budget of 0.5 GPU-hours: 1 of 2 trials ended; 1 value without any figure: "
        "vanilla."
    )


def test_where_no_trial_has_ended_no_best_is_claimed(stop):
    records = stop([], STOP, grid=GRID, seeds=1)
    assert "0 of 4 trials ended; 4 values without any figure" in sentence(records)
    assert write_report(records).answer[0] == "No best value: no trial has ended yet."


@pytest.mark.parametrize("stops", [(), (None,), (STOP, None)])
def test_a_sweep_that_no_budget_stopped_last_says_nothing_of_one(stops, stop):
    records = stop([(0.0, 0, "converged", 70.0)], *stops, grid=GRID, seeds=1)
    report = write_report(records)
    page = records.folder.read("report/report.html").decode()
    assert sentence(records) == "" and report.answer[0].startswith("Best: sigma 0,")
    assert "Stopped" not in page and "Repeat or resume this sweep:" in page


def test_the_page_has_the_command_with_the_larger_budget(stop):
    records = stop([(0.0, 0, "converged", 70.0)], None, STOP, grid=GRID, seeds=1)
    write_report(records)
    page = records.folder.read("report/report.html").decode()
    assert "Resume with a larger budget:</p><pre>again --budget-gpu-hours 1.4 --storage" in page
    assert "It was started with:" in page and "Repeat or" not in page
