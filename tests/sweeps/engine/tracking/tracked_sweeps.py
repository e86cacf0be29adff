"""Made-up sweeps for the tests of tracking, and what MLflow holds of them."""

from collections import Counter
from collections.abc import Sequence

from mlflow import MlflowClient
from mlflow.entities import Run

from gon_core.config import GNT, DataConfig, TrainingConfig, TrialConfig
from gon_core.measurement import accuracy_row
from sweeps.engine.records import VALIDATION_METRIC, SweepRecords, TrialResult
from sweeps.engine.records.storage import Folder
from sweeps.engine.tracking.mlflow.outbox import Outbox
from tests.sweeps.engine.descriptions import describe


def epoch(number: int) -> dict[str, float]:
    """Return the metrics of an epoch."""
    return {
        "epoch": float(number), "train_loss": 1.0 / number, VALIDATION_METRIC: 50.0 + number,
        "seconds": 2.0,
    }  # fmt: skip


def ended(config, **changes) -> TrialResult:
    """Return the result of a trial of two epochs."""
    rows = [accuracy_row("test", "clean", 0, 9, 10), accuracy_row("test", "fog", 1, 5, 10),
            accuracy_row("test", "stripe", 1, 7, 10)]  # fmt: skip
    values = {
        "trial_id": config.trial_id, "config": config, "status": "max_epochs",
        "measurements": rows,
        "history": [epoch(1), epoch(2)], "objective": 60.0, "ended": "2026-01-01T12:00:00+00:00",
        "seconds": {"training": 4.0},
    }  # fmt: skip
    return TrialResult(**(values | changes))


def runs(uri: str, sweep: str = "mine") -> tuple[MlflowClient, list[Run], list[Run]]:
    """Return a client, the parent runs and the trials' runs of the sweeps of a name."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("gon/sigma")
    if experiment is None:
        return client, [], []
    found = client.search_runs([experiment.experiment_id], f"tags.sweep = '{sweep}'")
    parents = [run for run in found if run.data.tags["kind"] == "sweep"]
    return client, parents, [run for run in found if run.data.tags["kind"] == "trial"]


def all_points(client: MlflowClient, run: Run) -> dict[str, list[int]]:
    """Return the steps of every metric's points, and assert that none is there twice."""
    steps = {
        name: sorted(point.step for point in client.get_metric_history(run.info.run_id, name))
        for name in run.data.metrics
    }
    twice = {name: found for name, found in steps.items() if max(Counter(found).values()) > 1}
    assert not twice, f"points that are there twice: {twice}"
    return steps


def assert_whole(uri: str, results: Sequence[TrialResult], sweep: str = "mine") -> None:
    """Assert that MLflow holds each of these trials once, whole and at its end, and no other."""
    client, parents, children = runs(uri, sweep)
    assert len(parents) == 1 and parents[0].info.status in ("FINISHED", "FAILED")
    assert sorted(run.data.tags["trial"] for run in children) == sorted(
        result.trial_id for result in results
    )
    by_id = {run.data.tags["trial"]: run for run in children}
    for result in results:
        run = by_id[result.trial_id]
        assert run.data.tags["status"] == result.status and run.info.status != "RUNNING"
        assert run.data.tags["mlflow.parentRunId"] == parents[0].info.run_id
        assert run.data.params["seed"] == str(result.config.seed)
        points = all_points(client, run)
        assert points["train_loss"] == [int(entry["epoch"]) for entry in result.history]
        assert len(points["mnist_c/mean"]) == 1
        names = [artifact.path for artifact in client.list_artifacts(run.info.run_id)]
        assert "config.json" in names


def sent_by(index: int, folder: str) -> None:
    """Record a sweep of one trial in a folder of its own, and send it to the shared store."""
    uri = f"sqlite:///{folder}/mlflow.db"
    records = SweepRecords(Folder(f"{folder}/sweep{index}"))
    description = describe(tracking_uri=uri, name=f"sweep{index}")
    records.write_sweep(description)
    data = DataConfig(training_images=300, validation_images=30, test_images=20)
    training = TrainingConfig(max_epochs=2)
    config = TrialConfig(method=GNT(sigma=0.5), data=data, training=training, start=None)
    records.trial(config.trial_id).write_result(ended(config))
    outbox = Outbox(uri, description, records)
    assert outbox.end_sweep({}, failed=False, interrupted=False), outbox.problem
