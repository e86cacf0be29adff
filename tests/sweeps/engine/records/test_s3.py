"""Storage on S3: a real server (moto) on loopback, behind a proxy that fails on purpose."""

import http.client
import io
import itertools
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import Request, urlopen

import pyarrow.parquet as pq
import pytest

from gon_core.config import GNT, DataConfig, TrainingConfig, TrialConfig
from sweeps import sigma_line_search
from sweeps.engine.cli import command_line
from sweeps.engine.planning import plan
from sweeps.engine.records import Checkpoint, SweepRecords, TrialRecords, TrialResult, object_store
from sweeps.engine.records.storage import Folder
from sweeps.engine.system.errors import StorageError
from tests.s3_store import BUCKET, s3_store, uri
from tests.sweeps.engine.descriptions import describe
from tests.sweeps.engine.records.store_contract import LARGE, check_a_file

pytestmark = pytest.mark.system  # a real server, and seconds for each time that it fails
SCRIPT = Path(__file__).parents[4] / "sweeps/sigma_line_search.py"


class Proxy(ThreadingHTTPServer):
    """Passes requests on to a server, but for the next ``failures`` that are ``chosen``."""

    daemon_threads = True

    def __init__(self, server: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.server = server
        self.failures: list[int | str] = []  # HTTP status, or "cut"
        self.chosen: Callable[[str, str], bool] = lambda method, path: True
        self.seen: list[str] = []
        self.delay = 0.0  # seconds before each answer
        self.together = self.most_together = 0  # requests that wait for an answer
        self.lock = threading.Lock()

    def next_failure(self, method: str, path: str) -> int | str | None:
        with self.lock:
            self.seen.append(f"{method} {path}")
            return self.failures.pop(0) if self.failures and self.chosen(method, path) else None

    def handle_error(self, request, client_address):
        """Clients that disconnect are what is tested."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def log_message(self, format, *args):
        pass

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self) -> None:
        body = self._body()
        failure = self.server.next_failure(self.command, self.path)
        self._wait()
        if failure == "cut":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif failure is not None:
            self.send_response(int(failure))
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._pass_on(body)

    def _wait(self) -> None:
        server = self.server
        with server.lock:
            server.together += 1
            server.most_together = max(server.most_together, server.together)
        time.sleep(server.delay)
        with server.lock:
            server.together -= 1

    def _pass_on(self, body: bytes) -> None:
        own = ("transfer-encoding", "expect", "content-length", "connection", "date", "server")
        headers = {name: text for name, text in self.headers.items() if name.lower() not in own}
        connection = http.client.HTTPConnection(*self.server.server, timeout=30)
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for name, text in answer.getheaders():
            if name.lower() not in own:
                self.send_header(name, text)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else len(content)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(content)
        connection.close()

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _answer  # noqa: N815


@pytest.fixture(scope="module")
def moto():
    """A server with an empty bucket; host and port."""
    with s3_store() as address:
        yield address


@pytest.fixture
def proxy(moto):
    server = Proxy(moto)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def folder(proxy, request):
    """A fresh folder, reached through the proxy; its patience is 30 seconds."""
    found = Folder(uri(proxy.server_address), patience=30.0) / request.node.name
    assert found.names() == []
    proxy.seen.clear()
    return found


CONFIG = TrialConfig(
    method=GNT(sigma=0.5), data=DataConfig(), training=TrainingConfig(), start=None
)


def test_a_name_goes_before_the_parameters_of_a_uri(moto):
    storage = Folder(uri(moto))
    below = storage / "a sweep?" / "trials"
    assert below.path == f"{BUCKET}/some/sweeps/a sweep?/trials"
    assert below.location.endswith(storage.location.partition("?")[2])
    below.write("x.json", b"1")
    assert (storage / "a sweep?").names() == ["trials"] and storage.exists("a sweep?/trials/x.json")


@pytest.mark.parametrize("content", [b"", b"small", LARGE], ids=["empty", "small", "large"])
def test_a_file_comes_back_as_it_was_written(folder, content):
    check_a_file(folder, content)


def test_a_small_file_takes_one_request_and_a_large_one_is_read_in_one(folder, proxy):
    folder.write("small", b"1")
    assert len(proxy.seen) == 1
    folder.write("large", LARGE)
    proxy.seen.clear()
    folder.read("large")
    assert [line.split()[0] for line in proxy.seen] == ["HEAD", "GET"]


def test_credentials_may_come_from_the_environment(moto, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "from-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    storage = Folder(uri(moto, key="", more="")) / "environment"
    storage.write("a", b"1")
    assert storage.read("a") == b"1"


@pytest.mark.slow
@pytest.mark.parametrize("failure", [503, "cut", 500, 429])
def test_every_operation_outlasts_failures(folder, proxy, failure, monkeypatch):
    """Three in a row are more than the client itself would try."""
    monkeypatch.setattr(object_store, "FIRST_PAUSE", 0.01)
    folder.write("large", LARGE)
    (folder / "below").write("a", b"1")
    for operation in (
        lambda: folder.write("small", b"1"),
        lambda: folder.write("large", LARGE),
        lambda: folder.read("small"),
        lambda: folder.names(),
        lambda: folder.exists("small"),
        lambda: folder.remove("small"),
        lambda: (folder / "below").delete(),
    ):
        proxy.failures = [failure] * 3
        operation()
        assert proxy.failures == []
    assert folder.names() == ["large"] and folder.read("large") == LARGE


@pytest.mark.parametrize("failure", [400, 403, 404])
def test_what_asking_again_cannot_change_is_not_asked_again(folder, proxy, failure):
    folder.write("old", b"1")
    operations = [lambda: folder.write("small", b"1"), lambda: folder.write("large", LARGE)]
    if failure != 404:  # a folder that is not there has no names
        operations.append(lambda: folder.names())
    for operation in operations:
        proxy.failures, proxy.seen = [failure], []
        with pytest.raises(StorageError, match=r"^s3://\*\*\*@") as caught:
            operation()
        assert len(proxy.seen) == 1 and "\n" not in str(caught.value)
    assert folder.names() == ["old"]


def test_a_store_that_keeps_failing_is_abandoned_with_one_line(moto, proxy, caplog, monkeypatch):
    monkeypatch.setattr(object_store, "SAID_AFTER", 0.5)
    folder = Folder(uri(proxy.server_address), patience=3.0) / "abandoned"
    proxy.failures = [503] * 1000
    began = time.monotonic()
    with pytest.raises(StorageError) as caught:
        folder.write("file", b"1")
    assert time.monotonic() - began < 15
    assert "no success in" in caught.value.reason and "503" in caught.value.reason
    assert "\n" not in str(caught.value) and "secret" not in str(caught.value) + caplog.text
    assert len([record for record in caplog.records if "trying for up to" in record.message]) == 1
    again = pickle.loads(pickle.dumps(caught.value))  # as Ray sends it
    assert str(again) == str(caught.value) and again.reason == caught.value.reason


def test_the_pauses_grow_and_are_bounded(monkeypatch):
    pauses, clock = [], [0.0]

    def sleep(seconds):
        pauses.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr(object_store.time, "sleep", sleep)
    monkeypatch.setattr(object_store.time, "monotonic", lambda: clock[0])

    def fail():
        raise OSError("AWS Error SLOW_DOWN")

    with pytest.raises(StorageError, match="no success"):
        object_store.persist(fail, "s3://bucket/x", patience=120.0)
    assert pauses[:3] == [0.2, 0.4, 0.8] and max(pauses) == object_store.LONGEST_PAUSE
    assert 110 < sum(pauses) <= 120


REQUESTS = {
    "begin": lambda method, path: method == "POST" and "uploads" in path,
    "first part": lambda method, path: "partNumber=1&" in path,
    "last part": lambda method, path: "partNumber=2&" in path,
    "end": lambda method, path: method == "POST" and "uploadId=" in path,
}


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("failure", [400, pytest.param("cut", marks=pytest.mark.slow)])
def test_a_large_file_is_there_whole_or_not_at_all(folder, proxy, request_, failure):
    """Whichever of its requests fails for good; pyarrow alone would leave a part of it."""
    brief = Folder(folder.location, patience=0.0)
    folder.write("file", b"old")
    proxy.chosen, proxy.failures = REQUESTS[request_], [failure] * 100
    with pytest.raises(StorageError):
        brief.write("file", LARGE)
    assert len(proxy.failures) < 100
    assert folder.read("file") == b"old"
    proxy.failures = []
    time.sleep(0.3)  # nothing comes after it
    assert folder.read("file") == b"old" and folder.names() == ["file"]


def test_a_checkpoint_that_was_not_written_whole_gives_way_to_the_one_before(folder, proxy):
    def checkpoint(epoch):
        return Checkpoint(epoch, {"model.safetensors": b"%d" % epoch}, [{"epoch": float(epoch)}])

    trial = SweepRecords(Folder(folder.location, patience=0.0)).trial(CONFIG.trial_id)
    for epoch in (1, 2, 3):
        trial.write_checkpoint(checkpoint(epoch))
    assert (trial.folder / "checkpoints").names() == ["epoch-000002", "epoch-000003"]
    proxy.chosen = lambda method, path: method == "PUT" and "manifest.json" in path
    proxy.failures = [400]
    with pytest.raises(StorageError):
        trial.write_checkpoint(checkpoint(4))
    assert trial.latest_checkpoint() == checkpoint(3)


def test_a_store_that_is_away_is_not_taken_for_damaged_checkpoints(folder, proxy):
    """Else the trial would begin again at its first epoch."""
    trial = SweepRecords(Folder(folder.location, patience=0.0)).trial(CONFIG.trial_id)
    trial.write_checkpoint(Checkpoint(1, {"model.safetensors": b"1"}, [{"epoch": 1.0}]))
    proxy.chosen = lambda method, path: "manifest.json" in path
    proxy.failures = [503] * 100
    with pytest.raises(StorageError):
        trial.latest_checkpoint()


def test_records_are_the_same_as_on_a_local_disk(folder, tmp_path):
    for place in (folder, Folder(str(tmp_path / "local"))):
        sweep = SweepRecords(place)
        sweep.write_sweep(describe(name="x"))
        trial = sweep.trial(CONFIG.trial_id)
        trial.write_ask_index(0)
        trial.write_config(CONFIG)
        trial.write_checkpoint(Checkpoint(1, {"model.safetensors": b"1"}, [{"epoch": 1.0}]))
        result = TrialResult(trial_id=CONFIG.trial_id, config=CONFIG, status="max_epochs")
        written = trial.write_result(result, {"model.safetensors": b"weights"})
        assert written.files.keys() == {"model.safetensors"}
        assert sweep.read_sweep() == describe(name="x") and sweep.trials() == {
            CONFIG.trial_id: CONFIG
        }
        assert sweep.results() == [written] and trial.latest_checkpoint() is None
        assert trial.folder.names() == [
            "model.safetensors", "result.json", "trial.json", "turn.json",
        ]  # fmt: skip


@pytest.mark.slow
def test_many_trials_are_read_together(folder, proxy):
    sweep = SweepRecords(folder)
    ended, indices = [], {}
    for seed in range(30):
        config = CONFIG.model_copy(update={"seed": seed})
        trial = sweep.trial(config.trial_id)
        trial.write_config(config)
        trial.write_ask_index(indices.setdefault(config.trial_id, 30 - seed))
        result = TrialResult(trial_id=config.trial_id, config=config, status="max_epochs")
        if seed % 3:  # the others run still
            ended.append(trial.write_result(result))
    proxy.delay, proxy.most_together = 0.05, 0
    proxy.seen.clear()
    assert list(sweep.trials()) == sorted(indices, key=indices.__getitem__)
    assert sweep.results() == sorted(ended, key=lambda result: result.trial_id)
    assert 8 <= proxy.most_together <= 16
    files = [line for line in proxy.seen if "trial.json" in line or "turn.json" in line]
    assert len(proxy.seen) <= 2 * (30 + 30 + 30) + 2 and len(files) <= 2 * 60
    proxy.seen.clear()
    answers = dict(sweep.ask_each(TrialRecords.result, list(indices)))
    assert list(answers) == list(indices)
    assert [answer for answer in answers.values() if answer] == ended


def test_ctrl_c_does_not_wait_for_what_is_being_read(folder):
    sweep = SweepRecords(folder)
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        list(sweep.ask_each(lambda trial: time.sleep(5), [f"{number:012x}" for number in range(3)]))
    assert time.monotonic() - began < 4


def test_a_store_that_is_away_ends_the_reading_of_many_trials(folder, proxy):
    sweep = SweepRecords(Folder(folder.location, patience=0.5))
    for seed in range(30):
        config = CONFIG.model_copy(update={"seed": seed})
        sweep.trial(config.trial_id).write_config(config)
    proxy.chosen = lambda method, path: "trial.json" in path
    proxy.failures = [503] * 1000
    with pytest.raises(StorageError):
        sweep.trials()


# --- whole commands ------------------------------------------------------------------------------

SMALL = ("--training-images", "300", "--validation-images", "30", "--test-images", "30", "--seeds",
         "1", "--start-epochs", "1", "--max-epochs", "2", "--num-trials", "0", "--name", "small",
         "--sigmas", "0", "0.3", "0.6")  # fmt: skip


def command(storage: str) -> list[str]:
    return [sys.executable, str(SCRIPT), *SMALL, "--storage", storage]


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """Return a function: what a sweep is refused with, for this storage."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(object_store, "SHORT_PATIENCE", 1.0)

    def refuse(storage: str) -> str:
        began = time.monotonic()
        with pytest.raises(SystemExit) as ended:
            given = [*SMALL, "--storage", storage]
            command_line.parse(sigma_line_search.Options, "", given, check=plan.line_problems)
        assert time.monotonic() - began < 30
        said, message = capsys.readouterr()
        assert ended.value.code == 2 and said == "" and list(tmp_path.iterdir()) == []
        assert message.startswith("1 problem, nothing was started")
        (problem,) = [text for text in message.splitlines() if "--storage" in text]
        return problem

    return refuse


def test_a_bucket_that_does_not_exist_is_refused_before_anything_starts(moto, refused):
    problem = refused(uri(moto, bucket="nowhere"))
    assert "NO_SUCH_BUCKET" in problem and "nowhere" in problem


def test_a_key_without_permission_is_refused_before_anything_starts(moto, refused):
    reset = f"http://{moto[0]}:{moto[1]}/moto-api/reset-auth"

    def allow(requests: str) -> None:  # moto lets so many requests pass without looking at the key
        headers = {"Content-Type": "text/plain"}
        urlopen(Request(reset, requests.encode(), headers, method="POST")).read()

    allow("0")
    try:
        assert "INVALID_ACCESS_KEY_ID" in refused(uri(moto))
    finally:
        allow("inf")
    assert (Folder(uri(moto)) / "still").names() == []


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_bucket_that_may_only_be_written_is_refused(proxy, refused, method):
    proxy.chosen = lambda called, path: called == method
    proxy.failures = [403] * 100
    assert "ACCESS_DENIED" in refused(uri(proxy.server_address))


@pytest.mark.slow
def test_a_server_that_is_silent_is_refused_before_anything_starts(refused):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert "no success in" in refused(uri(silent.getsockname()))


def test_a_server_that_is_not_there_is_refused_before_anything_starts(refused):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = closed.getsockname()
    assert "Could not connect" in refused(uri(address))


TIMINGS = ("seconds", "ended", "created")


def table(folder: Folder) -> dict[str, list]:
    """Return the columns of results.parquet that are not about time."""
    found = pq.read_table(io.BytesIO(folder.read("results.parquet"))).to_pydict()
    return {
        name: column for name, column in found.items() if not any(word in name for word in TIMINGS)
    }


@pytest.mark.slow
def test_a_sweep_on_s3_whose_driver_is_killed_ends_like_one_on_a_local_disk(proxy, tmp_path):
    """And requests fail all the time: every seventh, as long as there are failures left."""
    surroundings = dict(os.environ)
    local = subprocess.run(
        command("results"), cwd=tmp_path, env=surroundings, capture_output=True, text=True,
        timeout=300,
    )  # fmt: skip
    assert local.returncode == 0, local.stdout + local.stderr

    storage = uri(proxy.server_address)
    sweep = Folder(storage) / "small"
    count = itertools.count()
    proxy.chosen = lambda method, path: next(count) % 7 == 6
    proxy.failures = [503, "cut"] * 20
    process = subprocess.Popen(
        [*command(storage), "--max-concurrent", "1"], cwd=tmp_path, env=surroundings,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 240
    while not SweepRecords(sweep).results():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.2)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    finished = {result.trial_id: result.ended for result in SweepRecords(sweep).results()}
    assert 1 <= len(finished) < 3

    ended = subprocess.run(
        command(storage), cwd=tmp_path, env=surroundings, capture_output=True, text=True,
        timeout=300,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert proxy.failures == [] and "Traceback" not in ended.stderr
    results = SweepRecords(sweep).results()
    assert len(results) == 3
    again = {result.trial_id: result.ended for result in results if result.trial_id in finished}
    assert again == finished  # no finished trial was trained again
    for result in results:
        assert [entry["epoch"] for entry in result.history] == [1.0, 2.0]
    on_disk = Folder(str(tmp_path / "results/small"))
    assert table(sweep) == table(on_disk) and len(table(sweep)) > 5
    for result in results:
        places = (on_disk, sweep)
        weights = {
            (place / "trials" / result.trial_id).read("model.safetensors") for place in places
        }
        assert len(weights) == 1
