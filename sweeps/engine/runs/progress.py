"""What a person sees while a sweep runs: a live table, or plain lines where there is none."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from statistics import fmean

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from gon_core.config import TrialConfig
from search_spaces.parameter import Point, value_text
from sweeps.engine.planning.plan import Plan
from sweeps.engine.records import VALIDATION_METRIC, TrialResult
from sweeps.engine.runs.progress_table import MIXED, WAITING, Row, build_table
from sweeps.engine.search.ledger import Ledger
from sweeps.engine.system.notebook import shown_in_place
from sweeps.engine.system.text import duration

SHOWN_ENDED, SHOWN_RUNNING = 6, 24  # trials in the live table, so that it fits a screen
TWO_ACCURACIES = (
    f"{MIXED}: each validation image under one corruption, after every epoch. objective: the final "
    "model's mean over all corruptions of all validation images, which the search looks at."
)


class Progress:
    """Shows where each trial stands, and the time left of the whole sweep: a listener.

    Of ended trials it keeps the last few, so that a sweep of many costs no more for each.

    Args:
        plan: names, limit of epochs and number of trials.
        console: where to show; a live table in a terminal or notebook, else one line per event.
        done: trials that an earlier run of the sweep finished.
        used: what is used of the budget, in words; empty without one.
        ledger: of the search, for the best point so far.
    """

    def __init__(
        self, plan: Plan, console: Console, done: int, used: Callable[[], str] = lambda: "",
        ledger: Ledger | None = None,
    ) -> None:  # fmt: skip
        self._plan, self._console, self._used = plan, console, used
        self._total, self._done = plan.number_of_trials, done
        self._expected: float | None = None  # seconds of a trial
        self._ended_here, self._ended_seconds = 0, 0.0
        self._started = time.monotonic()
        self._running: dict[str, Row] = {}
        self._ended: deque[Row] = deque(maxlen=SHOWN_ENDED)
        self._start_line, self._explained = "", False
        self._phase = ""
        self._best: tuple[float, Point, int] | None = None  # objective, point, seeds measured
        self._ledger = ledger
        self._numbers: dict[Point, int] = {}
        for point in ledger.entries if ledger is not None else ():
            self._number(point)
        self._find_best()
        self._is_live = False

    @contextmanager
    def shown(self) -> Iterator["Progress"]:
        """Show the table while the block runs."""
        console = self._console
        if console.is_jupyter:
            live = shown_in_place(self._render, console.width)
        elif console.is_terminal:
            live = Live(get_renderable=self._render, console=console, refresh_per_second=2)
        else:
            yield self
            return
        self._is_live = True
        with live:
            yield self
        self._is_live = False

    def phase(self, words: str) -> None:
        """Show what goes on while no trial runs."""
        self._phase = words
        if words:
            self._line(f"{words} ...")

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
        point = self._plan.spec.point(config)
        self._running[config.trial_id] = Row(config, point, self._number(point))

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

    def evaluating(self, config: TrialConfig, words: str) -> None:
        """Show how far the evaluation of a trial's final model is."""
        row = self._running[config.trial_id]
        if row.status != "evaluating":
            self._line(f"{self._label(config)} evaluating")
        row.status, row.doing = "evaluating", words

    def ended(self, result: TrialResult) -> None:
        """Show how a trial ended."""
        row = self._running.pop(result.trial_id)
        row.status, row.doing = "reused" if result.reused_from else result.status, ""
        row.objective = result.objective
        self._ended.append(row)
        self._done += 1
        if row.began is not None:
            self._ended_here += 1
            self._ended_seconds += time.monotonic() - row.began
        self._find_best(row.point)
        accuracy = "" if result.objective is None else f" objective {result.objective:.1f} %"
        self._line(
            f"{self._label(result.config)} {row.status}{accuracy} "
            f"[{self._done}/{self._total}, {self._time_left()}{self._budget()}]"
        )

    def _number(self, point: Point) -> int:
        """Return the number of a point in the order of the search; 0 of a baseline."""
        if point in self._plan.spec.baseline_points:
            return 0
        return self._numbers.setdefault(point, len(self._numbers) + 1)

    def _find_best(self, changed: Point | None = None) -> None:
        """Look at the point that a trial changed; at all points if that was the best."""
        entries = {} if self._ledger is None else self._ledger.entries
        points: Iterable[Point] = [changed] if changed in entries else []
        if self._best is None or changed == self._best[1]:  # it may have become worse
            self._best, points = None, entries
        which = self._plan.config.objectives.index("corrupted")
        for point in points:
            measured = [each for _, each in entries[point].ended.values() if each is not None]
            if measured:
                mean = fmean(each[which] for each in measured)
                if self._best is None or mean > self._best[0]:
                    self._best = mean, point, len(measured)

    def _best_line(self) -> str:
        if self._best is None:
            return ""
        accuracy, point, seeds = self._best
        values = self._plan.spec.values(point).items()
        named = ", ".join(f"{name} {value_text(value)}" for name, value in values)
        of = f"{seeds} of {len(self._plan.config.seeds)} seeds"
        return f"best so far: {named}, objective {accuracy:.1f} % ({of})"

    def _label(self, config: TrialConfig) -> str:
        values = self._plan.spec.values(self._plan.spec.point(config))
        named = " ".join(f"{name} {value_text(value)}" for name, value in values.items())
        return f"{config.trial_id} {named} seed {config.seed}:"

    def _line(self, text: str) -> None:
        if not self._is_live:
            self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _time_left(self) -> str:
        ended = self._ended_here
        each = self._ended_seconds / ended if ended else self._expected
        if each is None:
            return "time left not known yet"
        rows = [*self._running.values()]  # a copy: what shows them is another thread
        resources, at_a_time = self._plan.resources, self._plan.resources.max_concurrent
        if resources.grows and self._done < self._total:  # what a cluster has now is known
            at_a_time = sum(row.status != WAITING for row in rows)
        if not at_a_time:
            return "time left not known: no machine yet"
        now = time.monotonic()
        lasted = [now - row.began for row in rows if row.began is not None]
        left = (self._total - self._done) * each - sum(min(each, seconds) for seconds in lasted)
        if lasted and left <= 0:
            return "longer than expected"
        return f"about {duration(max(0, left / at_a_time))} left"

    def _counts(self) -> str:
        waiting = sum(row.status == WAITING for row in [*self._running.values()])
        text = f"{len(self._running) - waiting} running"
        return f"{text}, {waiting} waiting for a machine" if waiting else text

    def _budget(self) -> str:
        used = self._used()
        return f", {used} used" if used else ""

    def _render(self) -> Group:
        names = [parameter.name for parameter in self._plan.spec.space]
        running = sorted(self._running.values(), key=lambda row: row.status == WAITING)
        rows = [*self._ended, *running[:SHOWN_RUNNING]]
        title = f"sweep {self._plan.name}"
        lines: list[RenderableType] = []
        if rows:
            lines = [build_table(rows, names, title, self._console.width)]
        if (more := len(self._running) - SHOWN_RUNNING) > 0:
            lines.append(Text(f"and {more} more: {self._counts()} in all", style="dim"))
        if rows:
            lines.append(Text(TWO_ACCURACIES, style="dim"))
        is_idle = not rows or (running and all(row.status == WAITING for row in running))
        doing = self._phase if is_idle else ""
        lines += [
            Text(text, style="dim") for text in (self._start_line, doing) if text and not rows
        ]
        if rows and doing:
            lines.append(Text(doing, style="dim"))
        if best := self._best_line():
            lines.append(Text(best))
        elapsed = duration(time.monotonic() - self._started)
        footer = f"{self._done} of {self._total} trials, {elapsed} so far, {self._time_left()}"
        return Group(*lines, Text(footer + self._budget(), style="bold"))
