"""SIGTERM to the process of a trial, which runs beside the main thread."""

import os
import signal
import subprocess
import sys
import tempfile

import pytest

from sweeps.engine.backend.preemption import signs, sigterm_notice

TWO_BLOCKS = """
import os, signal, sys, threading, time
from sweeps.engine.backend.preemption import sigterm_notice

def work():
    for round in range(2):
        with sigterm_notice() as notice:
            assert not notice()
            print("working", flush=True)
            while not notice():
                time.sleep(0.01)
            assert notice(), "it stays given"
            print("noticed", flush=True)
    print("working", flush=True)
    time.sleep(60)

threading.Thread(target=work, daemon=True).start()
time.sleep(60)  # Ray's main thread waits for messages
"""


@pytest.mark.system
def test_a_thread_is_notified_and_the_process_runs_until_the_block_is_left():
    process = subprocess.Popen(
        [sys.executable, "-c", TWO_BLOCKS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        for expected in ("noticed", "noticed", ""):
            assert process.stdout.readline() == "working\n"
            for _ in range(1 + 3 * bool(expected)):  # a second call returns the same notice
                os.kill(process.pid, signal.SIGTERM)
            assert process.stdout.readline().strip() == expected
        assert process.wait(timeout=30) == -signal.SIGTERM
        assert process.stderr is not None and process.stderr.read() == ""


SIGN = """
import threading, time
from sweeps.engine.backend.preemption import sigterm_notice

with sigterm_notice("a trial", "a node") as notice:
    print("up", flush=True)
    while not notice():
        time.sleep(0.01)
print("down", flush=True)
time.sleep(60)
"""


@pytest.mark.system
def test_a_trial_puts_up_a_sign_by_which_it_can_be_told(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    process = subprocess.Popen(
        [sys.executable, "-c", SIGN], stdout=subprocess.PIPE, text=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert list(signs()) == []
    with process:
        assert process.stdout is not None and process.stdout.readline() == "up\n"
        (sign,) = signs()
        assert (sign.pid, sign.trial_id, sign.node) == (process.pid, "a trial", "a node")
        assert sign.is_up
        sign.notify()
        assert process.stdout.readline() == "down\n"
        assert not sign.is_up and list(signs()) == [] and not list(tmp_path.iterdir())
        sign.notify()  # it could not bear it now
        assert process.poll() is None
        process.kill()


@pytest.mark.system
def test_the_sign_of_a_killed_trial_is_down(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    process = subprocess.Popen(
        [sys.executable, "-c", SIGN], stdout=subprocess.PIPE, text=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )  # fmt: skip
    with process:
        assert process.stdout is not None and process.stdout.readline() == "up\n"
        process.kill()
    assert len(list(tmp_path.iterdir())) == 1 and list(signs()) == []


def test_where_no_sign_can_be_put_up_the_trial_works(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with sigterm_notice("a trial") as notice:
        assert not notice()
    assert "cannot write its sign" in caplog.text
