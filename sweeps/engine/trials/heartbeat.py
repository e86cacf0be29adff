"""What is being measured of a model, told as it begins, and while it lasts every ten seconds."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import nn

SECONDS = 10.0  # between two lines about the same measure

Tell = Callable[[str], None]


def silent(text: str) -> None:
    """Tell nobody."""


class Heartbeat:
    """Tells how far the measures are.

    Each is a function that returns minutes later and knows of no listener; but all of them call the
    model, so that its calls are what there is to count.

    Args:
        tell: takes a line.
        clock: seconds, from any start.
    """

    def __init__(self, tell: Tell, clock: Callable[[], float] = time.monotonic) -> None:
        self._tell = tell
        self._clock = clock
        self._begun = self._told = clock()
        self._calls, self._of = 0, "batches"

    def begin(self, name: str, of: str = "batches") -> None:
        """Tell that a measure begins.

        Args:
            name: what it is.
            of: what stands behind the number of calls, for example ``of at most 10,000 steps``.
        """
        self._begun = self._told = self._clock()
        self._calls, self._of = 0, of
        self._tell(name)

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
        if now - self._told >= SECONDS:
            self._told = now
            self._tell(f"  {self._calls:,} {self._of}, {now - self._begun:.0f} s")
