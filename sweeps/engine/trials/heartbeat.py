"""Progress of an evaluation: a line when a measure begins, then one every ten seconds."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import nn

SECONDS = 10.0  # between two lines about the same measure


def silent(text: str) -> None:
    """Print nothing."""


class Heartbeat:
    """Reports how far an evaluation is.

    A measure may run for minutes and reports nothing itself. All of them call the model, so that
    its calls are counted.

    Args:
        notify: called with a line.
        clock: seconds, from any start.
    """

    def __init__(
        self, notify: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._notify = notify
        self._clock = clock
        self._begun = self._last = clock()
        self._calls, self._of = 0, "batches"

    def begin(self, name: str, of: str = "batches") -> None:
        """Report that a measure begins.

        Args:
            name: what it is.
            of: what stands behind the number of calls, for example ``of at most 10,000 steps``.
        """
        self._begun = self._last = self._clock()
        self._calls, self._of = 0, of
        self._notify(name)

    @contextmanager
    def listening(self, model: nn.Module) -> Iterator[None]:
        """Count the calls of ``model`` while the block runs."""
        handle = model.register_forward_hook(lambda module, images, logits: self._beat())
        try:
            yield
        finally:
            handle.remove()

    def _beat(self) -> None:
        self._calls += 1
        now = self._clock()
        if now - self._last >= SECONDS:
            self._last = now
            self._notify(f"  {self._calls:,} {self._of}, {now - self._begun:.0f} s")
