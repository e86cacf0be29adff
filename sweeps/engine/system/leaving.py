"""How a command ends: its exit code, and the message for bad input."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from sweeps.engine.system.errors import OutsideError, StorageError
from sweeps.engine.system.exit_codes import BAD_INPUT, INTERRUPTED, SOME_FAILED
from sweeps.engine.system.home import settle_home
from sweeps.engine.system.output import settle_output
from sweeps.engine.system.provenance import redact, repeat_command
from sweeps.engine.system.signals import handled_signals
from sweeps.engine.system.text import printable


class RefusedError(SystemExit):
    """The end of a command by bad input, of which every problem was printed."""

    def __init__(self, message: str) -> None:
        super().__init__(BAD_INPUT)
        self._message = message

    def __str__(self) -> str:
        return self._message


def refuse(problems: Sequence[str], outcome: str = "nothing was started") -> NoReturn:
    """Print every problem, without any password, and the outcome; exit with code 2."""
    lines = [f"  {printable(redact(problem))}" for problem in problems]
    count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
    message = "\n".join([f"{count}, {outcome}:", *lines])
    print(f"{message}\nTry --help.", file=sys.stderr)
    raise RefusedError(message)


def leave(main: Callable[[], int]) -> NoReturn:
    """Run the ``main`` of a sweep or a tool and end the process with its exit code.

    The code is 130 after Ctrl-C, SIGTERM or SIGHUP, whatever the process was doing. The process
    ends without the seconds that Ray's and MLflow's own exits take, and waits for no object store
    that does not answer: Ray is shut down and everything is written by then.
    """
    settle_output()
    settle_home()
    try:
        if sys.flags.optimize > 1:
            refuse(["python -OO: Ray needs the docstrings that it removes; leave the option out"])
        with handled_signals(lambda: f"Ended at once. Resume with:\n  {repeat_command()}"):
            code = main()
    except SystemExit as refused:
        code = refused.code if isinstance(refused.code, int) else 1
    except KeyboardInterrupt:
        print(f"\nInterrupted. Resume with:\n  {repeat_command()}", file=sys.stderr)
        code = INTERRUPTED
    except OutsideError as error:
        print(error, file=sys.stderr)
        code = BAD_INPUT
    except StorageError as error:
        print(f"\n{error}\nResume with:\n  {repeat_command()}", file=sys.stderr)
        code = SOME_FAILED
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
