"""Means, intervals and the best value, and the same recomputed from results.parquet."""

import io
import math
import statistics

import pytest
from pyarrow import compute, parquet

from gon_core.corruptions.mnist_c import CORRUPTIONS
from gon_core.evaluation import wilson_interval
from gon_core.intervals import percent_interval
from sweeps.engine.report.summary.aggregate import summarise
from sweeps.engine.report.summary.estimates import corrupted_rows, interval_over_images
from sweeps.engine.report.summary.parquet import render_parquet


def read(records):
    return parquet.read_table(io.BytesIO(render_parquet(summarise(records))))


def test_parquet_holds_every_accuracy_once_in_order(make_sweep, line_search):
    table = read(make_sweep(line_search))
    measured = [trial for trial in line_search if trial[3] is not None]
    assert table.num_rows == len(measured) * 2 * 16 + 4
    first = table.slice(0, 32).to_pylist()
    assert [row["corruption"] for row in first] == ["clean", *CORRUPTIONS] * 2
    assert [row["split"] for row in first] == ["validation"] * 16 + ["test"] * 16
    keys = list(zip(table["sigma"].to_pylist(), table["seed"].to_pylist(), strict=True))
    assert keys == sorted(keys)
    row = first[1]
    interval = wilson_interval(row["correct"], row["count"])
    assert (row["value"], row["low"], row["high"]) == pytest.approx(tuple(interval))
    assert (row["seconds_training"], row["seconds_evaluation"]) == (41.25, 3.5)
    assert (row["epochs"], row["method"], row["status"]) == (2, "gnt", "max_epochs")


def test_trials_without_accuracies_do_not_vanish_from_parquet(make_sweep, line_search):
    table = read(make_sweep(line_search))
    lost = table.filter(compute.is_null(table["corruption"])).to_pylist()
    assert sorted((row["sigma"], row["seed"], row["status"]) for row in lost) == [
        (0.2, 2, "failed"), (0.9, 0, "diverged"), (1.2, 1, "pruned"), (1.2, 2, "pruned"),
    ]  # fmt: skip
    assert all(row["value"] is None and row["objective"] is None for row in lost)


def test_summary_is_what_parquet_gives(make_sweep, line_search):
    records = make_sweep(line_search)
    rows = [row for row in read(records).to_pylist() if row["split"] == "test"]
    for value in summarise(records).points:
        by_seed = {}
        for row in rows:
            if (row["sigma"],) == value.point and row["corruption"] != "clean":
                by_seed.setdefault(row["seed"], []).append(row["value"])
        means = [statistics.fmean(accuracies) for accuracies in by_seed.values()]
        assert value.test.trials == len(means)
        assert value.test.mean == pytest.approx(statistics.fmean(means))
        if len(means) > 1:
            assert tuple(value.test.interval) == pytest.approx(tuple(percent_interval(means)))
        assert statistics.fmean(value.corruptions.values()) == pytest.approx(value.test.mean)


def test_interval_of_one_trial_counts_each_image_by_its_mean_over_corruptions(make_sweep):
    (trial,) = summarise(make_sweep([(0.5, 0, "converged", 86.0)])).trials
    rows = corrupted_rows(trial)
    mean = statistics.fmean(row.value for row in rows)
    trial = trial.model_copy(update={"spread": 20.0})
    interval = interval_over_images(trial, rows)
    assert interval.estimate == pytest.approx(mean)
    half = 1.96 * 20.0 / math.sqrt(1_000)
    assert (interval.high - interval.low) / 2 == pytest.approx(half, rel=0.01)
    # Where the spread is not recorded each image counts once, as right or wrong.
    interval = interval_over_images(trial.model_copy(update={"spread": None}), rows)
    assert (interval.low, interval.high) == wilson_interval(round(10 * mean), 1_000)[1:]


def test_best_is_the_highest_objective_of_the_complete_values(make_sweep):
    trials = [
        (0.2, 0, "converged", 80.0), (0.2, 1, "converged", 81.0),
        (0.5, 0, "converged", 84.0), (0.5, 1, "converged", 83.0),
        (0.7, 0, "converged", 90.0), (0.7, 1, "pruned", None),
    ]  # fmt: skip
    summary = summarise(make_sweep(trials, seeds=2))
    assert summary.best.point == (0.5,)
    assert [value.is_complete for value in summary.points] == [True, True, False]


def test_least_of_equals_is_best(make_sweep):
    trials = [(sigma, 0, "converged", 84.0) for sigma in (0.9, 0.5, 0.7)]
    assert summarise(make_sweep(trials, seeds=1)).best.point == (0.5,)


@pytest.mark.parametrize("objective", [None, math.nan, math.inf])
def test_trial_without_finite_objective_is_not_best(make_sweep, objective):
    records = make_sweep([(0.5, 0, "converged", 80.0), (0.7, 0, "converged", 90.0)], seeds=1)
    last = next(r for r in records.results() if r.config.method.sigma == 0.7)
    records.trial(last.trial_id).write_result(last.model_copy(update={"objective": objective}))
    summary = summarise(records)
    assert summary.best.point == (0.5,)
    assert summary.points[1].test.mean == pytest.approx(90.0)


def test_what_has_not_ended_is_missing(make_sweep):
    records = make_sweep([(0.5, 0, "converged", 80.0)], seeds=2, grid=[[0.2], [0.5]])
    assert summarise(records).missing == (((0.2,), 0), ((0.2,), 1), ((0.5,), 1))
