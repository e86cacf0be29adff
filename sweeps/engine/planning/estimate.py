"""What a trial of a plan takes at most: by earlier trials of its kind, else measured now."""

import math
import socket
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from gon_core.config import TrialConfig
from sweeps.engine.cli.storage_checks import RESERVED_NAMES
from sweeps.engine.planning.cost import measure_speed, start_seconds, trial_seconds
from sweeps.engine.planning.plan import Plan
from sweeps.engine.records import SweepRecords, TrialRecords, TrialResult
from sweeps.engine.records.storage import Folder
from sweeps.engine.resources.resources import Resources
from sweeps.engine.system import machine
from sweeps.engine.system.errors import StorageError

ENOUGH = 20  # recorded trials of a kind, beyond which no further sweep is read


@dataclass(frozen=True)
class TimeEstimate:
    """What a trial takes that spends all its epochs; one that converges early takes less.

    Attributes:
        trial: seconds, the mean over the plan's methods.
        start: seconds of the vanilla model that trials start from.
        source: how that is known, in words.
    """

    trial: float
    start: float
    source: str


@dataclass
class _Recorded:
    """Trials of one kind on one device.

    Attributes:
        whole: seconds of a trial that spends all its epochs, of each.
        epochs: mean seconds of training in an epoch, of each.
    """

    whole: list[float] = field(default_factory=list)
    epochs: list[float] = field(default_factory=list)


def estimate_time(plan: Plan, storage: Folder) -> TimeEstimate | None:
    """Return what a trial of ``plan`` takes; None if nothing is known of its device.

    Args:
        plan: the sweep's.
        storage: where it and other sweeps are kept.
    """
    return recorded_time(plan, storage) or measured_time(plan)


def measured_time(plan: Plan) -> TimeEstimate | None:
    """Return the estimate by a few steps on this machine; None if trials run on another device."""
    on_gpu = plan.resources.device == "cuda"
    if on_gpu and not machine.gpu_count():
        return None
    speed = measure_speed(plan.resources, plan.config.training)
    device = device_names(plan)[0] if on_gpu else "this machine's CPU"
    sharing = sharing_a_gpu(plan.resources)
    said = ""
    if sharing > 1:
        said = f", {sharing} times as long as alone for each of the {sharing} that share it"
    return TimeEstimate(
        sharing * trial_seconds(plan, speed),  # less where one of them leaves the GPU idle
        start_seconds(plan, speed),
        f"by the speed measured now on {device}{said}",
    )


def sharing_a_gpu(resources: Resources) -> int:
    """Return how many trials at a time share a GPU at most; 1 where each has one or more, or none.

    Args:
        resources: of a trial, and how many of them run at a time.
    """
    if resources.device != "cuda" or resources.gpus >= 1:
        return 1
    return min(math.floor(1 / resources.gpus + 1e-9), resources.slots)


def recorded_time(plan: Plan, storage: Folder) -> TimeEstimate | None:
    """Return the estimate by earlier trials in ``storage``; None unless every method has some.

    They have the same method (whatever its numbers are), images, batches, precision and measures,
    and ran on the same device: on this host if that is a CPU. Of a GPU that this machine does not
    have it is the one of which most trials are recorded.
    """
    wanted = _kinds(plan)
    found: dict[str, dict[str, _Recorded]] = {}
    for records in _comparable_sweeps(plan, storage):
        for trial in map(records.trial, records.names()):
            result = trial.result()
            if result is None or not _is_alike(plan, result):
                continue
            if (device := _device(plan, trial, result)) is not None:
                kinds = found.setdefault(device, {})
                kind = kinds.setdefault(result.config.method.method, _Recorded())
                _add(kind, result, plan.config.training.max_epochs)
        if any(min(_count(kinds, kind) for kind in wanted) >= ENOUGH for kinds in found.values()):
            break
    complete = {
        device: kinds for device, kinds in found.items() if all(_count(kinds, k) for k in wanted)
    }
    if not complete:
        return None
    device = max(complete, key=lambda name: sum(_count(complete[name], k) for k in set(wanted)))
    kinds = complete[device]
    trials = sum(_count(kinds, kind) for kind in set(wanted))
    start = min(statistics.fmean(kinds[kind].epochs) for kind in wanted)  # as vanilla, or slower
    return TimeEstimate(
        statistics.fmean(statistics.fmean(kinds[kind].whole) for kind in wanted),
        start * plan.config.start.training.max_epochs,
        f"by the recorded speed of {trials} earlier trial{'s' * (trials > 1)} on {device}",
    )


def device_names(plan: Plan) -> list[str]:
    """Return how records name the devices of this machine that trials of ``plan`` run on."""
    if plan.resources.device == "cpu":
        return [f"cpu, {plan.resources.cpus} thread(s)"]
    if not machine.gpu_count():
        return []
    import torch

    return [torch.cuda.get_device_name()]


def _kinds(plan: Plan) -> list[str]:
    """Return the method of every point that is known in advance, as often as it has points."""
    return [method.method for method in plan.known_methods]


def _count(kinds: dict[str, _Recorded], kind: str) -> int:
    return len(kinds[kind].whole) if kind in kinds else 0


def _add(kind: _Recorded, result: TrialResult, max_epochs: int) -> None:
    history = result.history
    validation = statistics.fmean(entry.get("validation_seconds", 0.0) for entry in history)
    epoch = statistics.fmean(entry["seconds"] for entry in history)
    kind.epochs.append(epoch)
    kind.whole.append(max_epochs * (epoch + validation) + result.seconds.get("evaluation", 0.0))


def _comparable_sweeps(plan: Plan, storage: Folder) -> Iterator[SweepRecords]:
    """Yield the plan's own sweep, then those of the same images and share of a GPU, newest first.

    What cannot be read is no sweep to compare with.
    """
    others: list[tuple[str, SweepRecords]] = []
    for name in storage.names():
        if name in RESERVED_NAMES:
            continue
        try:
            records = SweepRecords(storage / name)
            description = records.read_sweep()
            if description is None or not _shares_alike(plan, records):
                continue
            if _asks_alike(plan, description.config):
                created = "~" if name == plan.name else description.created
                others.append((created, records))
        except (OSError, ValueError, StorageError):
            continue
    for _, records in sorted(others, key=lambda other: other[0], reverse=True):
        yield records


def _asks_alike(plan: Plan, asked: dict[str, Any]) -> bool:
    ours = plan.config.model_dump(mode="json")  # without what has its default
    return all(asked.get(key) == ours.get(key) for key in ("data", "evaluation"))


def _shares_alike(plan: Plan, records: SweepRecords) -> bool:
    # Which driver ran which of its trials is not recorded: all must have given them as much.
    return {usage.gpus_per_trial for usage in records.usage.read()} <= {plan.resources.gpus}


def _is_alike(plan: Plan, result: TrialResult) -> bool:
    config: TrialConfig = result.config
    training, ours = config.training, plan.config.training
    return (
        bool(result.history)
        and result.is_measured
        and config.data == plan.config.data
        and config.evaluation == plan.config.evaluation
        and (training.batch_size, training.precision) == (ours.batch_size, ours.precision)
    )


def _device(plan: Plan, trial: TrialRecords, result: TrialResult) -> str | None:
    """Return the name of the trial's device; None if it is not one that the plan's may run on."""
    parts = result.device.split(", ")
    on_cpu = parts[0].endswith("cpu")  # or "2 x cpu"
    if on_cpu != (plan.resources.device == "cpu"):
        return None
    if on_cpu:
        attempts = trial.attempts()
        here = bool(attempts) and attempts[-1].host == socket.gethostname()
        return "this machine's CPU" if here and ", ".join(parts[:2]) in device_names(plan) else None
    names = device_names(plan)
    return parts[0] if not names or parts[0] in names else None
