"""Ctrl-C and SIGTERM: both end a sweep in good order."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_asked = threading.Event()


@contextmanager
def heeded() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM raise KeyboardInterrupt while the block runs."""
    _asked.clear()
    previous = {
        number: signal.signal(number, _interrupt) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def insist() -> None:
    """Raise KeyboardInterrupt if one was raised before and went on being ignored.

    Python drops what is raised in a destructor or in a callback from C, of which Ray has many.
    """
    if _asked.is_set():
        _asked.clear()
        raise KeyboardInterrupt


@contextmanager
def held_back() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait for the end of the block: raised in it, they abort torch's C++.

    Raises:
        KeyboardInterrupt: at the end, if one came.
    """
    came = []
    previous = {
        number: signal.signal(number, lambda number, frame: came.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt


def _interrupt(signum: int, frame: object) -> None:
    _asked.set()
    raise KeyboardInterrupt
