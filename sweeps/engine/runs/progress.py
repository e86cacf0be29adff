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
WAITING = "waiting"  # for a place
STYLES = {
    WAITING: "dim",
    "running": "cyan",
    "converged": "green",
    "max_epochs": "green",
    "pruned": "yellow",
    "diverged": "red",
    "failed": "bold red",
    "evaluated": "green",
}


# Column heads that would be wider than their values in a joint search.
HEADS = {"generator_learning_rate": "gen. rate", "reset_interval": "reset", "kernel_size": "kernel"}


@dataclass
class _Row:
    config: TrialConfig
    point: Point
    began: float | None = None  # when it was given its first place
    status: str = WAITING
    metrics: dict[str, float] = field(default_factory=dict)
    objective: float | None = None


class Progress:
    """Listens to trials and shows where each stands, and the time left of the whole sweep.

    Of ended trials it keeps the last few, so that a sweep of many costs no more for each.

    Args:
        plan: names, budget and number of trials.
        console: where to show; a live table if it is a terminal, else one line per event.
        done: trials that an earlier run of the sweep finished.
        used: what is used of the budget, in words; empty without one.
    """

    def __init__(
        self, plan: Plan, console: Console, done: int, used: Callable[[], str] = lambda: ""
    ) -> None:
        self._used = used
        self._plan = plan
        self._console = console
        self._total = plan.number_of_trials
        self._done = done
        self._trial_seconds: float | None = None
        self._ended_here, self._ended_seconds = 0, 0.0
        self._started = time.monotonic()
        self._running: dict[str, _Row] = {}
        self._ended: deque[_Row] = deque(maxlen=SHOWN_ENDED)
        self._start_line = ""
        self._explained = False
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
        """Take the wall time that a trial will probably need, until some have ended."""
        self._trial_seconds = trial_seconds

    def start_trained(self, metrics: dict[str, float]) -> None:
        """An epoch of the vanilla model ended."""
        budget = self._plan.config.start.training.max_epochs
        self._start_line = (
            f"vanilla start: epoch {metrics['epoch']:.0f}/{budget}, "
            f"loss {metrics['train_loss']:.4f}, "
            f"training accuracy {metrics['train_accuracy']:.1f} %"
        )
        self._line(self._start_line)

    def started(self, config: TrialConfig) -> None:
        """Listen: a trial is to run, as soon as there is a place."""
        point = self._plan.spec.point(config.method)
        self._running[config.trial_id] = _Row(config, point)

    def allocated(self, config: TrialConfig) -> None:
        """Listen: a process of a trial begins."""
        row = self._running[config.trial_id]
        row.status, again = "running", row.began is not None
        row.began = row.began or time.monotonic()
        if self._plan.resources.grows:
            what = "resumes" if again else "starts"
            self._line(f"{self._label(config)} {what} [{self._places()}]")

    def deallocated(self, config: TrialConfig) -> None:
        """Listen: the process of a trial died."""
        self._running[config.trial_id].status = WAITING
        places = f" [{self._places()}]" if self._plan.resources.grows else ""
        self._line(f"{self._label(config)} lost its process{places}")

    def cancelled(self, config: TrialConfig) -> None:
        """Listen: a trial that never had a place is not to run, for now."""
        del self._running[config.trial_id]

    def reported(self, config: TrialConfig, metrics: dict[str, float]) -> None:
        """Listen: an epoch ended."""
        self._running[config.trial_id].metrics = metrics
        self._line(
            f"{self._label(config)} epoch {metrics['epoch']:.0f}/{config.training.max_epochs} "
            f"loss {metrics['train_loss']:.4f} {MIXED} {metrics[VALIDATION_METRIC]:.1f} %"
        )
        if not self._explained:
            self._explained = True
            self._line(TWO_ACCURACIES)

    def ended(self, result: TrialResult) -> None:
        """Listen: a trial ended."""
        row = self._running.pop(result.trial_id)
        row.status, row.objective = result.status, result.objective
        self._ended.append(row)
        self._done += 1
        self._ended_here += 1
        if row.began is not None:
            self._ended_seconds += time.monotonic() - row.began
        accuracy = "" if result.objective is None else f" objective {result.objective:.1f} %"
        self._line(
            f"{self._label(result.config)} {result.status}{accuracy} "
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
        each = self._ended_seconds / ended if ended else self._trial_seconds
        if each is None:
            return "time left not known yet"
        left = (self._total - self._done) * each
        now = time.monotonic()
        began = [row.began for row in self._running.values() if row.began is not None]
        left -= sum(min(each, now - since) for since in began)
        at_a_time = self._at_a_time()
        if not at_a_time:
            return "time left not known: no machine yet"
        if began and left <= 0:
            return "longer than expected"
        return f"about {duration(max(0, left / at_a_time))} left"

    def _at_a_time(self) -> int:
        # What a cluster will grow to is not known: what it has now is.
        resources = self._plan.resources
        if not resources.grows or self._done == self._total:
            return resources.slots
        return sum(row.status != WAITING for row in self._running.values())

    def _places(self) -> str:
        waiting = sum(row.status == WAITING for row in self._running.values())
        text = f"{len(self._running) - waiting} running"
        return f"{text}, {waiting} waiting for a machine" if waiting else text

    def _budget(self) -> str:
        used = self._used()
        return f", {used} used" if used else ""

    def _render(self) -> Group:
        table = Table(title=f"sweep {self._plan.name}", title_justify="left", expand=False)
        table.add_column("trial")
        names = [HEADS.get(p.name, p.name) for p in self._plan.spec.space]
        for name in (*names, "seed", "epoch", "loss", MIXED):
            table.add_column(name, justify="right")
        table.add_column("status")
        running = sorted(self._running.values(), key=lambda row: row.status == WAITING)
        for row in (*self._ended, *running[:SHOWN_RUNNING]):
            table.add_row(*self._cells(row))
        elapsed = duration(time.monotonic() - self._started)
        footer = f"{self._done} of {self._total} trials, {elapsed} so far, {self._time_left()}"
        footer += self._budget()
        lines = [Text(self._start_line, style="dim")]
        if self._ended or self._running:
            lines = [table, Text(TWO_ACCURACIES, style="dim")]
        if (more := len(self._running) - SHOWN_RUNNING) > 0:
            lines.insert(1, Text(f"and {more} more: {self._places()} in all", style="dim"))
        return Group(*lines, Text(footer, style="bold"))

    def _cells(self, row: _Row) -> list[str | Text]:
        metrics = row.metrics
        epoch = f"{metrics['epoch']:.0f}/{row.config.training.max_epochs}" if metrics else "-"
        loss = f"{metrics['train_loss']:.4f}" if metrics else "-"
        accuracy = f"{metrics[VALIDATION_METRIC]:.1f} %" if metrics else "-"
        status = Text(row.status, style=STYLES[row.status])
        values = [*map(show, row.point)]
        values += [""] * (len(self._plan.spec.space) - len(values))  # of a baseline
        return [
            row.config.trial_id, *values, str(row.config.seed), epoch, loss, accuracy,
            status,
        ]  # fmt: skip
