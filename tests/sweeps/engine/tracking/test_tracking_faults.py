"""MLflow behind a real server: down, back, slow, losing answers; and a driver that is killed."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sweeps.engine.records import SweepRecords
from sweeps.engine.records.storage import Folder
from sweeps.engine.tracking import make_tracker, replay
from sweeps.engine.tracking.mlflow import tracker
from tests.sweeps.engine.descriptions import describe
from tests.sweeps.engine.tracking.mlflow_server import Proxy, Server
from tests.sweeps.engine.tracking.tracked_sweeps import (
    all_points,
    assert_whole,
    ended,
    epoch,
    runs,
)

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[4]
CREATE, LOG = "POST /api/2.0/mlflow/runs/create", "POST /api/2.0/mlflow/runs/log-batch"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server that all tests share, each with a sweep of its own."""
    one = Server(tmp_path_factory.mktemp("server"))
    one.start()
    yield one
    one.kill()


@pytest.fixture
def proxy(server):
    one = Proxy(server.port)
    yield one
    one.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Give up soon, so that the tests take seconds where a sweep takes minutes."""
    monkeypatch.setattr(tracker, "FIRST_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(tracker, "LONGEST_PAUSE_SECONDS", 0.5)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")


@pytest.fixture
def sweep(records, tmp_path, config):
    """Records of a sweep whose one trial has begun, named after the test."""
    description = describe(name=tmp_path.name, tracking_uri="http://127.0.0.1:9")
    records.write_sweep(description)
    records.trial(config.trial_id).write_config(config)
    return description


def wait_until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.1)


def history(last):
    return [epoch(number) for number in range(1, last + 1)]


def logged_epochs(server, name):
    """Return which epochs of the one trial the server knows."""
    client, _, children = runs(server.uri, name)
    return all_points(client, children[0]).get("train_loss", []) if children else []


def test_a_server_that_is_down_at_the_start_in_the_middle_and_at_the_end(tmp_path, config, records):
    """It is really stopped and started; training is never kept waiting, every point arrives."""
    server = Server(tmp_path)
    sweep = describe(tracking_uri=server.uri)
    records.write_sweep(sweep)
    records.trial(config.trial_id).write_config(config)
    waited, said = [], []

    def report(listener, number):
        started = time.monotonic()
        listener.reported(config, epoch(number))
        waited.append(time.monotonic() - started)

    try:
        listener = make_tracker(server.uri, sweep, records, said.append)
        listener.started(config)
        report(listener, 1)
        wait_until(lambda: said)
        server.start()
        wait_until(lambda: logged_epochs(server, sweep.name) == [1])
        report(listener, 2)
        wait_until(lambda: logged_epochs(server, sweep.name) == [1, 2])
        server.kill()
        for number in (3, 4):
            report(listener, number)
        time.sleep(1)
        server.start()
        report(listener, 5)
        wait_until(lambda: logged_epochs(server, sweep.name) == [1, 2, 3, 4, 5])
        server.kill()
        report(listener, 6)
        result = records.trial(config.trial_id).write_result(ended(config, history=history(6)))
        listener.ended(result)
        started = time.monotonic()
        message = listener.close({"trials": "1"}, failed=False, interrupted=False)
        assert time.monotonic() - started < 30, "a server that is gone is not waited for"
        assert max(waited) < 0.1 and len(said) == 1
        server.start()
        _, (parent,), (child,) = runs(server.uri)
        assert {parent.info.status, child.info.status} == {"RUNNING"}
        command = shlex.split(message.splitlines()[-1])
        assert command[:3] == ["uv", "run", "python"] and "Connection refused" in message
        replayed = subprocess.run(
            [sys.executable, *command[3:]], cwd=ROOT, capture_output=True, text=True, timeout=120
        )
        assert replayed.returncode == 0, replayed.stderr
        assert_whole(server.uri, [result])
        assert runs(server.uri)[2][0].info.run_id == child.info.run_id
    finally:
        server.kill()


@pytest.mark.parametrize("delay", [0.5, pytest.param(5.0, marks=pytest.mark.slow)])
def test_a_slow_server_holds_up_neither_training_nor_the_end(
    delay, server, proxy, sweep, config, records, monkeypatch
):
    """Five seconds a request, and a minute for the end, as promised; and ten times as fast."""
    drain = 12 * delay
    monkeypatch.setattr(tracker, "DRAIN_SECONDS", drain)
    proxy.delay = delay
    proxy.open()
    listener = make_tracker(proxy.uri, sweep, records)
    started = time.monotonic()
    listener.started(config)
    for entry in history(40):
        listener.reported(config, entry)
        time.sleep(0.01)
    assert time.monotonic() - started < 5
    wait_until(lambda: LOG in proxy.requests, 60 * delay)
    for number in range(4):  # more than can be sent in the time
        other = config.model_copy(update={"seed": 1 + number})
        records.trial(other.trial_id).write_config(other)
        records.trial(other.trial_id).write_result(ended(other))
    result = records.trial(config.trial_id).write_result(ended(config, history=history(40)))
    listener.ended(result)
    started = time.monotonic()
    message = listener.close({}, failed=False, interrupted=False)
    assert drain - 1 < time.monotonic() - started < drain + 3
    assert f"{drain} s" in message and "replay" in message
    # Had each epoch been a request, this would take longer.
    wait_until(lambda: logged_epochs(server, sweep.name) == list(range(1, 41)), 60 * delay)
    assert proxy.requests.count(LOG) < 20
    thread = listener._thread
    assert thread is not None
    thread.join(120 * delay)  # in a sweep the process would end here
    proxy.delay = 0.0
    replay(records, proxy.uri)
    assert_whole(server.uri, records.results(), sweep.name)


def test_answers_that_are_lost_leave_nothing_twice(server, proxy, sweep, config, records):
    """Every kind of request is carried out once in vain, in every phase of the trial."""
    lost = set()

    def loses(request, body):
        if request in lost or "PUT" in request:
            return False
        lost.add(request)
        return True

    proxy.loses = loses
    proxy.open()
    listener = make_tracker(proxy.uri, sweep, records)
    listener.started(config)
    for number in (1, 2):
        listener.reported(config, epoch(number))
        wait_until(lambda number=number: number in logged_epochs(server, sweep.name))
    assert {CREATE, LOG} <= lost
    lost.clear()
    result = records.trial(config.trial_id).write_result(ended(config, history=history(3)))
    listener.ended(result)
    wait_until(lambda: runs(server.uri, sweep.name)[2][0].data.tags["status"] == "max_epochs")
    assert len(lost) > 3
    assert listener.close({"trials": "1"}, failed=False, interrupted=False) == ""
    assert_whole(server.uri, [result], sweep.name)
    assert proxy.requests.count(CREATE) == 2, "a run that was made is not made again"


@pytest.mark.parametrize("held", [CREATE, LOG])
def test_requests_that_are_carried_out_after_they_were_repeated(
    server, proxy, sweep, config, records, monkeypatch, held
):
    """The client has long sent each again when the first ones come through."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    kept = []

    def holds(request, body):
        is_meant = request == held and (held == CREATE or b'"metrics"' in body)
        if is_meant and len(kept) < 3:
            kept.append(body)
            return True
        return False

    proxy.holds = holds
    proxy.open()
    listener = make_tracker(proxy.uri, sweep, records)
    listener.started(config)
    listener.reported(config, epoch(1))
    listener.reported(config, epoch(2))
    wait_until(lambda: logged_epochs(server, sweep.name) == [1, 2])
    assert len(kept) == 3
    proxy.release()
    found = runs(server.uri, sweep.name)
    assert held == LOG or len(found[1]) + len(found[2]) > 2, "nothing came late"
    result = records.trial(config.trial_id).write_result(ended(config))
    listener.ended(result)
    assert listener.close({"trials": "1"}, failed=False, interrupted=False) == ""
    assert_whole(server.uri, [result], sweep.name)


DRIVER = """
import logging, sys, time
logging.basicConfig(level=logging.DEBUG)
from sweeps.engine.records import SweepRecords
from sweeps.engine.records.storage import Folder
from sweeps.engine.tracking import make_tracker
from tests.sweeps.engine.tracking.tracked_sweeps import ended, epoch
records = SweepRecords(Folder(sys.argv[1]))
first, second = sorted(records.trials().values(), key=lambda config: config.seed)
tracker = make_tracker(sys.argv[2], records.read_sweep(), records, print)
tracker.started(first)
tracker.reported(first, epoch(1))
tracker.ended(records.trial(first.trial_id).write_result(ended(first)))
tracker.started(second)
tracker.reported(second, epoch(1))
if sys.argv[3] == "close":
    print(tracker.close({}, failed=False, interrupted=True))
else:
    time.sleep(600)
"""


@pytest.fixture
def two_trials(records, tmp_path, config):
    description = describe(name=tmp_path.name, tracking_uri="http://127.0.0.1:9", seeds=(0, 1))
    records.write_sweep(description)
    configs = [config, config.model_copy(update={"seed": 1})]
    for one in configs:
        records.trial(one.trial_id).write_config(one)
    return configs


def drive(records, uri, how, environment=None):
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, records.folder.uri, uri, how], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | (environment or {}),
    )  # fmt: skip


@pytest.mark.parametrize("is_up", [True, False])
def test_a_killed_driver_leaves_no_run_running_once_it_is_replayed(
    server, proxy, records, two_trials, is_up, tmp_path
):
    if is_up:
        proxy.open()
    process = drive(records, proxy.uri, "stay")
    if is_up:
        wait_until(lambda: len(runs_of(server, tmp_path)[2]) == 2)
        wait_until(lambda: logged_epochs(server, tmp_path.name) != [])
    else:
        assert process.stdout is not None and "takes nothing now" in process.stdout.readline()
        proxy.open()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    for _ in range(2):
        assert replay(records, proxy.uri).trials == 2
        client, (parent,), children = runs_of(server, tmp_path)
        status = {run.data.tags["seed"]: (run.info.status, run.data.tags["status"])
                  for run in children}  # fmt: skip
        assert status == {"0": ("FINISHED", "max_epochs"), "1": ("KILLED", "interrupted")}
        assert parent.info.status == "KILLED"
        assert all(all_points(client, run) is not None for run in children)
    # Resumed by another driver the same runs end.
    second = two_trials[1]
    listener = make_tracker(proxy.uri, records.read_sweep(), records)
    listener.started(second)
    listener.reported(second, epoch(1))
    listener.ended(records.trial(second.trial_id).write_result(ended(second)))
    assert listener.close({}, failed=False, interrupted=False) == ""
    assert_whole(server.uri, records.results(), tmp_path.name)


def runs_of(server, tmp_path):
    return runs(server.uri, tmp_path.name)


@pytest.mark.parametrize("is_up", [True, False])
def test_no_secret_is_logged_recorded_or_sent(server, proxy, records, two_trials, is_up, tmp_path):
    """Neither one in the URI nor one in the environment; the driver logs all that there is."""
    if is_up:
        proxy.open()
    uri = proxy.uri.replace("http://", "http://me:pa55word@")
    secrets = {"MLFLOW_TRACKING_TOKEN": "t0ken-of-mine", "MLFLOW_TRACKING_PASSWORD": "h1dden"}
    process = drive(records, uri, "close", secrets)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    assert ("replay" in out) == (not is_up)
    assert "DEBUG" in err, "nothing was logged, so that nothing was shown"
    replayed = subprocess.run(
        [sys.executable, "-m", "sweeps.engine.tracking", "replay", records.folder.uri, uri],
        cwd=ROOT, capture_output=True, text=True, timeout=120, env=os.environ | secrets,
    )  # fmt: skip
    assert replayed.returncode == (0 if is_up else 1), replayed.stderr
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    folder = Path(server.store.removeprefix("sqlite:///")).parent
    files |= {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert len(files) > 5
    texts = [out.encode(), err.encode(), replayed.stdout.encode(), replayed.stderr.encode()]
    for secret in (b"pa55word", *(secret.encode() for secret in secrets.values())):
        assert not [path for path, content in files.items() if secret in content]
        assert not [text for text in texts if secret in text]


def test_a_sweep_whose_server_comes_back_while_it_trains(server, proxy, tmp_path):
    """The whole command: Ray, three trials, one line to the person, everything in MLflow."""
    command = [
        sys.executable, str(ROOT / "sweeps/sigma_line_search.py"), "--sigmas", "0", "0.5", "1",
        "--seeds", "1", "--num-trials", "0", "--max-concurrent", "1", "--max-epochs", "8",
        "--training-images", "300", "--validation-images", "30", "--test-images", "30",
        "--start-epochs", "1", "--storage", "results", "--tracking-uri", proxy.uri,
        "--name", tmp_path.name,
    ]  # fmt: skip
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )  # fmt: skip
    sweep = tmp_path / "results" / tmp_path.name
    wait_until(lambda: list(sweep.glob("trials/*/result.json")) or process.poll() is not None, 180)
    assert process.poll() is None, process.communicate()
    began = len(list(sweep.glob("trials/*/result.json")))
    proxy.open()
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, out + err
    assert began < 3, "the server came back too late for this test"
    assert out.count("takes nothing now") == 1 and "Traceback" not in out + err
    assert "replay" not in out
    results = SweepRecords(Folder(str(sweep))).results()
    assert len(results) == 3
    assert_whole(server.uri, results, tmp_path.name)
    client, (parent,), _ = runs(server.uri, tmp_path.name)
    reported = {artifact.path for artifact in client.list_artifacts(parent.info.run_id, "report")}
    assert "report/report.html" in reported
    assert json.loads((sweep / "tracked.json").read_text())["trials"] == 3
    # As if the driver had been killed before MLflow had everything: the same command makes it up.
    client.delete_run(runs(server.uri, tmp_path.name)[2][0].info.run_id)
    (sweep / "tracked.json").unlink()
    for _ in range(2):
        before = len(proxy.requests)
        again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert again.returncode == 0, again.stdout + again.stderr
        assert "nothing to train" in " ".join(again.stdout.split())
        assert_whole(server.uri, results, tmp_path.name)
    assert len(proxy.requests) == before, "MLflow held everything, and got requests all the same"
