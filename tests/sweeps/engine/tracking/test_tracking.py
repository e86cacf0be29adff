"""What MLflow holds of a sweep, in a sqlite store: one run a trial, every point once, no secret."""

import json
import shutil
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from mlflow import MlflowClient
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from gon_core.config import GNT, DataConfig, TrainingConfig, TrialConfig
from sweeps.engine.records import VALIDATION_METRIC, Checkpoint, SweepRecords
from sweeps.engine.records.lock import SweepLock
from sweeps.engine.records.storage import Folder
from sweeps.engine.system.errors import StorageError
from sweeps.engine.tracking import default_uri, make_tracker, replay, uri_problem
from sweeps.engine.tracking.__main__ import main
from sweeps.engine.tracking.mlflow import tracker
from sweeps.engine.tracking.mlflow.points import Epoch, dated
from sweeps.engine.tracking.mlflow.replay import BehindError
from sweeps.engine.tracking.mlflow.sqlite_store import ensure_store
from sweeps.engine.tracking.mlflow.store import Store
from sweeps.engine.tracking.mlflow.tracked import is_tracked, write_tracked
from sweeps.engine.tracking.mlflow.uris import explain, ui_command
from sweeps.engine.trials.machine_load import Sample
from tests.sweeps.engine.descriptions import describe
from tests.sweeps.engine.tracking.tracked_sweeps import (
    all_points,
    assert_whole,
    ended,
    epoch,
    runs,
)


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    ensure_store(path)
    return path


@pytest.fixture
def uri(tmp_path, empty_store):
    shutil.copy(empty_store, tmp_path / "mlflow.db")  # making one takes seconds
    return f"sqlite:///{tmp_path}/mlflow.db"


@pytest.fixture
def description(uri):
    return describe(tracking_uri=uri)


def begin(records, config):
    """Write what the driver writes before a trial runs."""
    records.trial(config.trial_id).write_config(config)


def record(records, result):
    begin(records, result.config)
    return records.trial(result.trial_id).write_result(result)


def test_a_sweep_is_one_parent_and_one_terminal_child_per_trial(config, records, description, uri):
    other = config.model_copy(update={"seed": 1})
    records.write_sweep(description)
    (records.folder / "report").write("table.md", b"| a |")
    begin(records, config)
    begin(records, other)
    tracker = make_tracker(uri, description, records)
    tracker.started(config)
    tracker.started(other)
    tracker.reported(config, epoch(1))
    tracker.reported(config, epoch(2))
    result = ended(config)
    records.trial(config.trial_id).write_result(result)
    tracker.ended(result)
    assert tracker.close({"trials": "1"}, failed=False, interrupted=True) == ""
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
    assert done.info.run_name == "sigma=0.5 seed 0" and done.data.params["sigma"] == "0.5"
    assert done.data.metrics["accuracy/objective"] == 60.0
    # MLflow lists metrics by name: what trials are compared by is the first.
    assert min(done.data.metrics) == "accuracy/objective"
    assert done.data.metrics["mnist_c/mean"] == 60.0 and done.data.metrics["clean/top1"] == 90.0
    assert done.data.metrics["mnist_c/fog"] == 50.0
    steps = [m.step for m in client.get_metric_history(done.info.run_id, "train_loss")]
    assert steps == [1, 2]
    artifact = Path(client.download_artifacts(done.info.run_id, "config.json"))
    assert json.loads(artifact.read_text()) == config.model_dump(mode="json")
    reported = client.list_artifacts(parents[0].info.run_id, "report")
    assert [artifact.path for artifact in reported] == ["report/table.md"]


def test_runs_of_a_joint_search_are_called_by_the_number_of_their_point(uri, records):
    description = describe(search="joint", grid=())
    first, second = (
        TrialConfig(method=GNT(sigma=s), data=DataConfig(), training=TrainingConfig(), start=None)
        for s in (0.5, 0.2)
    )
    again = first.model_copy(update={"seed": 1})
    store = None
    for index, config in enumerate((first, again, second)):
        records.trial(config.trial_id).write_ask_index(index)
        begin(records, config)
        store = Store(uri, description, records) if index != 1 or store is None else store
        store.begin(config)
    _, _, children = runs(uri)
    assert sorted(run.info.run_name for run in children) == [
        "#1 seed 0", "#1 seed 1", "#2 seed 0",
    ]  # fmt: skip


@pytest.mark.system
def test_a_replay_fills_an_empty_store_and_a_second_changes_nothing(
    config, records, description, uri
):
    records.write_sweep(description)
    failed = config.model_copy(update={"seed": 1})
    record(records, ended(config))
    record(records, ended(failed, status="failed", reason="RuntimeError: no\nTraceback",
                          measurements=[], objective=None))  # fmt: skip
    found = []
    for _ in range(2):
        assert replay(records, uri).trials == 2
        client, parents, children = runs(uri)
        assert len(parents) == 1 and parents[0].info.status == "FAILED"
        assert {run.info.status for run in children} == {"FINISHED", "FAILED"}
        assert parents[0].data.tags["best_objective"] == "60.00 %" and not parents[0].data.metrics
        found.append({run.info.run_id: all_points(client, run) for run in (*parents, *children)})
    assert found[0] == found[1] and len(found[0]) == 3
    assert [points["train_loss"] for points in found[0].values() if "train_loss" in points] == [
        [1, 2], [1, 2]
    ]  # fmt: skip


def test_a_replay_says_when_things_happened_and_not_when_it_was_sent(
    config, records, description, uri
):
    records.write_sweep(description)
    record(records, ended(config))
    replay(records, uri)
    client, _, (child,) = runs(uri)
    noon = 1767268800000
    times = [
        point.timestamp for point in client.get_metric_history(child.info.run_id, "train_loss")
    ]
    assert times == [noon - 2000, noon]
    assert child.info.start_time == noon - 2000 and child.info.end_time == noon


@pytest.mark.system
def test_a_replay_ends_the_runs_of_trials_whose_driver_has_ended(config, records, description, uri):
    """Of three trials one is known to MLflow, one has a checkpoint, one has only its record."""
    records.write_sweep(description.model_copy(update={"seeds": (0, 1, 2)}))
    known, trained, proposed = (config.model_copy(update={"seed": seed}) for seed in range(3))
    for one in (known, trained, proposed):
        begin(records, one)
    store = Store(uri, description, records)
    store.begin_sweep()
    store.begin(known)
    store.log_epochs(known, [Epoch(epoch(1), 1000)])
    checkpoint = Checkpoint(2, {"model.safetensors": b"weights"}, [epoch(1), epoch(2)])
    records.trial(trained.trial_id).write_checkpoint(checkpoint)
    for _ in range(2):
        assert replay(records, uri).trials == 3
        client, (parent,), children = runs(uri)
        assert {run.info.status for run in (parent, *children)} == {"KILLED"}
        assert {run.data.tags["status"] for run in children} == {"interrupted"}
        by_seed = {run.data.tags["seed"]: all_points(client, run) for run in children}
        steps = {seed: points.get("train_loss", []) for seed, points in by_seed.items()}
        assert steps == {"0": [1], "1": [1, 2], "2": []}


def test_a_sweep_that_is_short_of_its_proposals_is_not_finished(config, records, description, uri):
    records.write_sweep(description.model_copy(update={"config": {"proposals": 1}}))
    record(records, ended(config))
    replay(records, uri)
    assert runs(uri)[1][0].info.status == "KILLED"


def test_a_sweep_that_is_being_run_is_not_replayed(config, records, description, uri, capsys):
    records.write_sweep(description)
    with SweepLock(records.folder):
        assert main(["replay", records.folder.uri]) == 2
    err = capsys.readouterr().err
    assert "its driver runs" in err and err.count("\n") == 1
    assert MlflowClient(uri).get_experiment_by_name("gon/sigma") is None


def test_epochs_that_mlflow_missed_are_sent_when_the_trial_ends(config, records, description, uri):
    records.write_sweep(description)
    tracker = make_tracker(uri, description, records)
    tracker.started(config)
    tracker.reported(config, epoch(2))  # the first was lost
    tracker.ended(record(records, ended(config)))
    assert tracker.close({}, failed=False, interrupted=False) == ""
    assert_whole(uri, [ended(config)])


@pytest.mark.system
def test_samples_of_the_machine_are_system_metrics_of_the_trial_and_in_no_record(
    config, records, description, uri
):
    begin(records, config)
    began = round(datetime.fromisoformat(description.created).timestamp())
    samples = [
        Sample(1000 * (began + at), {"cpu_utilization_percentage": at}) for at in (5, 15, 25)
    ]
    tracker = make_tracker(uri, description, records)
    tracker.started(config)
    tracker.reported(config, epoch(1))
    tracker.sampled(config, samples[:2])
    while tracker.waiting:
        time.sleep(0.01)
    tracker.sampled(config, samples)  # as after an answer that was lost
    result = record(records, ended(config))
    tracker.ended(result)
    assert tracker.close({}, failed=False, interrupted=False) == ""
    client, _, (run,) = runs(uri)
    found = client.get_metric_history(run.info.run_id, "system/cpu_utilization_percentage")
    assert [(point.step, point.value, point.timestamp) for point in found] == [
        (sample.time // 1000 - began, *sample.figures.values(), sample.time) for sample in samples
    ]
    assert_whole(uri, [result])
    assert records.trial(config.trial_id).result() == result


def test_infinite_and_undefined_metrics_are_sent_once(config, records, description, uri):
    bad = [epoch(1) | {"train_loss": float("inf")}, epoch(2) | {"train_loss": float("nan")}]
    result = ended(config, status="diverged", history=bad, measurements=[], objective=None)
    for _ in range(2):
        store = Store(uri, description, records)
        store.log_epochs(config, dated(bad, 10**6))
        store.finish(result, dated(bad, 2 * 10**6))
        client, _, (child,) = runs(uri)
        points = all_points(client, child)
        assert points["train_loss"] == [2] and points["validation_corrupted"] == [1, 2]
        assert child.info.status == "FAILED"


@pytest.mark.system
def test_a_failed_trial_that_ran_again_shows_its_new_figures_last(
    config, records, description, uri
):
    failed = ended(
        config, status="failed", measurements=[], objective=None, seconds={"training": 1.0}
    )
    Store(uri, description, records).finish(failed, dated(failed.history, 10**6))
    again = Store(uri, description, records)
    again.begin(config)
    assert runs(uri)[2][0].data.tags["status"] == "running"
    again.finish(ended(config), dated(failed.history, 2 * 10**6))
    client, _, (child,) = runs(uri)
    assert child.data.metrics["seconds/training"] == 4.0
    assert child.data.tags["status"] == "max_epochs" and child.info.status == "FINISHED"
    assert all_points(client, child)["seconds/training"] == [2, 3]


@pytest.mark.system
def test_a_trial_that_failed_again_while_mlflow_was_away_shows_the_second_failure(
    config, records, description, uri
):
    records.write_sweep(description)
    first = ended(
        config, status="failed", measurements=[], objective=None, reason="OSError: the first"
    )
    record(records, first)
    assert replay(records, uri).trials == 1
    again = first.model_copy(
        update={"reason": "out of memory: the second", "history": [epoch(n) for n in range(1, 6)]}
    )
    record(records, again)
    assert replay(records, uri).trials == 1
    client, _, (child,) = runs(uri)
    assert all_points(client, child)["train_loss"] == [1, 2, 3, 4, 5]
    assert child.info.status == "FAILED"
    reason = Path(urlsplit(child.info.artifact_uri).path) / "reason.txt"
    assert reason.read_text() == "out of memory: the second"


@pytest.mark.system
def test_what_is_sent_twice_is_there_once(config, records, description, uri, monkeypatch):
    """The first time every request is carried out, and its answer lost."""
    records.write_sweep(description)
    record(records, ended(config))
    monkeypatch.setattr("sweeps.engine.tracking.mlflow.outbox.END_PAUSES_SECONDS", [0] * 30)
    lost = set()
    for name in ("create_experiment", "create_run", "log_batch", "set_terminated", "set_tag"):
        original = getattr(MlflowClient, name)

        def once(client, *args, original=original, name=name, **kwargs):
            answer = original(client, *args, **kwargs)
            what = (name, repr(args[1:2]), *kwargs)
            if what not in lost:
                lost.add(what)
                raise ConnectionError("the answer is lost")
            return answer

        monkeypatch.setattr(MlflowClient, name, once)
    assert replay(records, uri).trials == 1
    assert len(lost) > 5
    assert_whole(uri, [ended(config)])
    _, (parent,), _ = runs(uri)
    assert parent.data.tags["best"] == "sigma 0.5"


@pytest.mark.system
def test_a_run_that_was_made_twice_is_there_once(config, records, description, uri):
    """A request may be carried out long after its answer was no longer awaited."""
    records.write_sweep(description)
    record(records, ended(config))
    Store(uri, description, records).begin(config)
    client, (parent,), (child,) = runs(uri)
    for run in (parent, child):
        late = client.create_run(run.info.experiment_id, tags=run.data.tags)
        client.log_param(late.info.run_id, "seed", 0)
    client.set_tag(child.info.run_id, "mlflow.parentRunId", late.info.run_id)
    assert [len(found) for found in runs(uri)[1:]] == [2, 2]
    replay(records, uri)
    assert_whole(uri, [ended(config)])


@pytest.mark.system
def test_runs_that_a_person_deleted_come_back(config, records, description, uri):
    records.write_sweep(description.model_copy(update={"seeds": (0, 1)}))
    results = [ended(config), ended(config.model_copy(update={"seed": 1}))]
    for result in results:
        record(records, result)
    replay(records, uri)
    client, (parent,), (child, _) = runs(uri)
    for run in (parent, child):
        client.delete_run(run.info.run_id)
    replay(records, uri)
    assert_whole(uri, results)


@pytest.mark.system
def test_one_trial_that_mlflow_refuses_holds_up_no_other(
    config, records, description, uri, monkeypatch
):
    records.write_sweep(description.model_copy(update={"seeds": (0, 1)}))
    other = config.model_copy(update={"seed": 1})
    record(records, ended(config))
    record(records, ended(other))
    original = MlflowClient.log_dict
    refused = min(config.trial_id, other.trial_id)  # the first to be sent

    def refuse(client, run_id, content, name):
        if client.get_run(run_id).data.tags.get("trial") == refused:
            raise PermissionError("no artifacts of this one")
        original(client, run_id, content, name)

    monkeypatch.setattr(MlflowClient, "log_dict", refuse)
    monkeypatch.setattr("sweeps.engine.tracking.mlflow.outbox.END_PAUSES_SECONDS", (0.0, 0.1))
    with pytest.raises(BehindError, match="no artifacts"):
        replay(records, uri)
    client, (parent,), children = runs(uri)
    assert {run.info.status for run in (parent, *children)} == {"FINISHED"}
    assert sorted(run.data.tags["status"] for run in children) == ["max_epochs", "running"]
    assert all(all_points(client, run)["train_loss"] == [1, 2] for run in children)
    monkeypatch.setattr(MlflowClient, "log_dict", original)
    replay(records, uri)
    assert_whole(uri, [ended(config), ended(other)])


@pytest.mark.system
def test_an_absent_server_costs_nothing_while_training_and_names_the_replay(
    config, records, description, monkeypatch, caplog, capfd
):
    monkeypatch.setattr(tracker, "DRAIN_SECONDS", 10)
    monkeypatch.setattr("sweeps.engine.tracking.mlflow.outbox.END_PAUSES_SECONDS", (0.0, 0.1))
    records.write_sweep(description)
    begin(records, config)
    said = []
    listener = make_tracker("http://me:secret@127.0.0.1:9", description, records, said.append)
    listener.started(config)
    started = time.monotonic()
    for number in range(1, 1000):
        listener.reported(config, epoch(number))
    assert time.monotonic() - started < 1
    deadline = time.monotonic() + 60
    while not said and time.monotonic() < deadline:
        time.sleep(0.1)
    message = listener.close({}, failed=False, interrupted=False)
    assert "sweeps.engine.tracking replay" in message and "nothing is lost" in message
    assert "http://me:***@127.0.0.1:9" in message, "the replay needs the whole URI"
    assert len(said) == 1 and "Training continues" in said[0] and "\n" not in said[0]
    printed = "".join(capfd.readouterr())
    assert printed == "" and caplog.text == ""
    assert "secret" not in message + said[0] + printed


@pytest.mark.system  # it waits in real time
def test_an_absent_server_is_asked_ever_less_often(config, records, description, monkeypatch):
    """Not once for every epoch, which would be thousands of times an hour."""
    opened = []

    class Refused(Store):
        def __init__(self, *arguments):
            opened.append(time.monotonic())
            raise ConnectionError("refused")

    monkeypatch.setattr("sweeps.engine.tracking.mlflow.outbox.Store", Refused)
    monkeypatch.setattr("sweeps.engine.tracking.mlflow.outbox.END_PAUSES_SECONDS", (0.0,))
    monkeypatch.setattr(tracker, "FIRST_PAUSE_SECONDS", 0.2)
    begin(records, config)
    listener = make_tracker("http://127.0.0.1:9", description, records)
    for number in range(1, 301):
        listener.reported(config, epoch(number))
        time.sleep(0.01)
    before = len(opened)
    listener.close({}, failed=False, interrupted=True)
    assert 2 <= before <= 5 and len(opened) == before + 1


def test_the_surrounding_shell_cannot_redirect_a_sweep(records, description, uri, monkeypatch):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "99")
    monkeypatch.setenv("MLFLOW_RUN_ID", "abc")
    Store(uri, description, records)
    assert len(runs(uri)[1]) == 1


def test_passwords_never_show(monkeypatch):
    uri = "postgresql://me:secret@host/db"
    assert "secret" not in ui_command(uri) and "127.0.0.1" in ui_command(uri)
    assert ui_command("http://me:secret@host:5000") == "http://me:***@host:5000"
    assert "secret" not in (uri_problem("gopher://me:secret@host") or "")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hidden")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t0ken")
    error = explain(RuntimeError("no answer from http://me:secret@host/api (hidden, t0ken)\nmore"))
    assert error == "no answer from http://me:***@host/api (***, ***)"


def test_no_password_reaches_mlflow(config, description, uri):
    records = SweepRecords(Folder("s3://key:secret@bucket/sweeps/mine?session_token=hidden"))
    Store(uri, description, records).begin(config)
    _, parents, children = runs(uri)
    for run in (*parents, *children):
        assert not any(word in repr(run.to_dictionary()) for word in ("secret", "hidden"))
        assert "bucket/sweeps/mine" in run.data.tags["sweep_folder"]


@pytest.mark.parametrize(
    ("uri", "word"),
    [
        ("results/mlruns", "must be"),
        ("http://me:***@host", "password"),
        ("ftp://h", "must"),
        ("mysql://me:hu sh@host/db", "no blanks"),
    ],
)
def test_a_store_that_cannot_be_is_refused(records, description, uri, word, capsys):
    records.write_sweep(description)
    assert word in (uri_problem(uri) or "")
    assert main(["replay", records.folder.uri, uri]) == 2
    err = capsys.readouterr().err
    assert word in err and err.count("\n") == 1


@pytest.mark.parametrize("uri", ["http://h:1", "https://h", "postgresql+psycopg2://h/d"])
def test_a_store_that_can_be_is_let_through(uri):
    assert uri_problem(uri) is None


def test_the_default_store_is_beside_the_sweeps(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert default_uri("results") == f"sqlite:///{tmp_path}/results/mlflow.db"
    assert default_uri("s3://bucket/x") == f"sqlite:///{tmp_path}/results/mlflow.db"


@pytest.mark.parametrize("arguments", [[], ["replay"], ["redo", "x"], ["replay", "x", "y", "z"]])
def test_a_replay_command_that_is_none_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2 and "usage" in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, b"{", b"[]", b"{}"])
def test_a_folder_without_a_sweep_exits_with_2_and_one_line(tmp_path, content, capsys):
    if content is not None:
        (tmp_path / "sweep.json").write_bytes(content)
    assert main(["replay", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and str(tmp_path) in err


@pytest.mark.system
@pytest.mark.parametrize("arguments", [["--help"], ["replay", "--help"]])
def test_help_is_given(arguments):
    command = [sys.executable, "-m", "sweeps.engine.tracking", *arguments]
    asked = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert asked.returncode == 0 and "replay" in asked.stdout and asked.stderr == ""


def test_a_replay_without_a_server_exits_with_1_and_one_line(
    config, records, description, monkeypatch, capsys
):
    monkeypatch.setattr("sweeps.engine.tracking.mlflow.outbox.END_PAUSES_SECONDS", (0.0, 0.1))
    records.write_sweep(description)
    record(records, ended(config))
    assert main(["replay", records.folder.uri, "http://me:secret@127.0.0.1:9"]) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "Connection refused" in err
    assert "secret" not in err and "me:***@" in err


@pytest.mark.system
def test_a_trial_that_is_resumed_runs_again_in_the_same_run(config, records, description, uri):
    records.write_sweep(description)
    first = Store(uri, description, records)
    first.begin(config)
    first.interrupt(config, [], 1000)
    first.finish_sweep({}, False, True, 1000)
    client, (parent,), (child,) = runs(uri)
    assert {parent.info.status, child.info.status} == {"KILLED"}
    second = Store(uri, description, records)
    second.begin_sweep()
    second.begin(config)
    client, (parent,), (child,) = runs(uri)
    assert {parent.info.status, child.info.status} == {"RUNNING"}
    assert child.data.tags["status"] == "running"
    second.finish(ended(config), dated(ended(config).history, 10**6))
    assert client.get_run(child.info.run_id).info.status == "FINISHED"


def test_a_folder_with_an_apostrophe_is_found_again(config, description, uri, tmp_path):
    records = SweepRecords(Folder(str(tmp_path / "it's")))
    for _ in range(2):
        Store(uri, description, records).begin(config)
    _, parents, children = runs(uri)
    assert len(parents) == len(children) == 1


@pytest.mark.system
def test_of_epochs_in_several_requests_the_second_fails_and_none_is_missed(
    config, records, description, uri, monkeypatch
):
    epochs, sizes = dated([epoch(number) for number in range(1, 601)], 10**7), []
    original = SqlAlchemyStore.log_batch

    def fail_once(store, run_id, metrics, params, tags):
        sizes.append(len(metrics))
        if len(sizes) == 3:
            raise ConnectionError("cut")
        return original(store, run_id, metrics, params, tags)

    monkeypatch.setattr(SqlAlchemyStore, "log_batch", fail_once)
    with pytest.raises(ConnectionError):
        Store(uri, description, records).log_epochs(config, epochs)
    assert sizes == [0, 1000, 800], "the first is of parameters; the second ends within an epoch"
    Store(uri, description, records).log_epochs(config, epochs)
    client, _, (child,) = runs(uri)
    points = all_points(client, child)
    assert set(points) == {"train_loss", VALIDATION_METRIC, "seconds"}
    assert all(steps == list(range(1, 601)) for steps in points.values())


@pytest.mark.system
def test_a_sweep_that_mlflow_holds_is_not_sent_again(config, records, description, uri):
    """A later process of a finished sweep does not even import MLflow."""
    records.write_sweep(description)
    record(records, ended(config))
    assert make_tracker(uri, description, records).close({}, failed=False, interrupted=False) == ""
    assert "tracked.json" in records.folder.names()
    code = (
        "import sys, json\n"
        "from sweeps.engine.records import SweepRecords\n"
        "from sweeps.engine.records.storage import Folder\n"
        "from sweeps.engine.tracking import make_tracker\n"
        "records = SweepRecords(Folder(sys.argv[1]))\n"
        "tracker = make_tracker(sys.argv[2], records.read_sweep(), records)\n"
        "assert tracker.close({}, failed=False, interrupted=False) == ''\n"
        "print('mlflow' in sys.modules)\n"
    )

    command = [sys.executable, "-c", code, records.folder.uri, uri]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr
    record(records, ended(config.model_copy(update={"seed": 1})))
    assert not is_tracked(records, uri), "another trial was recorded"
    assert make_tracker(uri, description, records).close({}, failed=False, interrupted=False) == ""
    assert is_tracked(records, uri)
    assert_whole(uri, records.results())
    Path(uri.removeprefix("sqlite:///")).unlink()
    assert not is_tracked(records, uri), "the store is gone"


@pytest.mark.system
@pytest.mark.parametrize(
    "error", [StorageError("/disk", "no space left"), StorageError("s3://b", "away")]
)
def test_a_storage_that_fails_is_no_problem_of_mlflow(
    config, records, description, uri, monkeypatch, error
):
    """Neither where only ``tracked.json`` cannot be written, nor where nothing can be read."""
    records.write_sweep(description)
    record(records, ended(config))

    def fail(*arguments):
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(Folder, "write_json", fail)
        patched.setattr(Folder, "remove", fail)
        listener = make_tracker(uri, description, records)
        listener.started(config)
        assert listener.close({}, failed=False, interrupted=False) == ""
    assert_whole(uri, [ended(config)])
    with monkeypatch.context() as patched:
        for name in ("exists", "read", "names"):
            patched.setattr(Folder, name, fail)
        message = make_tracker(uri, description, records).close({}, failed=False, interrupted=False)
        assert explain(error) in message and "replay" in message
        assert main(["replay", records.folder.uri]) == 2


def test_a_sweep_is_not_called_tracked_while_it_is_not(config, records, description, uri):
    records.write_sweep(description)
    record(records, ended(config))
    assert make_tracker(uri, description, records).close({}, failed=False, interrupted=True) == ""
    assert "tracked.json" not in records.folder.names(), "its parent run is KILLED"
    replay(records, uri)
    assert "tracked.json" in records.folder.names()
    again = make_tracker(uri, description, records)
    again.started(config)
    assert again.close({}, failed=False, interrupted=True) == ""
    assert "tracked.json" not in records.folder.names()


def test_tracked_json_holds_no_password(config, records):
    record(records, ended(config))
    write_tracked(records, "postgresql://me:secret@host/db")
    assert b"secret" not in records.folder.read("tracked.json")
    assert is_tracked(records, "postgresql://me:secret@host/db")
    assert not is_tracked(records, "postgresql://me:secret@elsewhere/db")
    records.folder.write("tracked.json", b"{")
    assert not is_tracked(records, "postgresql://me:secret@host/db")
