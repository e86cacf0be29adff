import os
import signal
import subprocess
import sys

import pytest
from pydantic import BaseModel, model_serializer

from sweeps.engine.interrupts import heeded, held_back, insist, unwrapped


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_that_was_swallowed_is_raised_again_once(number):
    with heeded():
        insist()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
        with pytest.raises(KeyboardInterrupt):
            insist()
        insist()


def test_an_interrupt_that_a_library_made_an_error_of_is_one_again():
    class Told(BaseModel):
        @model_serializer
        def told(self):
            os.kill(os.getpid(), signal.SIGINT)

    def scheduler():
        try:
            Told().model_dump()
        except ValueError:  # pydantic's, for whatever was raised
            raise RuntimeError("as Ray Tune does") from None

    with pytest.raises(KeyboardInterrupt), heeded(), unwrapped():
        scheduler()


def test_an_error_that_no_interrupt_caused_stays_what_it_is():
    with pytest.raises(ZeroDivisionError), unwrapped():
        raise ZeroDivisionError


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_waits_for_the_end_of_the_block(number):
    done = False
    with pytest.raises(KeyboardInterrupt), held_back():
        os.kill(os.getpid(), number)
        done = True
    assert done


STUBBORN = """
import os, signal, sys, time
from sweeps.engine.interrupts import heeded
with heeded("last words"):
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


def test_asked_a_second_time_the_process_ends_at_once_with_its_last_words():
    ended = run_stubborn(0.7, 30)
    assert ended.returncode == 130
    assert ended.stdout == "asked\n" and ended.stderr == "\nlast words\n"


def test_one_press_that_arrives_twice_is_one():
    ended = run_stubborn(0.01, 0.01)
    assert ended.returncode == 0 and ended.stdout == "asked\nleft\n"
