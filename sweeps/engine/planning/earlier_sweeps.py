"""What other sweeps under the same storage have: trials to reuse, and what trials took."""

import socket
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sweeps.engine.cli.options import SweepOptions
from sweeps.engine.cli.storage_checks import RESERVED_NAMES
from sweeps.engine.planning.plan import Plan
from sweeps.engine.records import OtherSweeps, SweepRecords, TrialRecords, TrialResult
from sweeps.engine.records.storage import Folder
from sweeps.engine.system import machine
from sweeps.engine.system.errors import StorageError


def other_sweeps(
    plan: Plan, options: SweepOptions, storage: Folder, data_digest: str
) -> OtherSweeps | None:
    """List the trials of other sweeps; None if trials are to be trained again."""
    if options.fresh:
        return None
    return OtherSweeps.under(storage, plan.name, data_digest, plan.resources.device)


def reusable_trials(
    plan: Plan, records: SweepRecords, others: OtherSweeps | None
) -> dict[str, str]:
    """Return the known trials that need not be trained, by id, and the sweep that has each."""
    found: dict[str, str] = {}
    if others is None:
        return found
    for trial_id in (config.trial_id for config in plan.known_trials):
        here = records.trial(trial_id).result()
        is_done = here is not None and here.is_final
        if not is_done and (elsewhere := others.find(trial_id)) is not None:
            result, trial = elsewhere
            found[trial_id] = result.reused_from or trial.sweep
    return found


def fresh_name(storage: Folder, name: str) -> str:
    """Return a name that no sweep has yet: with a number behind it where one does."""
    taken, number = set(storage.names()), 1
    found = name
    while found in taken:
        number += 1
        found = f"{name}-{number}"
    return found


@dataclass(frozen=True)
class TimeEstimate:
    """What a trial takes that spends all its epochs; one that converges early takes less.

    Attributes:
        trial: seconds, the mean over the plan's methods.
        start: seconds of the vanilla model that trials start from.
        source: how that is known, in words.
        points: seconds of a trial of each of ``Plan.typical_trials``; empty if not known apart.
    """

    trial: float
    start: float
    source: str
    points: tuple[float, ...] = field(default=(), compare=False)


def recorded_time(plan: Plan, storage: Folder) -> TimeEstimate | None:
    """Return the estimate by the trials of one earlier sweep, or of this one; None without any.

    It is the newest with all of the plan's methods, whatever their numbers are, on a device that
    the plan's trials may run on: on this host if that is a CPU.
    """
    kinds = {(method.method, model) for method, _, model in plan.typical_trials}
    for records in _comparable_sweeps(plan, storage):
        found: dict[tuple[str, str], list[_Recorded]] = {kind: [] for kind in kinds}
        devices = set()
        for trial in map(records.trial, records.names()):
            result = trial.result()
            if result is None or not result.history or not result.is_measured:
                continue
            kind = result.config.method.method, str(result.config.model)
            device = _device(plan, trial, result)
            if kind in kinds and device is not None:
                found[kind].append(_Recorded.of(result))
                devices.add(device)
        if all(found.values()):
            count = sum(map(len, found.values()))
            mean = {kind: _Recorded.mean(found[kind]) for kind in kinds}
            points = tuple(
                training.max_epochs * (own.training + own.validation) + own.evaluation
                for method, training, model in plan.typical_trials
                if (own := mean[method.method, model])
            )
            vanilla = {  # or slower
                model: min(mean[kind].training for kind in kinds if kind[1] == model)
                for _, model in kinds
            }
            return TimeEstimate(
                statistics.fmean(points),
                sum(vanilla[each.model] * each.training.max_epochs for each in plan.starts),
                f"by the recorded speed of {count} earlier trial{'s' * (count > 1)} on "
                f"{', '.join(sorted(devices))}",
                points,
            )
    return None


def _comparable_sweeps(plan: Plan, storage: Folder) -> Iterator[SweepRecords]:
    """Yield the plan's own sweep, then those whose trials cost as much, newest first.

    What cannot be read is no sweep to compare with.
    """
    found: list[tuple[bool, str, SweepRecords]] = []
    for name in storage.names():
        if name in RESERVED_NAMES:
            continue
        try:
            records = SweepRecords(storage / name)
            description = records.read_sweep()
            # Which driver ran which of its trials is not recorded: all must have given them as
            # much of a GPU.
            shares = {usage.gpus_per_trial for usage in records.usage.read()}
            if description is None or not shares <= {plan.resources.gpus}:
                continue
            theirs, ours = description.config, plan.config.model_dump(mode="json")
            if all(theirs.get(key) == ours.get(key) for key in ("data", "evaluation")) and all(
                theirs["training"].get(key) == ours["training"].get(key)
                for key in ("batch_size", "precision", "compiled")
            ):
                found.append((name == plan.name, description.created, records))
        except (OSError, ValueError, StorageError):
            continue
    for *_, records in sorted(found, key=lambda each: each[:2], reverse=True):
        yield records


def _device(plan: Plan, trial: TrialRecords, result: TrialResult) -> str | None:
    """Return the name of the trial's device; None if it is not one that the plan's may run on."""
    if plan.resources.device == "cpu":
        attempts = trial.attempts()
        is_here = bool(attempts) and attempts[-1].host == socket.gethostname()
        is_alike = result.device.startswith(f"cpu, {plan.resources.cpus} thread(s)")
        return "this machine's CPU" if is_here and is_alike else None
    name = result.device.split(", ")[0]
    is_gpu = not name.endswith("cpu")  # or "2 x cpu"
    return name if is_gpu and (not machine.gpu_count() or name == gpu_name()) else None


def gpu_name() -> str:
    """Return how records name the GPUs of this machine, which has some."""
    import torch

    return torch.cuda.get_device_name()


class _Recorded(NamedTuple):
    """Seconds of an epoch's training, of validation after it, and of the final model's."""

    training: float
    validation: float
    evaluation: float

    @classmethod
    def of(cls, result: TrialResult) -> "_Recorded":
        """Return those of a trial."""
        history = result.history
        return cls(
            statistics.fmean(entry["seconds"] for entry in history),
            statistics.fmean(entry.get("validation_seconds", 0.0) for entry in history),
            result.seconds.get("evaluation", 0.0),
        )

    @classmethod
    def mean(cls, trials: Sequence["_Recorded"]) -> "_Recorded":
        """Return the mean of those of several trials."""
        return cls(*map(statistics.fmean, zip(*trials, strict=True)))
