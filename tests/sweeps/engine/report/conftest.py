"""Sweeps with made-up results, written through the real records."""

import pytest

from gon_core.config import GNT, DataConfig, TrainingConfig, TrialConfig
from gon_core.corruptions.mnist_c import CORRUPTIONS
from gon_core.evaluation import AccuracyRow, mean_top1
from sweeps.engine.records import SweepRecords, TrialResult
from sweeps.engine.storage import Folder

IMAGES = 1_000
PUBLISHED = {
    "curve": {"table": "mnist_c_vs_sigma", "x": "sigma", "y": "mnist_c_top1"},
    "rows": [
        {"value": 0.0, "table": "mnist_c_top1", "model": "vanilla_madry"},
        {"value": 0.5, "table": "mnist_c_top1", "model": "gnt_sigma_0.5"},
    ],
}
REASONS = {"diverged": "the training loss is not finite", "failed": "RuntimeError: <b>broken</b>"}


def description(seeds=3, **changes):
    """Return what sweep.json says."""
    return {
        "name": "sigma-demo",
        "question": "sigma",
        "title": "Which sigma of Gaussian noise training?",
        "created": "2026-11-22T13:00:00+00:00",
        "scale": "demo",
        "cuts": ["10,000 of 55,000 training images", "2 epochs per trial, not until convergence"],
        "parameter": {"name": "sigma", "unit": "[0, 1] pixels", "paper": 0.5},
        "published": PUBLISHED,
        "seeds": list(range(seeds)),
        "grid": [],
        "code": {"git_sha": "0123abcd", "dirty": True},
        "packages": {"torch": "2.9.1"},
        "data_digest": "sha256:feed",
        "command": "python -m sweeps.sigma_line_search --scale demo",
        "tracking": "mlflow ui --backend-store-uri sqlite:///results/mlflow.db",
    } | changes


def accuracy_rows(top1):
    """Return rows whose mean over corruptions is ``top1`` on test, 1 more on validation."""
    rows = []
    for split, mean in (("validation", top1 + 1), ("test", top1)):
        rows.append(AccuracyRow(split, "clean", 0, 985, IMAGES))
        # Not in the paper's order, and not all alike.
        for index, name in enumerate(reversed(CORRUPTIONS)):
            rows.append(AccuracyRow(split, name, 1, round(10 * mean) + index - 7, IMAGES))
    return rows


def config(sigma, seed):
    """Return a trial's configuration."""
    training = TrainingConfig(max_epochs=2)
    return TrialConfig(
        method=GNT(sigma=sigma), data=DataConfig(), training=training, start=None, seed=seed
    )


def result(sigma, seed, status, top1):
    """Return how a trial ended; measured if it has an accuracy."""
    trial = config(sigma, seed)
    rows = accuracy_rows(top1) if top1 is not None else []
    return TrialResult(
        trial_id=trial.trial_id,
        config=trial,
        status=status,
        reason=REASONS.get(status, ""),
        history=[{"epoch": 1.0, "loss": 1.0}, {"epoch": 2.0, "loss": 0.5}],
        rows=rows,
        objective=mean_top1(rows, "validation") if rows else None,
        seconds={"training": 41.25, "evaluation": 3.5},
        ended="2026-11-22T13:10:00+00:00",
        device="cpu, 1 thread(s)",
    )


@pytest.fixture
def make_sweep(tmp_path):
    """Return a function that writes a sweep of (sigma, seed, status, top1 or None)."""

    def make(trials, **changes):
        records = SweepRecords(Folder(str(tmp_path / "sweep")))
        records.write_sweep(description(**changes))
        for sigma, seed, status, top1 in trials:
            ended = result(sigma, seed, status, top1)
            trial = records.trial(ended.trial_id)
            trial.write_config(ended.config)
            trial.write_result(ended)
        return records

    return make


@pytest.fixture
def line_search():
    """Return a whole search: seven values, three seeds, four trials that were lost."""
    means = {0.0: 78.5, 0.2: 82.0, 0.38: 85.0, 0.5: 86.5, 0.7: 86.3, 0.9: 85.9, 1.2: 84.0}
    lost = {(1.2, 1): "pruned", (1.2, 2): "pruned", (0.9, 0): "diverged", (0.2, 2): "failed"}
    noise = (-0.3, 0.0, 0.4)
    return [
        (sigma, seed, lost[sigma, seed], None)
        if (sigma, seed) in lost
        else (sigma, seed, "max_epochs" if sigma < 0.6 else "converged", mean + noise[seed])
        for sigma, mean in means.items()
        for seed in range(3)
    ]
