"""How each epsilon* was found: kept in results.parquet, shown by MLflow."""

import io
import math
import statistics

import pytest
from pyarrow import parquet

from gon_core.benchmarks.mnist import MNIST
from gon_core.measurement import CLEAN, TOP1
from sweeps.engine.report.summary.aggregate import summarise
from sweeps.engine.report.summary.parquet import render_parquet
from sweeps.engine.report.tables.points import build_trials
from sweeps.engine.tracking.mlflow.points import final_metrics
from tests.sweeps.engine.report.made_up import (
    METHODS,
    NOISES,
    measured_as,
    measured_result,
    size_rows,
    write_sweep,
)

COLUMNS = ("already_wrong", "never", "sampled", "non_monotone", "per_image", "converged")


@pytest.fixture
def trial():
    """Return a trial of vanilla training with two sizes, one of which has no end."""
    changes = {"never": 40, "non_monotone": 30, "sampled": 600, "converged": False}
    sizes = size_rows((math.inf, 4.5), **changes)
    ended = measured_result(next(iter(MNIST.methods.values())), 0, 0.5)
    return measured_as(ended, "epsilon_star", sizes)


def test_parquet_says_how_a_median_was_found(tmp_path, trial):
    summary = summarise(write_sweep(tmp_path, [trial], **METHODS))
    rows = parquet.read_table(io.BytesIO(render_parquet(summary))).to_pylist()
    first, second = [row for row in rows if row["measure"] == "epsilon_star"]
    assert (first["noise"], first["value"], second["value"]) == (NOISES[0], math.inf, 4.5)
    for row in (first, second):
        assert [row[name] for name in COLUMNS] == [9, 40, 600, 30, False, False]
    others = [row for row in rows if row["measure"] != "epsilon_star"]
    assert others and all(row[name] is None for row in others for name in COLUMNS)


def test_mlflow_says_which_medians_are_infinite_and_which_images_were_right_again(trial):
    metrics = final_metrics(trial)
    one, other = NOISES[:2]
    assert metrics[f"epsilon_star_infinite/{one}"] == 1.0
    assert metrics[f"epsilon_star_infinite/{other}"] == 0.0
    assert metrics[f"epsilon_star_non_monotone/{one}"] == pytest.approx(5.0)


def test_mlflow_has_the_means_without_noise_and_of_the_best_five(trial):
    metrics = final_metrics(trial)
    rows = [row for row in trial.of(TOP1, "test") if row.setting != CLEAN]
    quiet = [r.value for r in rows if r.setting not in ("shot_noise", "impulse_noise")]
    assert len(quiet) == 13
    assert metrics["mnist_c/mean_without_noise"] == pytest.approx(statistics.fmean(quiet))
    assert "mnist_c/mean_top5" not in metrics  # these rows have no top-5
    five = [row.model_copy(update={"extra": row.extra | {"top5": 100.0}}) for row in trial.of(TOP1)]
    metrics = final_metrics(measured_as(trial, TOP1, five))
    assert metrics["mnist_c/mean_top5"] == 100.0


def test_the_report_shows_what_was_noted_about_a_trial(tmp_path, trial):
    note = "epoch 3: a bit of weights.safetensors is flipped, epoch 2 was used <instead>"
    noted = trial.model_copy(update={"notes": [note]})
    summary = summarise(write_sweep(tmp_path, [noted], **METHODS))
    (row,) = build_trials(summary).rows
    assert f"converged\n{note}" in row.cells
