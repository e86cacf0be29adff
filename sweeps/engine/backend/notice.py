"""Notice that a machine will be taken away: SIGTERM to the process of a trial.

Each trial writes a sign, a small file, for as long as it handles that signal. So the process that
learns that the machine will end knows which trials to notify, and when they saved a checkpoint.
"""

import faulthandler
import json
import logging
import os
import select
import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sweeps.engine.system.temporary_folder import TemporaryFolder, is_held, living

PREFIX, SIGN = "gon-trial-", "sign.json"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sign:
    """A trial that runs on this machine, and can be notified.

    Attributes:
        folder: locked until the trial has ended, or has saved its checkpoint.
        pid: of its process.
        trial_id: of the trial.
        node: Ray's name of the machine, if Ray started it.
    """

    folder: Path
    pid: int
    trial_id: str = ""
    node: str = ""

    def notify(self) -> None:
        """Notify the trial that its machine will be taken away."""
        with suppress(ProcessLookupError):
            if self.is_up:  # so that no other process can have its pid by now
                os.kill(self.pid, signal.SIGTERM)

    @property
    def is_up(self) -> bool:
        """Whether the trial still runs."""
        return is_held(self.folder)


def signs() -> Iterator[Sign]:
    """Yield the trials of this user that run on this machine and can be notified."""
    for folder in living(PREFIX, _root()):
        try:
            yield Sign(folder, **json.loads((folder / SIGN).read_text()))
        except (OSError, ValueError, TypeError):  # being written or removed at this moment
            continue


def _root() -> Path:
    return Path(tempfile.gettempdir())


class Notice:
    """Whether SIGTERM came, for any thread to look at, as a context.

    Ray runs trials in other threads than the main one, and only the main thread may install a
    handler in Python. ``faulthandler`` installs its own from any thread: it writes to a file, here
    a pipe, and the process continues. The handler before it is restored when the block is left.

    Args:
        trial_id: for the sign.
        node: for the sign.
    """

    def __init__(self, trial_id: str = "", node: str = "") -> None:
        self._trial_id, self._node = trial_id, node

    def __enter__(self) -> Self:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)  # nobody reads it: a full one must not stop us
        faulthandler.register(signal.SIGTERM, file=self._writer, all_threads=False, chain=False)
        self._sign = ExitStack()
        try:
            folder = self._sign.enter_context(TemporaryFolder(PREFIX, _root())).path
            said = {"pid": os.getpid(), "trial_id": self._trial_id, "node": self._node}
            (folder / SIGN).write_text(json.dumps(said))
        except OSError as error:  # then the trial is not notified, but runs
            log.warning(
                "trial %s cannot write its sign, and will not be notified: %s",
                self._trial_id,
                error,
            )
        return self

    def __exit__(self, *exception: object) -> None:
        self._sign.close()
        faulthandler.unregister(signal.SIGTERM)
        os.close(self._reader)
        os.close(self._writer)

    def is_given(self) -> bool:
        """Whether SIGTERM came since the block was entered; takes a microsecond."""
        return bool(select.select([self._reader], [], [], 0)[0])
