"""Ctrl-C, SIGTERM and SIGHUP while a script still loads its modules: one line, and exit code 130.

A script calls ``heed`` before it imports anything else; ``interrupts`` takes over once it runs. By
itself Python would print in which import it was.
"""

import os
import signal
import sys
from types import FrameType

from sweeps.engine.exit_codes import INTERRUPTED
from sweeps.engine.provenance import repeat_command

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def heed() -> None:
    """End this process at the first of these signals; what is ignored (``nohup``) stays so."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


def _end(signum: int, frame: FrameType | None) -> None:
    text = f"\nInterrupted. Carry on with:\n  {repeat_command()}\n"
    os.write(sys.stderr.fileno(), text.encode())
    os._exit(INTERRUPTED)
