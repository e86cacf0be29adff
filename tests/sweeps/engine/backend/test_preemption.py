"""What a machine does that is warned of its end; the clouds are servers on loopback."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from sweeps.engine.backend import preemption
from tests.sweeps.engine.backend.test_notice import SIGN

pytestmark = pytest.mark.system

STARTED_AGAIN = """
import os, time
from sweeps.engine.backend.preemption import sigterm_notice
print("up", flush=True)
while not os.path.exists({when!r}):
    time.sleep(0.01)
"""
DEAF = SIGN.replace("notice()", "False")


@pytest.fixture
def trials(tmp_path, monkeypatch):
    """Return a function that starts a process with the sign of a trial."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    started = []

    def start(code=SIGN):
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True,
            env=os.environ | {"TMPDIR": str(tmp_path)},
        )  # fmt: skip
        started.append(process)
        assert process.stdout is not None and process.stdout.readline() == "up\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def ray(monkeypatch):
    """Return a function that says what ``ray drain-node`` does."""

    def does(code):
        def drain(seconds, node):
            return subprocess.Popen(
                [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True,
            )  # fmt: skip

        monkeypatch.setattr(preemption, "_drain", drain)

    does("")
    return does


def test_trials_are_notified_before_ray_is_queried(trials, ray, monkeypatch, capsys):
    process = trials()
    asked = []

    def drain(seconds, node):
        said = capsys.readouterr().out
        assert process.stdout.readline() == "down\n"  # it does not wait for the query to Ray
        asked.append(said)
        return subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE, text=True)

    monkeypatch.setattr(preemption, "_drain", drain)
    assert preemption.notify(30.0)
    assert asked == [f"trial a trial notified (process {process.pid})\n"]


LATER = pytest.param("import time; time.sleep(2)", id="later", marks=pytest.mark.slow)


@pytest.mark.parametrize("answers", [pytest.param("", id="at once"), LATER])
def test_a_trial_that_ray_restarts_meanwhile_is_notified_too(answers, trials, ray, capsys):
    ray(answers)
    again = os.path.join(tempfile.gettempdir(), "again")
    first, second = trials(), trials(STARTED_AGAIN.format(when=again) + SIGN)

    def start():
        assert first.stdout.readline() == "down\n"
        open(again, "w").close()

    starting = threading.Thread(target=start)
    starting.start()
    assert preemption.notify(30.0)
    starting.join()
    said = capsys.readouterr().out
    assert all(f"notified (process {process.pid})" in said for process in (first, second))
    assert said.endswith("2 of 2 trials saved a checkpoint and ended\n")


def test_a_machine_without_trials_waits_for_none(trials, ray, monkeypatch):
    monkeypatch.setattr(preemption, "LATECOMER", 25.0)
    began = time.monotonic()
    assert preemption.notify(30.0)
    assert time.monotonic() - began < preemption.LATECOMER


def test_it_ends_in_time_whatever_hangs(trials, ray):
    ray("import time; time.sleep(60)")
    trials(DEAF)
    began = time.monotonic()
    assert not preemption.notify(2.0)
    assert time.monotonic() - began < 12


def test_every_trial_is_notified_and_its_checkpoint_waited_for(trials, ray, capsys):
    processes = [trials(), trials()]
    assert preemption.notify(30.0)
    said = capsys.readouterr().out
    assert all(f"trial a trial notified (process {process.pid})" in said for process in processes)
    assert said.endswith("2 of 2 trials saved a checkpoint and ended\n")


def test_trials_of_another_machine_are_not_told(trials, ray, capsys):
    process = trials()
    assert preemption.notify(30.0, node="another")
    assert capsys.readouterr().out == "0 of 0 trials saved a checkpoint and ended\n"
    assert process.poll() is None


def test_a_trial_that_takes_too_long_is_named(trials, ray, capsys):
    trials(DEAF)
    assert not preemption.notify(0.5)
    assert "trial a trial still runs" in capsys.readouterr().out


@pytest.mark.slow
def test_a_ray_that_refuses_or_is_silent_keeps_no_trial_from_being_told(trials, ray, capsys):
    for code, reason in (
        ("print('no Ray here'); raise SystemExit(1)", "no Ray here"),
        ("import time; time.sleep(60)", "it did not answer in time"),
    ):
        ray(code)
        trials()
        assert preemption.notify(2.0)
        said = capsys.readouterr().out
        assert f"Ray may still start trials on this machine: {reason}" in said
        assert "1 of 1 trials saved a checkpoint and ended" in said


class Cloud(BaseHTTPRequestHandler):
    answers: ClassVar[dict] = {}

    def do_PUT(self):
        assert self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
        self.answer("a token")

    def do_GET(self):
        header = (self.headers["X-aws-ec2-metadata-token"], self.headers["Metadata-Flavor"])
        assert header in (("a token", None), (None, "Google"))
        self.answer(self.answers[self.path])

    def answer(self, text):
        self.send_response(404 if text is None else 200)
        self.end_headers()
        self.wfile.write((text or "").encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def cloud():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Cloud)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


NOTICE = json.dumps({"action": "terminate", "time": "2026-11-24T12:00:00Z"})


@pytest.mark.parametrize(
    "name, path, stays, goes",
    [
        ("aws", "/latest/meta-data/spot/instance-action", None, NOTICE),
        ("gcp", "/computeMetadata/v1/instance/preempted", "FALSE", "TRUE"),
    ],
)
def test_a_cloud_is_asked_until_it_says_that_the_machine_goes(
    name, path, stays, goes, cloud, monkeypatch
):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")  # it is not for us
    asked = []

    def warned():
        Cloud.answers[path] = stays if len(asked) < 3 else goes
        asked.append(1)
        return preemption.WARNED[name](cloud)

    assert preemption.watch(warned, every=0.01) == goes
    assert len(asked) == 4


def test_a_cloud_that_does_not_answer_is_asked_again_and_said_once(capsys):
    left = [5]

    def warned():
        left[0] -= 1
        return preemption.warned_by_gcp("http://127.0.0.1:1") if left[0] else "TRUE"

    assert preemption.watch(warned, every=0.01) == "TRUE"
    assert capsys.readouterr().out.count("the cloud does not say") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("watch",),
        ("watch", "azure"),
        ("notify", "--seconds", "nan"),
        ("notify", "--seconds", "x"),
    ],
)
def test_bad_arguments_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as refused:
        preemption.main(arguments)
    assert refused.value.code == 2 and "preemption" in capsys.readouterr().err
