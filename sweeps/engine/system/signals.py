"""Ctrl-C, SIGTERM and SIGHUP end a sweep in good order; asked again, at once."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from sweeps.engine.system.exit_codes import INTERRUPTED
from sweeps.engine.system.provenance import repeat_command

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# `uv run` passes on what the terminal has sent to both: that is not a person asking twice.
ONE_PRESS_SECONDS = 0.5

_asked = threading.Event()


class _Asked:
    """When the sweep was first told to end, and what is said when it is told again."""

    first: float | None = None
    last_words = ""


def heed() -> None:
    """End this process at the first of these signals; what is ignored (``nohup``) stays so."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


def _end(signum: int, frame: FrameType | None) -> None:
    text = f"\nInterrupted. Carry on with:\n  {repeat_command()}\n"
    os.write(sys.stderr.fileno(), text.encode())
    os._exit(INTERRUPTED)


@contextmanager
def heeded(last_words: str = "") -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and SIGHUP raise KeyboardInterrupt while the block runs.

    A second one ends the process at once, with exit code 130: the records are whole at any moment.
    SIGHUP stays ignored where ``nohup`` has said so.

    Args:
        last_words: printed when that happens.
    """
    _asked.clear()
    _Asked.first, _Asked.last_words = None, last_words
    try:
        with _handled_by(_interrupt):
            yield
    finally:
        _Asked.first = None


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    is_nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    numbers = [number for number in SIGNALS if not (is_nohup and number == signal.SIGHUP)]
    previous = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, before in previous.items():
            signal.signal(number, before)


def take_back() -> None:
    """Install the handlers of this process again, from its main thread, once Ray has started.

    Ray's core puts one of its own before them. On SIGTERM that first looks up a stack trace, and
    aborts the process if this takes more than three seconds, as it does on a busy machine.
    """
    for number in SIGNALS:
        signal.signal(number, signal.getsignal(number))


def insist() -> None:
    """Raise KeyboardInterrupt if one was raised before and went on being ignored.

    Python drops what is raised in a destructor or in a callback from C, of which Ray has many.
    """
    if _asked.is_set():
        _asked.clear()
        raise KeyboardInterrupt


@contextmanager
def unwrapped() -> Iterator[None]:
    """Raise KeyboardInterrupt again for an error that a library made of one.

    Pydantic does so where one comes while it calls Python; Ray Tune then makes its own of that.
    """
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, KeyboardInterrupt):
            cause = cause.__cause__ or cause.__context__
        if cause is None:
            raise
        raise KeyboardInterrupt from error


@contextmanager
def held_back() -> Iterator[None]:
    """Let Ctrl-C and the like wait for the end of the block: raised in it, they abort torch's C++.

    A second one ends the process at once, as ever.

    Raises:
        KeyboardInterrupt: at the end, if one came.
    """
    came = False

    def wait(signum: int, frame: object) -> None:
        nonlocal came
        came = _is_first() or came

    with _handled_by(wait):
        yield
    if came:
        raise KeyboardInterrupt


def _interrupt(signum: int, frame: object) -> None:
    if _is_first():
        _asked.set()
        raise KeyboardInterrupt


def _is_first() -> bool:
    """Return whether the sweep is told to end for the first time; end it if it is the second."""
    if _Asked.first is None:
        _Asked.first = time.monotonic()
        return True
    if time.monotonic() - _Asked.first > ONE_PRESS_SECONDS:
        # Not by print: the signal may have come in the middle of another one.
        os.write(sys.stderr.fileno(), f"\n{_Asked.last_words}\n".encode())
        os._exit(INTERRUPTED)
    return False
