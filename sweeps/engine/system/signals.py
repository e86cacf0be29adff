"""Ctrl-C, SIGTERM and SIGHUP interrupt a sweep; a second signal ends it at once."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from sweeps.engine.system.exit_codes import INTERRUPTED
from sweeps.engine.system.provenance import repeat_command

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# `uv run` forwards what the terminal has sent to both: that is not a second key press.
ONE_PRESS_SECONDS = 0.5

_pending = threading.Event()  # a KeyboardInterrupt was raised and may have been dropped


@dataclass
class _First:
    at: float | None = None  # when the first signal came
    last_words: Callable[[], str] | None = str  # what a second one prints; None: it ends nothing
    answer: Callable[[], None] | None = None  # called at once, in a thread


_first = _First()


def end_on_signals() -> None:
    """End this process at the first of these signals; one that is ignored (``nohup``) stays so."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


def _end(signum: int, frame: FrameType | None) -> None:
    text = f"\nInterrupted. Resume with:\n  {repeat_command()}\n"
    os.write(sys.stderr.fileno(), text.encode())
    os._exit(INTERRUPTED)


@contextmanager
def handled_signals(last_words: Callable[[], str] | None = str) -> Iterator[None]:
    """Make Ctrl-C, SIGTERM and SIGHUP raise KeyboardInterrupt while the block runs.

    A second one prints ``last_words`` and ends the process at once, with exit code 130: the records
    are whole at any moment. Without any it raises KeyboardInterrupt again: the process belongs to
    somebody else. SIGHUP stays ignored under ``nohup``.
    """
    _pending.clear()
    _first.at, _first.last_words = None, last_words
    try:
        with _handled_by(_interrupt):
            yield
    finally:
        _first.at = None


@contextmanager
def answered_signals(answer: Callable[[], None]) -> Iterator[None]:
    """Call ``answer`` at once, in a thread of its own, at a first signal while the block runs."""
    _first.answer = answer
    try:
        yield
    finally:
        _first.answer = None


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # no other one can handle signals
        return
    is_nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    numbers = [number for number in SIGNALS if not (is_nohup and number == signal.SIGHUP)]
    previous = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, before in previous.items():
            signal.signal(number, before)


def reinstall_handlers() -> None:
    """Install the handlers of this process again, from its main thread, after Ray has started.

    Ray's core installs its own before them. On SIGTERM that one first looks up a stack trace, and
    aborts the process if this takes more than three seconds, as it does on a busy machine.
    """
    for number in SIGNALS:
        signal.signal(number, signal.getsignal(number))


def raise_pending_interrupt() -> None:
    """Raise KeyboardInterrupt if an earlier one was dropped.

    Python drops what is raised in a destructor or in a callback from C, of which Ray has many.
    """
    if _pending.is_set():
        _pending.clear()
        raise KeyboardInterrupt


@contextmanager
def as_keyboard_interrupt() -> Iterator[None]:
    """Raise KeyboardInterrupt for an error after a signal: a library may have made it of one.

    Pydantic wraps one that comes while it calls Python; Ray Tune then wraps that error again.
    """
    try:
        yield
    except Exception as error:
        if _first.at is None:
            raise
        raise KeyboardInterrupt from error


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Defer a first signal to the end of the block: raised in it, it would abort torch's C++.

    A second one ends the process at once, as always.

    Raises:
        KeyboardInterrupt: at the end of the block, if a signal came.
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
        _pending.set()
        raise KeyboardInterrupt


def _is_first() -> bool:
    """Return whether this is the first signal; end the process at a second one."""
    if _first.at is None:
        _first.at = time.monotonic()
        if _first.answer is not None:  # not here: the signal may have come while something prints
            threading.Thread(target=_first.answer, daemon=True).start()
        return True
    if time.monotonic() - _first.at > ONE_PRESS_SECONDS:
        if _first.last_words is None:
            raise KeyboardInterrupt
        # Not by print: the signal may have come in the middle of another one.
        os.write(sys.stderr.fileno(), f"\n{_first.last_words()}\n".encode())
        os._exit(INTERRUPTED)
    return False
