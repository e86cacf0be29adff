"""Notice that a machine is about to be taken away: SIGTERM to the process of a trial."""

import faulthandler
import os
import select
import signal
from typing import Self


class Notice:
    """SIGTERM as a question that any thread may ask, as a context.

    Ray runs trials beside the main thread, and Python lets no other one install a handler. The one
    of ``faulthandler`` is installed by any: it writes to a file, here a pipe, and the process
    goes on. What was installed before it comes back when the block is left.
    """

    def __enter__(self) -> Self:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)  # nobody reads it: a full one must not stop us
        faulthandler.register(signal.SIGTERM, file=self._writer, all_threads=False, chain=False)
        return self

    def __exit__(self, *exception: object) -> None:
        faulthandler.unregister(signal.SIGTERM)
        os.close(self._reader)
        os.close(self._writer)

    def is_given(self) -> bool:
        """Whether the process was told to end since the block was entered; takes a microsecond."""
        return bool(select.select([self._reader], [], [], 0)[0])
