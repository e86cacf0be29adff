"""SIGTERM to the process of a trial, which runs beside the main thread."""

import os
import signal
import subprocess
import sys

TWO_BLOCKS = """
import os, signal, sys, threading, time
from sweeps.engine.notice import Notice

def work():
    for round in range(2):
        with Notice() as notice:
            assert not notice.is_given()
            print("working", flush=True)
            while not notice.is_given():
                time.sleep(0.01)
            assert notice.is_given(), "it stays given"
            print("noticed", flush=True)
    print("working", flush=True)
    time.sleep(60)

threading.Thread(target=work, daemon=True).start()
time.sleep(60)  # Ray's main thread waits for messages
"""


def test_a_thread_is_told_and_the_process_goes_on_until_the_block_is_left():
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
            for _ in range(1 + 3 * bool(expected)):  # who asks twice is told once
                os.kill(process.pid, signal.SIGTERM)
            assert process.stdout.readline().strip() == expected
        assert process.wait(timeout=30) == -signal.SIGTERM
        assert process.stderr is not None and process.stderr.read() == ""
