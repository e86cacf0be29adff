"""What a person sees while a sweep runs: a live table, or plain lines without a terminal."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gon_core.config import TrialConfig
from search_spaces.parameter import Point
from sweeps.engine.planning.plan import Plan
from sweeps.engine.records import VALIDATION_METRIC, TrialResult
from sweeps.engine.system.text import duration, show

SHOWN_ENDED, SHOWN_RUNNING = 6, 24  # trials in the live table, so that it fits a screen
MIXED = "validation (mixed)"
TWO_ACCURACIES = (
    f"{MIXED}: each validation image under one corruption, after every epoch. objective: the final "
    "model's mean over all corruptions of all validation images, which the search looks at."
)
WAITING = "waiting"  # for a machine
STYLES = {
    WAITING: "dim", "running": "cyan", "converged": "green", "max_epochs": "green",
    "pruned": "yellow", "diverged": "red", "failed": "bold red", "evaluated": "green",
    "reused": "green",
}  # fmt: skip
# Column heads that would be wider than their values in a joint search.
HEADS = {"generator_learning_rate": "gen. rate", "reset_interval": "reset", "kernel_size": "kernel"}


@dataclass
class _Row:
    config: TrialConfig
    point: Point
    began: float | None = None  # when its first process began
    status: str = WAITING
    metrics: dict[str, float] = field(default_factory=dict)


class Progress:
    """Shows where each trial stands, and the time left of the whole sweep: a listener.

    Of ended trials it keeps the last few, so that a sweep of many costs no more for each.

    Args:
        plan: names, limit of epochs and number of trials.
        console: where to show; a live table if it is a terminal, else one line per event.
        done: trials that an earlier run of the sweep finished.
        used: what is used of the budget, in words; empty without one.
    """

    def __init__(
        self, plan: Plan, console: Console, done: int, used: Callable[[], str] = lambda: ""
    ) -> None:
        self._plan, self._console, self._used = plan, console, used
        self._total, self._done = plan.number_of_trials, done
        self._expected: float | None = None  # seconds of a trial
        self._ended_here, self._ended_seconds = 0, 0.0
        self._started = time.monotonic()
        self._running: dict[str, _Row] = {}
        self._ended: deque[_Row] = deque(maxlen=SHOWN_ENDED)
        self._start_line, self._explained = "", False
        self._live: Live | None = None

    @contextmanager
    def shown(self) -> Iterator["Progress"]:
        """Show the table while the block runs."""
        if not self._console.is_terminal:
            yield self
            return
        with Live(
            get_renderable=self._render, console=self._console, refresh_per_second=2
        ) as self._live:
            yield self
        self._live = None

    def expect(self, trial_seconds: float) -> None:
        """Set the wall time that a trial will probably need, used until some have ended."""
        self._expected = trial_seconds

    def start_trained(self, metrics: dict[str, float]) -> None:
        """Show that an epoch of the vanilla model ended."""
        self._start_line = (
            f"vanilla start: epoch {metrics['epoch']:.0f}/"
            f"{self._plan.config.start.training.max_epochs}, loss {metrics['train_loss']:.4f}, "
            f"training accuracy {metrics['train_accuracy']:.1f} %"
        )
        self._line(self._start_line)

    def started(self, config: TrialConfig) -> None:
        """Add a trial, which waits until its resources are free."""
        self._running[config.trial_id] = _Row(config, self._plan.spec.point(config.method))

    def allocated(self, config: TrialConfig) -> None:
        """Show that a process of a trial begins."""
        row = self._running[config.trial_id]
        what = "starts" if row.began is None else "resumes"
        row.status, row.began = "running", row.began or time.monotonic()
        if self._plan.resources.grows:
            self._line(f"{self._label(config)} {what} [{self._counts()}]")

    def deallocated(self, config: TrialConfig) -> None:
        """Show that the process of a trial died, which then waits again."""
        self._running[config.trial_id].status = WAITING
        counts = f" [{self._counts()}]" if self._plan.resources.grows else ""
        self._line(f"{self._label(config)} lost its process{counts}")

    def cancelled(self, config: TrialConfig) -> None:
        """Remove a trial that has not run and will not, for now."""
        del self._running[config.trial_id]

    def reported(self, config: TrialConfig, metrics: dict[str, float]) -> None:
        """Show that an epoch of a trial ended."""
        self._running[config.trial_id].metrics = metrics
        self._line(
            f"{self._label(config)} epoch {metrics['epoch']:.0f}/{config.training.max_epochs} "
            f"loss {metrics['train_loss']:.4f} {MIXED} {metrics[VALIDATION_METRIC]:.1f} %"
        )
        if not self._explained:
            self._explained = True
            self._line(TWO_ACCURACIES)

    def ended(self, result: TrialResult) -> None:
        """Show how a trial ended."""
        row = self._running.pop(result.trial_id)
        row.status = "reused" if result.reused_from else result.status
        self._ended.append(row)
        self._done += 1
        if row.began is not None:
            self._ended_here += 1
            self._ended_seconds += time.monotonic() - row.began
        accuracy = "" if result.objective is None else f" objective {result.objective:.1f} %"
        self._line(
            f"{self._label(result.config)} {row.status}{accuracy} "
            f"[{self._done}/{self._total}, {self._time_left()}{self._budget()}]"
        )

    def _label(self, config: TrialConfig) -> str:
        values = self._plan.spec.values(self._plan.spec.point(config.method))
        named = " ".join(f"{name} {show(value)}" for name, value in values.items())
        return f"{config.trial_id} {named} seed {config.seed}:"

    def _line(self, text: str) -> None:
        if self._live is None:
            self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _time_left(self) -> str:
        ended = self._ended_here
        each = self._ended_seconds / ended if ended else self._expected
        if each is None:
            return "time left not known yet"
        resources, at_a_time = self._plan.resources, self._plan.resources.max_concurrent
        if resources.grows and self._done < self._total:  # what a cluster has now is known
            at_a_time = sum(row.status != WAITING for row in self._running.values())
        if not at_a_time:
            return "time left not known: no machine yet"
        now = time.monotonic()
        lasted = [now - row.began for row in self._running.values() if row.began is not None]
        left = (self._total - self._done) * each - sum(min(each, seconds) for seconds in lasted)
        if lasted and left <= 0:
            return "longer than expected"
        return f"about {duration(max(0, left / at_a_time))} left"

    def _counts(self) -> str:
        waiting = sum(row.status == WAITING for row in self._running.values())
        text = f"{len(self._running) - waiting} running"
        return f"{text}, {waiting} waiting for a machine" if waiting else text

    def _budget(self) -> str:
        used = self._used()
        return f", {used} used" if used else ""

    def _render(self) -> Group:
        names = [HEADS.get(p.name, p.name) for p in self._plan.spec.space]
        table = Table("trial", title=f"sweep {self._plan.name}", title_justify="left")
        for name in (*names, "seed", "epoch", "loss", MIXED):
            table.add_column(name, justify="right")
        table.add_column("status")
        running = sorted(self._running.values(), key=lambda row: row.status == WAITING)
        for row in (*self._ended, *running[:SHOWN_RUNNING]):
            epoch = loss = accuracy = "-"
            if metrics := row.metrics:
                epoch = f"{metrics['epoch']:.0f}/{row.config.training.max_epochs}"
                loss = f"{metrics['train_loss']:.4f}"
                accuracy = f"{metrics[VALIDATION_METRIC]:.1f} %"
            values = [*map(show, row.point)]
            values += [""] * (len(names) - len(values))  # of a baseline
            table.add_row(
                row.config.trial_id, *values, str(row.config.seed), epoch, loss, accuracy,
                Text(row.status, style=STYLES[row.status]),
            )  # fmt: skip
        elapsed = duration(time.monotonic() - self._started)
        footer = f"{self._done} of {self._total} trials, {elapsed} so far, {self._time_left()}"
        lines = [Text(self._start_line, style="dim")]
        if self._ended or self._running:
            lines = [table, Text(TWO_ACCURACIES, style="dim")]
        if (more := len(self._running) - SHOWN_RUNNING) > 0:
            lines.insert(1, Text(f"and {more} more: {self._counts()} in all", style="dim"))
        return Group(*lines, Text(footer + self._budget(), style="bold"))
