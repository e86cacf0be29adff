import ast
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pydantic import BaseModel, model_serializer

import sweeps
from sweeps.engine.cli.command_options import CommandOptions
from sweeps.engine.runs import session
from sweeps.engine.system.signals import (
    as_keyboard_interrupt,
    deferred_signals,
    handled_signals,
    raise_pending_interrupt,
)
from tests.s3_store import uri
from tests.sweeps.engine.descriptions import describe


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_that_was_swallowed_is_raised_again_once(number):
    with handled_signals():
        raise_pending_interrupt()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
        with pytest.raises(KeyboardInterrupt):
            raise_pending_interrupt()
        raise_pending_interrupt()


def test_an_interrupt_that_a_library_made_an_error_of_is_one_again():
    class Interrupted(BaseModel):
        @model_serializer
        def interrupt(self):
            os.kill(os.getpid(), signal.SIGINT)

    def scheduler():
        try:
            Interrupted().model_dump()
        except ValueError:  # pydantic's, for whatever was raised
            raise RuntimeError("as Ray Tune does") from None

    with pytest.raises(KeyboardInterrupt), handled_signals(), as_keyboard_interrupt():
        scheduler()


def test_an_error_that_no_interrupt_caused_stays_what_it_is():
    with pytest.raises(ZeroDivisionError), as_keyboard_interrupt():
        raise ZeroDivisionError


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_waits_for_the_end_of_the_block(number):
    done = False
    with pytest.raises(KeyboardInterrupt), handled_signals(), deferred_signals():
        os.kill(os.getpid(), number)
        done = True
    assert done


SIGNALLED = """
import os, signal, sys, time
from sweeps.engine.system.leaving import leave
from sweeps.engine.system.signals import deferred_signals
def main():
    if sys.argv[1] == "importing":
        with deferred_signals():
            interrupt()
    else:
        interrupt()
def interrupt():
    for _ in range(int(sys.argv[2])):
        os.kill(os.getpid(), int(sys.argv[3]))
        time.sleep(0.7)
leave(main)
"""


@pytest.mark.system
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(
    ("where", "presses"), [("anywhere", 1), ("importing", 1), ("importing", 2)]
)
def test_whatever_a_sweep_does_a_signal_ends_it(number, where, presses):
    command = [sys.executable, "-c", SIGNALLED, where, str(presses), str(int(number))]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    words = "Interrupted" if presses == 1 else "Ended at once"
    assert ended.returncode == 130 and f"{words}. Resume with:" in ended.stderr, ended
    assert "Traceback" not in ended.stderr


@pytest.mark.system
def test_nohup_keeps_its_word():
    command = ["nohup", sys.executable, "-c", SIGNALLED, "anywhere", "1", str(int(signal.SIGHUP))]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "Interrupted" not in ended.stderr, ended


def test_an_interrupt_while_the_report_is_made_leaves_no_run_running(monkeypatch):
    class Listening:
        closed = None

        def close(self, summary, failed, interrupted):
            self.closed = interrupted

    def interrupt(self, tracker, interrupted):
        raise KeyboardInterrupt

    listening = Listening()
    monkeypatch.setattr(session, "make_tracker", lambda *_: listening)
    monkeypatch.setattr(session.Session, "_report", interrupt)
    with pytest.raises(KeyboardInterrupt):
        session.Session(None, describe(), CommandOptions(), None).run()
    assert listening.closed


STUBBORN = """
import os, signal, sys, time
from sweeps.engine.system.signals import handled_signals
with handled_signals(lambda: "last words"):
    for pause in map(float, sys.argv[1:]):
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(pause)
        except KeyboardInterrupt:
            print("asked", flush=True)
            time.sleep(pause)
print("left", flush=True)
"""


def run_stubborn(*pauses):
    command = [sys.executable, "-c", STUBBORN, *map(str, pauses)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.system
def test_at_a_second_signal_the_process_ends_at_once_with_its_last_words():
    ended = run_stubborn(0.7, 30)
    assert ended.returncode == 130
    assert ended.stdout == "asked\n" and ended.stderr == "\nlast words\n"


@pytest.mark.system
def test_one_press_that_arrives_twice_is_one():
    ended = run_stubborn(0.01, 0.01)
    assert ended.returncode == 0 and ended.stdout == "asked\nleft\n"


TOOLS = ("report", "records check", "tracking replay")


@pytest.mark.slow
@pytest.mark.parametrize("tool", TOOLS)
def test_a_tool_that_waits_for_a_silent_store_ends_at_a_signal(tool):
    """It takes the question and never answers, as a store whose network is gone."""
    package, *command = tool.split()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        words = ["-m", f"sweeps.engine.{package}", *command, uri(silent.getsockname())]
        process = subprocess.Popen(
            [sys.executable, *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            asked, _ = silent.accept()  # so it is past its imports, and waits
            with asked:
                time.sleep(0.5)
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 130 and not out
    assert "Traceback" not in err and "secret" not in err
    said, again = err.strip().splitlines()
    assert said == "Interrupted. Resume with:"
    assert shlex.split(again)[:-1] == ["uv", "run", "python", *words[:-1]]


SCRIPTS = list(Path(sweeps.__file__).parent.glob("[!_]*.py"))


@pytest.mark.system
@pytest.mark.parametrize(
    ("script", "name"),
    [*((path, "SIGINT") for path in SCRIPTS), (SCRIPTS[0], "SIGTERM"), (SCRIPTS[0], "SIGHUP")],
    ids=lambda value: value if isinstance(value, str) else value.stem,
)
def test_a_signal_before_a_script_has_loaded_says_how_to_resume(script, name):
    """The second thing that a script imports, whatever it is, stands for all that follow."""
    _, first, following, *_ = ast.parse(script.read_text()).body
    assert isinstance(first, ast.If) and isinstance(following, ast.ImportFrom)
    lines = script.read_text().splitlines()
    lines.insert(following.lineno - 1, f"import os, signal; os.kill(os.getpid(), signal.{name})")
    code = f"import sys; sys.argv = ['sweeps/{script.name}', '--seeds', '1']\n"
    code += f"__name__ = '__main__'\nexec(compile({chr(10).join(lines)!r}, 'script', 'exec'))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 130 and not ended.stdout
    again = f"uv run python sweeps/{script.name} --seeds 1"
    assert ended.stderr == f"\nInterrupted. Resume with:\n  {again}\n"


@pytest.mark.system
def test_what_is_ignored_stays_ignored_before_a_script_has_loaded():
    code = """
import os, signal
from sweeps.engine.system.signals import end_on_signals
signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
end_on_signals()
os.kill(os.getpid(), signal.SIGHUP)
print("continues")
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0 and ended.stdout == "continues\n"
