"""Notice that a machine is about to be taken away: SIGTERM to the process of a trial.

Each trial puts up a sign for as long as it heeds that, so that whoever is warned of the machine's
end knows whom to tell, and when a trial has taken its checkpoint.
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
    """A trial that runs on this machine, and can be told.

    Attributes:
        folder: held until the trial has ended, or has taken its checkpoint.
        pid: of its process.
        trial_id: its name.
        node: Ray's name of the machine, if Ray started it.
    """

    folder: Path
    pid: int
    trial_id: str = ""
    node: str = ""

    def tell(self) -> None:
        """Tell the trial that its machine is about to be taken away."""
        with suppress(ProcessLookupError):
            if self.is_up:  # so that its process cannot be another one by now
                os.kill(self.pid, signal.SIGTERM)

    @property
    def is_up(self) -> bool:
        """Whether the trial goes on."""
        return is_held(self.folder)


def signs() -> Iterator[Sign]:
    """Yield the trials of this user that run on this machine and can be told."""
    for folder in living(PREFIX, _root()):
        try:
            yield Sign(folder, **json.loads((folder / SIGN).read_text()))
        except (OSError, ValueError, TypeError):  # being put up or taken down at this moment
            continue


def _root() -> Path:
    return Path(tempfile.gettempdir())


class Notice:
    """SIGTERM as a question that any thread may ask, as a context.

    Ray runs trials beside the main thread, and Python lets no other one install a handler. The one
    of ``faulthandler`` is installed by any: it writes to a file, here a pipe, and the process
    goes on. What was installed before it comes back when the block is left.

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
        except OSError as error:  # then the trial is not told, and works
            log.warning("trial %s can put up no sign: %s", self._trial_id, error)
        return self

    def __exit__(self, *exception: object) -> None:
        self._sign.close()
        faulthandler.unregister(signal.SIGTERM)
        os.close(self._reader)
        os.close(self._writer)

    def is_given(self) -> bool:
        """Whether the process was told to end since the block was entered; takes a microsecond."""
        return bool(select.select([self._reader], [], [], 0)[0])
