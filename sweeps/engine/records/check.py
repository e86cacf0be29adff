"""Whether the records of a sweep are whole: verifies every hash, says where every trial stands."""

from dataclasses import dataclass
from typing import Any, Literal

from gon_core.config import StartConfig
from sweeps.engine.records import lock, starting_models
from sweeps.engine.records.checkpoint import read_whole
from sweeps.engine.records.result import TrialResult
from sweeps.engine.records.sweep import SweepDescription, SweepRecords
from sweeps.engine.records.trial import ASK_INDEX, CONFIG, RESULT, TrialRecords
from sweeps.engine.system.text import first_line

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
    """The state of one trial's records.

    Attributes:
        trial_id: its id.
        state: see ``STATES``.
        detail: how it ended, or how far it is.
        problems: what is damaged; a checkpoint or a step of an evaluation alone breaks no trial.
    """

    trial_id: str
    state: State
    detail: str
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class SweepCheck:
    """The state of a sweep's records.

    Attributes:
        trials: one a trial, in the order of their ids.
        driver: who runs the sweep now; empty if nobody does.
        problems: of the files beside the trials.
        not_begun: how many trials of the grid and the baselines have no record.
        stopped: the budget that ended the last driver, in words; empty if none did.
    """

    trials: tuple[TrialCheck, ...]
    driver: str
    problems: tuple[str, ...] = ()
    not_begun: int = 0
    stopped: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether nothing is damaged."""
        return not self.problems and not any(trial.problems for trial in self.trials)


def check(records: SweepRecords) -> SweepCheck:
    """Read every record of a sweep and verify every hash; change nothing.

    Raises:
        FileNotFoundError: the folder holds no sweep.json.
        ValueError: sweep.json is damaged, so that nothing else can be checked.
    """
    description = records.read_sweep()
    if description is None:
        raise FileNotFoundError(f"{records.folder.uri} has no sweep.json: it is not a sweep")
    holder, stop = lock.holder(records.folder), records.usage.stopped()
    names = records.names()
    planned = len(description.points) * len(description.seeds)
    return SweepCheck(
        trials=tuple(_check_trial(records.trial(name), holder is not None) for name in names),
        driver=holder.describe() if holder is not None else "",
        problems=(*_check_start(records, description), *records.usage.problems()),
        not_begun=max(0, planned - len(names)),
        stopped=stop.budget if stop is not None else "",
    )


def _check_trial(trial: TrialRecords, has_driver: bool) -> TrialCheck:
    problems: list[str] = []
    reads = {CONFIG: trial.read_config, ASK_INDEX: trial.read_ask_index, RESULT: trial.read_result}
    found: dict[str, Any] = {}
    for name, read in reads.items():
        try:
            found[name] = read()
        except FileNotFoundError:
            if name == CONFIG:
                problems.append(f"{name} is missing")
        except ValueError as error:
            problems.append(f"{name} is damaged: {first_line(error)}")
    result: TrialResult | None = found.get(RESULT)
    for name, digest in result.files.items() if result is not None else ():
        try:
            read_whole(trial.folder, name, digest)
        except ValueError as error:
            problems.append(str(error))
    is_broken, so_far = bool(problems), ""
    if result is None or not result.is_final:
        newest, passed_over = trial.find_checkpoint()
        steps, not_usable = trial.findings()
        problems += passed_over + not_usable
        so_far = f"checkpoint of epoch {newest.epoch}" if newest else "no checkpoint yet"
        so_far += f", {len(steps)} steps of the evaluation" if steps else ""
    state, detail = _state(trial, result, so_far, has_driver)
    return TrialCheck(trial.trial_id, "broken" if is_broken else state, detail, tuple(problems))


def _state(
    trial: TrialRecords, result: TrialResult | None, so_far: str, has_driver: bool
) -> tuple[State, str]:
    if result is not None:
        reason = f": {result.reason.splitlines()[0]}" if result.reason else ""
        origin = f", reused from {result.reused_from}" if result.reused_from else ""
        return "complete" if result.is_final else "failed", f"{result.status}{reason}{origin}"
    attempts = trial.attempts()
    if not attempts:
        return "interrupted", "proposed, not started"
    last = attempts[-1]
    starts = f"{len(attempts)} starts, " if len(attempts) > 1 else ""
    if has_driver:
        return "running", f"{so_far}, {starts}process {last.pid} on {last.host} since {last.began}"
    return "interrupted", f"{so_far}, {starts}last on {last.host} at {last.began}"


def _check_start(records: SweepRecords, description: SweepDescription) -> list[str]:
    """Return what is wrong with the starting model, or its checkpoints, beside the sweep."""
    if not (fields := description.config.get("start")):
        return []
    try:
        start = StartConfig.model_validate(fields)
    except ValueError as error:
        return [f"the starting model cannot be checked: {first_line(error)}"]
    kept = starting_models.folder(records.folder.parent, start, description.data_digest)
    if kept.exists(starting_models.DESCRIPTION):
        if starting_models.stored(kept) is not None:
            return []
        return [f"the starting model in {kept.path} is damaged; it is trained again"]
    training = starting_models.training_records(kept, description.name)
    return [
        f"the starting model in {training.folder.path}: {problem}"
        for name in training.names()
        for problem in _check_trial(training.trial(name), has_driver=False).problems
    ]
