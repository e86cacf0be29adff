"""Run one trial: configuration -> trainer -> evaluation -> result. Knows neither Ray nor MLflow."""

import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import torch

from gon_core import evaluation, seeding
from gon_core.config import StartConfig, TrialConfig, Vanilla
from gon_core.data.splits import LabelledImages, Splits
from gon_core.evaluation import AccuracyRow, EvaluationSet
from gon_core.models import MadryCNN
from gon_core.training import TrainingState, checkpoints, new_state, train
from gon_core.training.loop import EpochMetrics
from sweeps.engine.records import Checkpoint, TrialRecords, TrialResult

# The metric that pruning compares and the live table shows: each validation image under one of the
# corruptions. The objective of the search is measured on the final model under all of them.
VALIDATION_METRIC = "validation_corrupted"


@dataclass(frozen=True)
class TrialData:
    """What all trials of a sweep share: made once, read-only.

    Attributes:
        training: the images to train on.
        validation: held-out images, clean and corrupted; model selection looks at these alone.
        test: test images, clean and corrupted; reported, never searched on.
    """

    training: LabelledImages
    validation: EvaluationSet
    test: EvaluationSet

    def to(self, device: str) -> "TrialData":
        """Return the same data on ``device``."""
        return TrialData(self.training.to(device), self.validation.to(device), self.test.to(device))


def prepare_data(splits: Splits, corruption_seed: int) -> TrialData:
    """Return the data of all trials, with the corrupted images made."""
    return TrialData(
        training=splits.training,
        validation=evaluation.build(splits.validation, "validation", corruption_seed),
        test=evaluation.build(splits.test, "test", corruption_seed),
    )


def make_deterministic(device: str, threads: int) -> None:
    """Make this process give the same bits in every run, alone or beside others."""
    torch.set_num_threads(threads)
    if device == "cuda":
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        torch.use_deterministic_algorithms(True)


def train_start(
    start: StartConfig, training: LabelledImages, device: str
) -> Iterator[tuple[EpochMetrics, bytes]]:
    """Train the vanilla model that all trials start from; yield each epoch and its weights."""
    model = MadryCNN(seeding.generator(start.seed, "initial weights")).to(device)
    state = new_state(model, start.training, start.seed)
    for metrics in train(state, training, Vanilla(), start.training):
        yield metrics, checkpoints.dump_model(model)


def run_trial(
    config: TrialConfig,
    data: TrialData,
    start_weights: bytes | None,
    records: TrialRecords,
    device: str = "cpu",
    checkpoint_every: int = 1,
    report: Callable[[dict[str, float]], None] = lambda metrics: None,
) -> TrialResult:
    """Train and evaluate one trial, or carry it on from its last checkpoint; write its record.

    Args:
        config: what to run.
        data: on ``device``.
        start_weights: the vanilla model, where ``config.start`` asks for one.
        records: where its checkpoints are and its result goes.
        device: ``cpu`` or ``cuda``.
        checkpoint_every: epochs between two checkpoints.
        report: called with the metrics of each epoch, in order; may end the trial by raising
            anything that is not an ``Exception``.

    Returns:
        The result that was written. An error in the training is a result too: status ``failed``.
    """
    if (done := records.result()) is not None:
        if done.is_final:
            return done
        records.forget_result()
    records.write_config(config)
    history: list[dict[str, float]] = []
    try:
        result, weights = _train_and_evaluate(
            config, data, start_weights, records, device, checkpoint_every, report, history
        )
    except Exception as error:  # whatever broke, the record says it and the sweep goes on
        reason = f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
        result = TrialResult(
            trial_id=records.trial_id, config=config, status="failed", reason=reason,
            history=history, ended=now(), device=describe(device),
        )  # fmt: skip
        weights = None
    records.write_result(result, weights)
    return result


def now() -> str:
    """Return the time of day in UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def describe(device: str) -> str:
    """Return a device's name and, for a CPU, the number of threads."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    return f"cpu, {torch.get_num_threads()} thread(s)"


def _train_and_evaluate(
    config, data, start_weights, records, device, checkpoint_every, report, history
) -> tuple[TrialResult, bytes]:
    state, resumed = _initial_state(config, start_weights, records, device)
    history += resumed
    for entry in history:
        report(entry)
    mixed = evaluation.mixed(data.validation)
    bf16 = config.training.precision == "bf16"
    event = "max_epochs"
    for metrics in train(state, data.training, config.method, config.training):
        started = time.perf_counter()
        correct = evaluation.count_correct(state.model, mixed, bf16)
        entry = {
            name: value for name, value in asdict(metrics).items() if isinstance(value, int | float)
        } | {
            VALIDATION_METRIC: 100 * correct / len(mixed),
            "validation_seconds": time.perf_counter() - started,
        }
        history.append(entry)
        event = metrics.event
        if not metrics.is_last and metrics.epoch % checkpoint_every == 0:
            files = checkpoints.dump(state)
            records.write_checkpoint(Checkpoint(metrics.epoch, files, list(history)))
        report(entry)
    started = time.perf_counter()
    rows: list[AccuracyRow] = []
    if event != "diverged":
        for part in (data.validation, data.test):
            rows += evaluation.evaluate(state.model, part, bf16)
    seconds = {
        "training": sum(entry["seconds"] for entry in history),
        "validation": sum(entry["validation_seconds"] for entry in history),
        "evaluation": time.perf_counter() - started,
    }
    assert event in ("converged", "max_epochs", "diverged"), f"training ended with {event}"
    result = TrialResult(
        trial_id=records.trial_id,
        config=config,
        status=event,
        reason="the training loss is not finite" if event == "diverged" else "",
        history=history,
        rows=rows,
        objective=evaluation.mean_top1(rows, "validation") if rows else None,
        best_epoch=best_epoch(history),
        seconds=seconds,
        ended=now(),
        device=describe(device),
    )
    return result, checkpoints.dump_model(state.model)


def _initial_state(
    config: TrialConfig, start_weights: bytes | None, records: TrialRecords, device: str
) -> tuple[TrainingState, list[dict[str, float]]]:
    model = MadryCNN(seeding.generator(config.seed, "initial weights"))
    if config.start is not None:
        assert start_weights is not None, "a trial with a start was given no weights"
        checkpoints.restore_model(model, start_weights)
    state = new_state(model.to(device), config.training, config.seed)
    checkpoint = records.latest_checkpoint()
    if checkpoint is None:
        return state, []
    checkpoints.restore(state, checkpoint.files)
    return state, checkpoint.history


def best_epoch(history: list[dict[str, float]]) -> int | None:
    """Return the epoch with the highest validation accuracy, the first of equals."""
    if not history:
        return None
    return int(max(history, key=lambda entry: entry[VALIDATION_METRIC])["epoch"])
