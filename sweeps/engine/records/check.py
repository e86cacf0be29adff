"""Whether the records of a sweep are whole: every hash verified, every trial's state told."""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from gon_core.config import StartConfig
from sweeps.engine.records import lock, starting_models
from sweeps.engine.records.result import TrialResult
from sweeps.engine.records.storage import Folder
from sweeps.engine.records.sweep import SweepDescription, SweepRecords
from sweeps.engine.records.trial import CONFIG, RESULT, TURN, TrialRecords

State = Literal["complete", "failed", "running", "interrupted", "broken"]
STATES: dict[State, str] = {
    "complete": "ended, and every hash is right",
    "failed": "ended with an error; the same command runs it again",
    "running": "its driver and its process live",
    "interrupted": "begun and not running; the same command resumes it",
    "broken": "a record is damaged; the same command makes it again, a file of an ended trial once "
    "the result.json beside it is removed",
}


@dataclass(frozen=True)
class TrialCheck:
    """What the records of one trial are worth.

    Attributes:
        trial_id: its id.
        state: see ``STATES``.
        detail: how it ended, or where it stands.
        problems: what is damaged; a checkpoint or a step of an evaluation alone breaks no trial.
    """

    trial_id: str
    state: State
    detail: str
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class SweepCheck:
    """What the records of a sweep are worth.

    Attributes:
        trials: one a trial, in the order of their ids.
        drivers: who runs the sweep now.
        problems: of the files beside the trials.
        not_begun: how many trials of the grid and the baselines have no record.
        unhashed: how many results are of an earlier version, which held no hashes.
        stopped: the budget that ended the last driver, in words; empty if none did.
    """

    trials: tuple[TrialCheck, ...]
    drivers: tuple[str, ...]
    problems: tuple[str, ...] = ()
    not_begun: int = 0
    unhashed: int = 0
    stopped: str = ""

    @property
    def counts(self) -> Counter[State]:
        """How many trials are in which state."""
        return Counter(trial.state for trial in self.trials)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is damaged."""
        return not self.problems and not any(trial.problems for trial in self.trials)


def check(records: SweepRecords) -> SweepCheck:
    """Read every record of a sweep and verify every hash; change nothing.

    Raises:
        FileNotFoundError: the folder holds no sweep.json.
        ValueError: sweep.json is damaged, so that nothing else can be told.
    """
    description = records.read_sweep()
    if description is None:
        raise FileNotFoundError(f"{records.folder.uri} has no sweep.json: it is not a sweep")
    live = [claim for claim in lock.read_claims(records.folder).values() if claim.is_live()]
    drivers = tuple(claim.describe() for claim in live if claim.holds)
    names = records.names()
    trials = tuple(_check_trial(records.trial(name), bool(drivers)) for name in names)
    planned = len(description.points) * len(description.seeds)

    return SweepCheck(
        trials=trials,
        drivers=drivers,
        problems=(*_check_start(records, description), *records.usage.problems()),
        not_begun=max(0, planned - len(names)),
        unhashed=sum(not result.files for result in records.results() if result.is_measured),
        stopped=stop.budget if (stop := records.usage.stopped()) is not None else "",
    )


@dataclass
class _Findings:
    problems: list[str] = field(default_factory=list)

    def add(self, problem: str) -> None:
        self.problems.append(problem)


def _check_trial(trial: TrialRecords, has_driver: bool) -> TrialCheck:
    found = _Findings()
    if trial.config() is None:
        found.add(f"{CONFIG} is {'damaged' if trial.folder.exists(CONFIG) else 'missing'}")
    if trial.folder.exists(TURN):
        try:
            trial.read_turn()
        except ValueError:
            found.add(f"{TURN} is damaged")
    result = None
    if trial.folder.exists(RESULT):
        try:
            result = trial.read_result()
        except ValueError as error:
            found.add(f"{RESULT} is damaged: {str(error).splitlines()[0]}")
    if result is not None:
        _check_files(trial.folder, result, found)
    breaks = bool(found.problems)
    so_far = ""
    if result is None or not result.is_final:
        newest, passed_over = trial.find_checkpoint()
        steps, not_usable = trial.findings()
        found.problems += passed_over + not_usable
        so_far = f"checkpoint of epoch {newest.epoch}" if newest else "no checkpoint yet"
        so_far += f", {len(steps)} steps of the evaluation" if steps else ""
    state, detail = _state(trial, result, so_far, has_driver)
    return TrialCheck(trial.trial_id, "broken" if breaks else state, detail, tuple(found.problems))


def _state(
    trial: TrialRecords, result: TrialResult | None, so_far: str, has_driver: bool
) -> tuple[State, str]:
    if result is not None:
        reason = f": {result.reason.splitlines()[0]}" if result.reason else ""
        return "complete" if result.is_final else "failed", f"{result.status}{reason}"
    attempts = trial.attempts()
    if not attempts:
        return "interrupted", "asked for, not started"
    last = attempts[-1]
    starts = f"{len(attempts)} starts, " if len(attempts) > 1 else ""
    if has_driver:
        return "running", f"{so_far}, {starts}process {last.pid} on {last.host} since {last.began}"
    return "interrupted", f"{so_far}, {starts}last on {last.host} at {last.began}"


def _check_files(folder: Folder, result: TrialResult, found: _Findings) -> None:
    for name, expected in result.files.items():
        try:
            if hashlib.sha256(folder.read(name)).hexdigest() != expected:
                found.add(f"{name} is damaged (its SHA-256 is not the recorded one)")
        except FileNotFoundError:
            found.add(f"{name} is missing")
        except ValueError as error:
            found.add(str(error))


def _check_start(records: SweepRecords, description: SweepDescription) -> list[str]:
    """Return what is wrong with the starting model, or its checkpoints, beside the sweep."""
    fields = description.config.get("start")
    if not fields:
        return []
    storage = records.folder.parent
    try:
        start = StartConfig.model_validate(fields)
        kept = starting_models.folder(storage, start, description.data_digest)
        if kept.exists(starting_models.DESCRIPTION):
            if starting_models.stored(kept) is None:
                return [f"the starting model in {kept.path} is damaged; it is trained again"]
            return []
        training = starting_models.training_records(kept, description.name)
        begun = [_check_trial(training.trial(name), has_driver=False) for name in training.names()]
        return [
            f"the starting model in {training.folder.path}: {problem}"
            for trial in begun
            for problem in trial.problems
        ]
    except (ValueError, KeyError, json.JSONDecodeError) as error:
        return [f"the starting model cannot be checked: {str(error).splitlines()[0]}"]
    return []
