"""The steps of an evaluation: each is done once, kept as soon as it is done, and reported.

A step may run for minutes and reports nothing itself. Each calls the model, so that its calls are
counted, and the evaluation is stopped at one of them.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from torch import nn

from gon_core.training import StoppedError
from sweeps.engine.records import Finding

# Seconds that a step may still take after the request to stop: a machine that is preempted waits
# for 20 (``sweeps.engine.backend.preemption``), and a noise generator trains for longer.
PATIENCE = 10.0
SHOW_SECONDS = 1.0  # between two words on how far it is
REPORT_SECONDS = 10.0  # between two lines about the same measure


class Steps:
    """What the steps of the evaluation of one model have found.

    Args:
        done: what they found before, by their names.
        keep: called with each further one as soon as it is done.
        stop: whether to end between two steps, or soon.
        notify: called with a line when a measure begins, then every ten seconds.
        show: called with a few words on how far it is, at most once a second.
        clock: seconds, from any start.

    Attributes:
        found: by their names.
    """

    def __init__(
        self,
        done: Mapping[str, Finding] | None = None,
        keep: Callable[[str, Finding], None] = lambda step, finding: None,
        stop: Callable[[], bool] = lambda: False,
        notify: Callable[[str], None] = lambda line: None,
        show: Callable[[str], None] = lambda words: None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.found = dict(done or {})
        self._keep, self._stop, self._notify, self._clock = keep, stop, notify, clock
        self._show, self._shown = show, -math.inf
        self._name, self._added, self._parts = "", 0, 0
        self._since = self._begun = self._reported = clock()
        self._calls, self._of = 0, "batches"
        self._is_between = True
        self._stopped_at: float | None = None

    @property
    def seconds(self) -> float:
        """How long all steps that are done took."""
        return sum(finding.seconds for finding in self.found.values())

    def add(self, step: str, finding: Finding) -> None:
        """Keep what a step found, in the time since the one before."""
        now = self._clock()
        finding = finding.model_copy(update={"seconds": now - self._since})
        self._since, self._is_between = now, True
        self.found[step] = finding
        self._keep(step, finding)
        self._added += 1
        if self._parts:
            self._show_often(f"{self._added}/{self._parts}")

    def begin(self, name: str, of: str = "batches", parts: int = 0) -> None:
        """Report that a measure begins.

        Args:
            name: what it is.
            of: what stands behind the number of calls, for example ``of at most 10,000 steps``.
            parts: how many steps it has, where there are several.
        """
        self._name, self._added, self._parts = name, 0, parts
        self._show_often(f"0/{parts}" if parts else name)
        self._begun = self._reported = self._clock()
        self._calls, self._of = 0, of
        self._notify(name)

    def take(
        self, step: str, find: Callable[[], Finding], name: str, of: str = "batches"
    ) -> Finding:
        """Return what a step found; if it is not done, ``begin`` it and call ``find``."""
        if step not in self.found:
            self.begin(name, of)
            self.add(step, find())
        return self.found[step]

    def passed(self) -> None:
        """Count a call that a GPU replayed as a part of a graph: the model's hooks do not see it.

        Raises:
            StoppedError: as in ``watching``.
        """
        self._count()
        self._check()

    @contextmanager
    def watching(self, model: nn.Module) -> Iterator[None]:
        """Count and report the calls of ``model`` while the block runs, and stop at one of them.

        Raises:
            StoppedError: as ``stop`` said; what the current step had measured is lost.
        """
        before = model.register_forward_pre_hook(lambda *call: self._check())
        after = model.register_forward_hook(lambda *call: self._count())
        try:
            yield
        finally:
            before.remove()
            after.remove()

    def _check(self) -> None:
        is_between, self._is_between = self._is_between, False
        if self._stopped_at is None and self._stop():
            self._stopped_at = self._clock()
        if self._stopped_at is None:
            return
        if is_between or self._clock() - self._stopped_at > PATIENCE:
            raise StoppedError

    def _show_often(self, words: str) -> None:
        if (now := self._clock()) - self._shown >= SHOW_SECONDS:
            self._shown = now
            self._show(words)

    def _count(self) -> None:
        self._calls += 1
        now = self._clock()
        if not self._parts:
            self._show_often(f"{self._name}, {self._calls:,} {self._of}")
        if now - self._reported >= REPORT_SECONDS:
            self._reported = now
            self._notify(f"  {self._calls:,} {self._of}, {now - self._begun:.0f} s")
