"""The steps of an evaluation: each is done once, and kept as soon as it is done."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from torch import nn

from gon_core.training import StoppedError
from sweeps.engine.records import Finding

# Seconds that a step may still take after the request to stop: a machine that is preempted waits
# for 20 (``sweeps.engine.backend.preemption``), and a noise generator trains for longer.
PATIENCE = 10.0

Keep = Callable[[str, Finding], None]


def forget(step: str, finding: Finding) -> None:
    """Keep nothing."""


class Steps:
    """What the steps of the evaluation of one model have found.

    Args:
        done: what they found before, by their names.
        keep: called with each further one as soon as it is done.

    Attributes:
        found: by their names.
        announce: called when something is measured, with what it is and what its forward passes
            are counted against.
    """

    def __init__(self, done: Mapping[str, Finding] | None = None, keep: Keep = forget) -> None:
        self.found = dict(done or {})
        self.announce: Callable[[str, str], None] = lambda name, of: None
        self._keep = keep
        self._since = time.perf_counter()
        self._is_between = True
        self._stopped_at: float | None = None

    @property
    def seconds(self) -> float:
        """How long all steps that are done took."""
        return sum(finding.seconds for finding in self.found.values())

    def add(self, step: str, finding: Finding) -> None:
        """Keep what a step found, in the time since the one before."""
        now = time.perf_counter()
        finding = finding.model_copy(update={"seconds": now - self._since})
        self._since, self._is_between = now, True
        self.found[step] = finding
        self._keep(step, finding)

    def begin(self, name: str, of: str = "batches") -> None:
        """Announce what is measured now."""
        self.announce(name, of)

    def take(
        self, step: str, find: Callable[[], Finding], name: str, of: str = "batches"
    ) -> Finding:
        """Return what a step found; if it is not done, announce it and call ``find``."""
        if step not in self.found:
            self.begin(name, of)
            self.add(step, find())
        return self.found[step]

    @contextmanager
    def stoppable(self, model: nn.Module, stop: Callable[[], bool]) -> Iterator[None]:
        """End the block between two steps, or soon, once ``stop`` returns true.

        It is checked whenever the model is called, which every step does.

        Raises:
            StoppedError: as ``stop`` said; what the current step had measured is lost.
        """
        hook = model.register_forward_pre_hook(lambda *forward: self._check(stop))
        try:
            yield
        finally:
            hook.remove()

    def _check(self, stop: Callable[[], bool]) -> None:
        is_between, self._is_between = self._is_between, False
        if self._stopped_at is None and stop():
            self._stopped_at = time.monotonic()
        if self._stopped_at is None:
            return
        if is_between or time.monotonic() - self._stopped_at > PATIENCE:
            raise StoppedError
