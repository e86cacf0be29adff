"""The steps of an evaluation: each is done once, and told when it is done."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from torch import nn

from gon_core.training import StoppedError
from sweeps.engine.records import Finding

# Seconds in which a step may come to its end once it was asked to stop: a machine that is taken
# away waits for 20 (``sweeps.engine.backend.preemption``), and a noise generator trains for longer.
PATIENCE = 10.0

Keep = Callable[[str, Finding], None]


def forget(step: str, finding: Finding) -> None:
    """Keep nothing."""


class Steps:
    """What the steps of the evaluation of one model have found.

    Args:
        done: what they found before, by their names.
        keep: told of each further one as soon as it is done.

    Attributes:
        found: by their names.
    """

    def __init__(self, done: Mapping[str, Finding] | None = None, keep: Keep = forget) -> None:
        self.found = dict(done or {})
        self._keep = keep
        self._since = time.perf_counter()
        self._is_between, self._told = True, None

    @property
    def seconds(self) -> float:
        """How long all steps that are done took."""
        return sum(finding.seconds for finding in self.found.values())

    def add(self, step: str, finding: Finding) -> None:
        """Take in what a step found, in the time since the one before."""
        now = time.perf_counter()
        finding = finding.model_copy(update={"seconds": now - self._since})
        self._since, self._is_between = now, True
        self.found[step] = finding
        self._keep(step, finding)

    def take(self, step: str, measure: Callable[[], Finding]) -> Finding:
        """Return what a step finds; ``measure`` does it if it is not done."""
        if step not in self.found:
            self.add(step, measure())
        return self.found[step]

    @contextmanager
    def heeding(self, model: nn.Module, stop: Callable[[], bool]) -> Iterator[None]:
        """Let the block end between two steps, or soon, once ``stop`` says so.

        Steps know of no listener; but all of them call the model.

        Raises:
            StoppedError: as ``stop`` said; what the step in hand had measured is lost.
        """
        asked = model.register_forward_pre_hook(lambda *forward: self._heed(stop))
        try:
            yield
        finally:
            asked.remove()

    def _heed(self, stop: Callable[[], bool]) -> None:
        is_between, self._is_between = self._is_between, False
        if self._told is None and stop():
            self._told = time.monotonic()
        if self._told is not None and (is_between or time.monotonic() - self._told > PATIENCE):
            raise StoppedError
