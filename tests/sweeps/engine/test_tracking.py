import json
import threading
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from gon_core.evaluation import AccuracyRow
from sweeps.engine import tracking
from sweeps.engine.provenance import redact
from sweeps.engine.records import VALIDATION_METRIC, SweepRecords, TrialResult
from sweeps.engine.storage import Folder
from sweeps.engine.tracking import Tracker, default_uri, replay, ui_command


@pytest.fixture
def description(tmp_path):
    return {
        "name": "mine", "question": "sigma", "title": "Which sigma?",
        "parameters": [{"kind": "real", "name": "sigma", "low": 0.0, "high": 2.0, "step": 0.01,
                        "unit": "1", "paper": 0.5, "log": False}],
        "created": "2026-01-01", "scale": "demo", "search": "line", "objectives": ["corrupted"],
        "seeds": [0], "grid": [[0.5]],
        "code": {"git_sha": "abc", "dirty": False}, "data_digest": "d1",
        "tracking_uri": f"sqlite:///{tmp_path}/mlflow.db",
    }  # fmt: skip


@pytest.fixture
def uri(description):
    return description["tracking_uri"]


def epoch(number: int) -> dict[str, float]:
    return {"epoch": float(number), "train_loss": 1.0 / number, VALIDATION_METRIC: 50.0 + number}


def ended(config, **changes) -> TrialResult:
    rows = [AccuracyRow("test", "clean", 0, 9, 10), AccuracyRow("test", "fog", 1, 5, 10),
            AccuracyRow("test", "stripe", 1, 7, 10)]  # fmt: skip
    values = {
        "trial_id": config.trial_id, "config": config, "status": "max_epochs", "rows": rows,
        "history": [epoch(1), epoch(2)], "objective": 60.0,
    }  # fmt: skip
    return TrialResult(**(values | changes))


def runs(uri):
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("gon/sigma")
    found = client.search_runs([experiment.experiment_id])
    parents = [run for run in found if run.data.tags["kind"] == "sweep"]
    return client, parents, [run for run in found if run.data.tags["kind"] == "trial"]


def test_a_sweep_is_one_parent_and_one_terminal_child_per_trial(config, records, description, uri):
    other = config.model_copy(update={"seed": 1})
    records.write_sweep(description)
    (records.folder / "report").write("table.md", b"| a |")
    tracker = Tracker(uri, description, records)
    tracker.started(config)
    tracker.started(other)
    tracker.reported(config, epoch(1))
    tracker.reported(config, epoch(2))
    result = ended(config)
    records.trial(config.trial_id).write_result(result)
    tracker.ended(result)
    assert tracker.close({"trials": 1.0}, failed=False, interrupted=True) == ""
    client, parents, children = runs(uri)
    assert len(parents) == 1 and parents[0].info.status == "KILLED"
    assert len(children) == 2
    by_status = {run.data.tags["status"]: run for run in children}
    assert set(by_status) == {"max_epochs", "interrupted"}
    done = by_status["max_epochs"]
    assert done.info.status == "FINISHED" and by_status["interrupted"].info.status == "KILLED"
    assert done.data.tags["mlflow.parentRunId"] == parents[0].info.run_id
    expected = {"sweep": "mine", "trial": config.trial_id, "seed": "0", "git_sha": "abc",
                "data_digest": "d1"}  # fmt: skip
    assert expected.items() <= done.data.tags.items()
    assert done.data.params["sigma"] == "0.5"
    assert done.data.metrics["mnist_c/mean"] == 60.0 and done.data.metrics["clean/top1"] == 90.0
    assert done.data.metrics["mnist_c/fog"] == 50.0
    steps = [m.step for m in client.get_metric_history(done.info.run_id, "train_loss")]
    assert steps == [1, 2]
    artifact = Path(client.download_artifacts(done.info.run_id, "config.json"))
    assert json.loads(artifact.read_text()) == config.model_dump(mode="json")
    reported = client.list_artifacts(parents[0].info.run_id, "report")
    assert [artifact.path for artifact in reported] == ["report/table.md"]


def test_a_replay_fills_an_empty_store_and_a_second_changes_nothing(
    config, records, description, uri
):
    records.write_sweep(description)
    failed = config.model_copy(update={"seed": 1})
    records.trial(config.trial_id).write_result(ended(config))
    records.trial(failed.trial_id).write_result(
        ended(
            failed, status="failed", reason="RuntimeError: no\nTraceback", rows=[], objective=None
        )
    )
    for _ in range(2):
        assert replay(records, uri) == 2
        client, parents, children = runs(uri)
        assert len(parents) == 1 and len(children) == 2
        assert {run.info.status for run in children} == {"FINISHED", "FAILED"}
        for run in children:
            history = client.get_metric_history(run.info.run_id, "train_loss")
            assert [metric.step for metric in history] == [1, 2]
        assert parents[0].data.metrics["best/objective"] == 60.0


def test_epochs_that_mlflow_missed_are_sent_when_the_trial_ends(config, records, description, uri):
    records.write_sweep(description)
    tracker = Tracker(uri, description, records)
    tracker.started(config)
    tracker.reported(config, epoch(2))  # the first was lost
    result = ended(config)
    records.trial(config.trial_id).write_result(result)
    tracker.ended(result)
    assert tracker.close({}, failed=False, interrupted=False) == ""
    client, _, children = runs(uri)
    history = client.get_metric_history(children[0].info.run_id, "train_loss")
    assert sorted(metric.step for metric in history) == [1, 2]


def test_an_absent_server_costs_nothing_while_training_and_names_the_replay(
    config, records, description, monkeypatch
):
    monkeypatch.setattr(tracking, "DRAIN_SECONDS", 1)
    tracker = Tracker("http://127.0.0.1:9", description, records)
    started = time.monotonic()
    for number in range(1, 1000):
        tracker.reported(config, epoch(number))
    assert time.monotonic() - started < 1
    message = tracker.close({}, failed=False, interrupted=False)
    assert "sweeps.engine.tracking replay" in message and "nothing is lost" in message


def test_several_processes_worth_of_threads_make_one_store(records, description, uri):
    errors = []

    def make():
        try:
            tracking.Store(uri, description, records)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert MlflowClient(uri).get_experiment_by_name("gon/sigma") is not None


def test_the_surrounding_shell_cannot_redirect_a_sweep(records, description, uri, monkeypatch):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "99")
    monkeypatch.setenv("MLFLOW_RUN_ID", "abc")
    tracking.Store(uri, description, records)
    assert len(runs(uri)[1]) == 1


def test_passwords_never_show():
    uri = "postgresql://me:secret@host/db"
    assert redact(uri) == "postgresql://me:***@host/db"
    assert redact("postgresql://me:p@ss@host/db") == "postgresql://me:***@host/db"
    assert "secret" not in ui_command(uri) and "127.0.0.1" in ui_command(uri)


def test_the_default_store_is_beside_the_sweeps(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert default_uri("results") == f"sqlite:///{tmp_path}/results/mlflow.db"
    assert default_uri("s3://bucket/x") == f"sqlite:///{tmp_path}/results/mlflow.db"


@pytest.mark.parametrize("arguments", [[], ["replay"], ["redo", "x"], ["replay", "/no/such"]])
def test_a_bad_replay_command_exits_with_2(arguments, capsys):
    assert tracking.main(arguments) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_trial_that_is_carried_on_runs_again_in_the_same_run(config, records, description, uri):
    records.write_sweep(description)
    first = tracking.Store(uri, description, records)
    first.begin(config)
    first.interrupt(config)
    first.finish_sweep({}, failed=False, interrupted=True)
    client, (parent,), (child,) = runs(uri)
    assert {parent.info.status, child.info.status} == {"KILLED"}
    second = tracking.Store(uri, description, records)
    second.begin_sweep()
    second.begin(config)
    client, (parent,), (child,) = runs(uri)
    assert {parent.info.status, child.info.status} == {"RUNNING"}
    second.finish(ended(config))
    assert client.get_run(child.info.run_id).info.status == "FINISHED"


def test_a_folder_with_an_apostrophe_is_found_again(config, description, uri, tmp_path):
    records = SweepRecords(Folder(str(tmp_path / "it's")))
    for _ in range(2):
        tracking.Store(uri, description, records).child(config)
    _, parents, children = runs(uri)
    assert len(parents) == len(children) == 1
