import os
import signal

import pytest

from sweeps.engine.interrupts import heeded, held_back, insist


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_that_was_swallowed_is_raised_again_once(number):
    with heeded():
        insist()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
        with pytest.raises(KeyboardInterrupt):
            insist()
        insist()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_waits_for_the_end_of_the_block(number):
    done = False
    with pytest.raises(KeyboardInterrupt), held_back():
        os.kill(os.getpid(), number)
        done = True
    assert done
