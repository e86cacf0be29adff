"""One driver's run of a sweep's folder: lock, tracker, work, report, exit code.

A sweep and an evaluation of checkpoints both run in it.
"""

import secrets
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from rich.console import Console

from gon_core.data.files import DataFileError
from sweeps.engine.cli.command_options import CommandOptions
from sweeps.engine.records import Stop, SweepDescription, SweepRecords
from sweeps.engine.records.lock import SweepIsRunningError, SweepLock
from sweeps.engine.records.starting_models import DivergedStartError
from sweeps.engine.resources.cluster_check import ClusterError, UnsharedStorageError
from sweeps.engine.system import provenance
from sweeps.engine.system.errors import StorageError
from sweeps.engine.system.exit_codes import DONE, INTERRUPTED, OUT_OF_BUDGET, SOME_FAILED
from sweeps.engine.system.leaving import refuse
from sweeps.engine.system.signals import (
    answered_signals,
    as_keyboard_interrupt,
    deferred_signals,
)
from sweeps.engine.tracking import Tracker, default_uri, how_to_compare, make_tracker

if TYPE_CHECKING:  # it loads torch
    from sweeps.engine.report.summary.aggregate import SweepSummary

STOPPING = "Stopping; writing checkpoints, about 15 s. Press again to stop now."
BAD_INPUTS = {
    UnsharedStorageError: ("storage",), DataFileError: ("imagenet_c", "imagenet", "data_dir"),
}  # fmt: skip
"""Errors of the input that only the work can find, and the options that each may be about."""


@dataclass
class Session:
    """One driver's run of a sweep's folder.

    Attributes:
        records: of the sweep.
        description: what ``sweep.json`` says, or will say.
        options: where the sweep is stored and tracked.
        console: where everything is printed.
        wait_seconds: how long to wait for another driver to end.
        used_line: what the sweep has used, in words; empty to print nothing.
        stop: the budget that stopped the sweep before its last trial.
    """

    records: SweepRecords
    description: SweepDescription
    options: CommandOptions
    console: Console
    wait_seconds: float = 0.0
    used_line: Callable[[], str] = lambda: ""
    stop: Stop | None = None
    _tracker: Tracker | None = None

    def alone(self, run: Callable[[], int]) -> int:
        """Return what ``run`` returns; exit with code 2 if another driver runs the sweep."""
        try:
            with SweepLock(
                self.records.folder, wait_seconds=self.wait_seconds, say=self.say
            ) as self._lock:
                return run()
        except SweepIsRunningError as error:
            refuse_running(self.description.name, str(error))
        except StorageError as error:  # before the first trial, or after the last
            return self._end_without_storage(error)

    def run(
        self,
        work: Callable[[Tracker], None] = lambda tracker: None,
        stop: Callable[[], None] = lambda: None,
        join: Callable[[], None] = lambda: None,
    ) -> int:
        """Do the work, write and print the report, close the tracker; return the exit code.

        After it ``stop`` begins to end what the work has started, and ``join`` waits for that, so
        that nothing is written beside the report.

        Raises:
            SystemExit: 2 if the work finds bad input.
        """
        with deferred_signals():  # before any thread that needs a part of it
            from sweeps.engine.report.figures.learned_noise import render_trial

        tracker = make_tracker(
            self._uri, self.description, self.records, self.say, render_trial,
            self.options.log_models,
        )  # fmt: skip
        self._tracker = tracker
        interrupted = False
        try:
            with answered_signals(lambda: self.say(STOPPING, "yellow")), as_keyboard_interrupt():
                work(tracker)
            stop()
        except KeyboardInterrupt:
            interrupted = True
            stop()
            join()
            if self._lock.was_taken_over:
                self.say("Another driver has taken the sweep over: this one ends.", "red")
                return INTERRUPTED
        except tuple(BAD_INPUTS) as error:
            tracker.close({}, failed=True, interrupted=True)
            of = [n for n in BAD_INPUTS[type(error)] if getattr(self.options, n, None) is not None]
            refuse([f"--{of[0].replace('_', '-')}: {error}"], "the sweep ended")
        except (DivergedStartError, ClusterError) as error:
            self.say(str(error), "red")
            missing = tracker.close({}, failed=True, interrupted=False)
            if isinstance(error, ClusterError):  # the same command may get further
                self._say_what_next(missing, interrupted=True)
            return SOME_FAILED
        except BaseException as error:  # no run may stay RUNNING, whatever broke
            tracker.close({}, failed=True, interrupted=True)
            if storage_problem(error) is None:
                raise
            return self._end_without_storage(error)
        try:
            return self._report(tracker, interrupted)
        except KeyboardInterrupt:  # as above
            tracker.close({}, failed=False, interrupted=True)
            raise

    @property
    def _uri(self) -> str:
        return self.options.tracking_uri or default_uri(self.options.storage)

    def say(self, line: str, style: str | None = None) -> None:
        """Print a line as it is: what others wrote may have brackets, which are no markup."""
        self.console.print(line, style=style, highlight=False, markup=False, soft_wrap=True)

    def _report(self, tracker: Tracker, interrupted: bool) -> int:
        from sweeps.engine.report import print_report, write_report

        try:
            report = write_report(self.records)
        except StorageError as error:
            tracker.close({}, failed=True, interrupted=True)
            return self._end_without_storage(error)
        results = report.summary.trials
        failed = [result for result in results if result.status == "failed"]
        for result in results:
            for note in result.notes:
                self.say(f"trial {result.trial_id}: {note}", "yellow")
        if not interrupted:
            print_report(report, self.console)
        has_more = interrupted or self.stop is not None
        missing = tracker.close(report.found, bool(failed), has_more)
        for result in failed:
            reason = result.reason.splitlines()[0] if result.reason else "no reason recorded"
            self.say(f"trial {result.trial_id} failed: {reason}", "red")
        self._say_what_next(missing, interrupted, self._whole_test(report.summary))
        if interrupted:
            return INTERRUPTED
        if failed:  # also where its budget ended the sweep: what failed is to be looked at first
            return SOME_FAILED
        return DONE if self.stop is None else OUT_OF_BUDGET

    def _end_without_storage(self, error: BaseException) -> int:
        self.say(f"The records cannot be written: {storage_problem(error)}", "red")
        self._say_what_next("", interrupted=True)
        return SOME_FAILED

    def _whole_test(self, summary: "SweepSummary") -> str:
        """Return the command that tests the best models on all images, if they were not."""
        whole = summary.benchmark.test_images
        tested = summary.description.config.get("data", {}).get("test_images", whole)
        if summary.best is None or tested >= whole or not self.records.folder.is_local:
            return ""
        words = ["sweeps/evaluate_checkpoint.py", "--checkpoints"]
        words += [self.records.trial(trial.trial_id).folder.path for trial in summary.best.trials]
        if self.options.data_dir is not None:
            words += ["--data-dir", provenance.redact(str(self.options.data_dir))]
        command = shlex.join([*words, "--evaluate", "none"])
        return f"The best models on all {whole:,} test images:\n  {provenance.COMMAND} {command}"

    def _say_what_next(self, missing: str, interrupted: bool, further: str = "") -> None:
        lines = [self.used_line()]
        if interrupted:
            lines.append(f"Interrupted. Resume with:\n  {provenance.repeat_command()}")
        else:
            if self.stop is not None:
                text = f"Stopped by its {self.stop.budget}. Resume with a larger one:"
                lines.append(f"{text}\n  {self.stop.resume_command}")
            lines.append(f"Report: {self.records.folder.path}/report/report.html")
        link = self._tracker.link if self._tracker is not None else ""
        lines += [further, missing, how_to_compare(self._uri, link)]
        self.say("\n".join(line for line in lines if line))


def made_by(options: CommandOptions) -> dict[str, Any]:
    """Return the fields of ``sweep.json`` that say what makes the sweep and where it is tracked."""
    return {
        "id": secrets.token_hex(8),
        "created": provenance.now(),
        "code": provenance.code_version(),
        "packages": provenance.package_versions(),
        "command": provenance.repeat_command(),
        "tracking_uri": provenance.redact(options.tracking_uri or ""),
    }


def recorded_sweep(records: SweepRecords) -> SweepDescription | None:
    """Return what is recorded under the sweep's name; exit with code 2 if it cannot be read."""
    try:
        if not records.folder.is_local or not Path(records.folder.path).is_file():
            return records.read_sweep()
    except (ValueError, OSError) as error:
        refuse([f"--name: {records.folder.path}: {error}; choose another name"])
    refuse([f"--name: {records.folder.path} is a file, choose another name"])


def refuse_conflicts(records: SweepRecords, conflicts: Sequence[str]) -> None:
    """Exit with code 2 if the folder holds a sweep of another config, naming the differences."""
    if conflicts:
        refuse([f"--name: {records.folder.path} holds another sweep, choose another name",
                *conflicts])  # fmt: skip


def refuse_running(name: str, driver: str) -> NoReturn:
    """Exit with code 2: another driver runs the sweep."""
    refuse([f"--name: sweep {name} is being run already, by {driver}"])


def storage_problem(error: BaseException | None) -> str | None:
    """Return why the storage cannot be used, if an error comes from that."""
    while error is not None:
        if isinstance(error, StorageError):
            return str(error)
        error = error.__cause__ or error.__context__
    return None
