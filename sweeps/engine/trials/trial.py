"""Run one trial: configuration -> trainer -> evaluation -> result. Knows neither Ray nor MLflow."""

import copy
import hashlib
import logging
import os
import socket
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch

from gon_core import evaluation, seeding
from gon_core.config import ANT, Given, OwnFunction, TrialConfig
from gon_core.data.splits import Images, LabelledImages
from gon_core.evaluation import learned_noise
from gon_core.evaluation.measure import Measured
from gon_core.measurement import mean_top1
from gon_core.noise import solver_name
from gon_core.training import StoppedError, TrainingState, checkpoints, new_state, train
from gon_core.training.convergence import Event, ended
from gon_core.training.opponent import Opponent
from sweeps.engine.records import (
    NOISE,
    VALIDATION_METRIC,
    Attempt,
    Checkpoint,
    Status,
    TrialRecords,
    TrialResult,
)
from sweeps.engine.system.errors import StorageError
from sweeps.engine.system.provenance import now
from sweeps.engine.trials import ranks
from sweeps.engine.trials.evaluation_steps import Steps
from sweeps.engine.trials.measures import TrialData, measure
from sweeps.engine.trials.own import TrainFunction, train_own
from sweeps.engine.trials.ranks.images import of_one_rank

log = logging.getLogger(__name__)


def make_deterministic(device: str, threads: int) -> None:
    """Make this process give the same bits in every run, alone or beside others."""
    torch.set_num_threads(threads)
    if device == "cuda":
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        torch.use_deterministic_algorithms(True)
        # It would also fill new memory, a kernel each time; nothing is read before it is set.
        torch.utils.deterministic.fill_uninitialized_memory = False  # pyrefly: ignore[missing-attribute]


def run_trial(
    config: TrialConfig,
    data: TrialData,
    start_weights: bytes | None,
    records: TrialRecords,
    checkpoint_every: int = 1,
    report: Callable[[dict[str, float]], None] = lambda metrics: None,
    processes: int = 1,
    stop: Callable[[], bool] = lambda: False,
    node: str = "",
    evaluates: bool = True,
    show: Callable[[dict[str, float], str], None] = lambda metrics, words: None,
    function: TrainFunction | None = None,
) -> TrialResult:
    """Train and evaluate one trial, or resume it from its last checkpoint; write its record.

    Args:
        config: what to run.
        data: on the device that trains.
        start_weights: the vanilla model; None if ``config.start`` is None.
        records: where its checkpoints are and its result goes.
        checkpoint_every: epochs between two checkpoints.
        report: called with the metrics of each epoch but the last, in order; may end the trial
            by raising anything that is not an ``Exception``. The last one comes with the result:
            otherwise a scheduler could stop a trial that has nothing left to train.
        processes: that train it together, each on a GPU of its own if the data is on one. They
            are no part of the trial: a checkpoint is the same, up to rounding, for any number of
            them. This process alone validates, evaluates and writes.
        stop: called after each step, and in the evaluation: whether to end for now.
        node: where it runs, for the record.
        evaluates: whether the model is validated after each epoch and evaluated at the end; the
            vanilla model that other trials start from is only trained.
        show: called in the evaluation, about once a second, with the metrics of the last epoch and
            a few words on how far it is.
        function: the training function, where the method is a user's own.

    Returns:
        The result that was written. An error in the training is a result too: status ``failed``.

    Raises:
        StoppedError: as ``stop`` said; a checkpoint has all that was done.
    """
    records.write_config(config)
    if (done := records.result()) is not None:
        if done.is_final:
            return done
        records.forget_result()
    run = _TrialRun(config, data, records, processes, stop, evaluates, show, function)
    try:
        run.start(start_weights, node, report)
        if run.end is None:
            run.train(checkpoint_every, report)
        result, files = run.evaluate()
        files = {checkpoints.MODEL: checkpoints.dump_model(run.state.model)} | files
        return records.write_result(result, files | run.learned_noise())
    except StoppedError as stopped:
        try:
            if run.end is None and function is None:  # else one of the end of the training is kept
                run.keep()
            records.write_stop()
        except StorageError:  # the network may be lost first; an older checkpoint exists
            log.warning("trial %s: no checkpoint could be taken at its stop", records.trial_id)
        raise stopped from None
    except Exception as error:  # whatever broke, the record says it and the sweep continues
        result = run.result("failed", f"{cause(error)}\n{traceback.format_exc()}")
        return records.write_result(result)


def begin_training(
    config: TrialConfig, device: str, start_weights: bytes | None = None
) -> TrainingState:
    """Return the state in which a trial's training begins."""
    assert not isinstance(config.method, Given), "given weights are not trained"
    benchmark = config.data.benchmark
    model = benchmark.make_model(config.model, seeding.generator(config.seed, "initial weights"))
    if start_weights is not None:
        checkpoints.restore_model(model, start_weights)
    model = model.to(device)
    if device == "cuda":  # in which its convolutions are fastest; the answers differ by rounding
        model = model.to(memory_format=torch.channels_last)
    return new_state(
        model, config.training, config.seed, config.method, benchmark.image_shape[0],
        benchmark.augment, config.data.images_of_an_epoch,
    )  # fmt: skip


def cause(error: BaseException) -> str:
    """Return what broke a trial, in one line."""
    text = " ".join(str(error).split())
    out_of_memory = isinstance(error, MemoryError | torch.OutOfMemoryError)
    if out_of_memory or "can't allocate memory" in text:  # torch's words on a CPU
        return f"out of memory: {text}"
    return f"{type(error).__name__}: {text}"


def describe(device: str, processes: int = 1) -> str:
    """Return a device's name and, for a CPU, the number of threads of each of its processes."""
    times = f"{processes} x " if processes > 1 else ""
    if device == "cuda":
        return times + torch.cuda.get_device_name()
    return f"{times}cpu, {torch.get_num_threads()} thread(s)"


@dataclass
class _TrialRun:
    config: TrialConfig
    data: TrialData
    records: TrialRecords
    processes: int
    stop: Callable[[], bool]
    evaluates: bool
    show: Callable[[dict[str, float], str], None]
    function: TrainFunction | None
    history: list[dict[str, float]] = field(default_factory=list)
    end: Event | None = None  # what ended the training

    @property
    def device(self) -> str:
        return self.data.training.device.type

    @property
    def bf16(self) -> bool:
        return self.config.training.precision == "bf16"

    def start(
        self, start_weights: bytes | None, node: str, report: Callable[[dict[str, float]], None]
    ) -> None:
        """Set the state to the last checkpoint, or to the beginning; report the epochs so far."""
        assert self.config.start is None or start_weights is not None, "it starts from weights"

        def restore(found: Checkpoint) -> None:
            self.state = begin_training(self.config, self.device, start_weights)
            checkpoints.restore(self.state, found.files)
            self.history = found.history

        checkpoint, passed_over = self.records.find_checkpoint(restore)
        if checkpoint is None:  # one of them may have been restored in part
            self.state = begin_training(self.config, self.device, start_weights)
        epoch = checkpoint.epoch if checkpoint is not None else 0
        host, pid = socket.gethostname(), os.getpid()
        self.records.write_attempt(Attempt(host, pid, now(), epoch, passed_over, node))
        self.end = ended(self.state.convergence, self.config.training)
        if self.end is None and checkpoint is not None and self.function is not None:
            self.end = "converged"  # no other state of such a training is kept
        for entry in self.history[: -1 if self.end else None]:  # the last comes with the result
            report(entry)

    def train(self, checkpoint_every: int, report: Callable[[dict[str, float]], None]) -> None:
        """Train to the end, validating after each epoch; keep checkpoints at intervals and then.

        A user's own function begins again wherever it was interrupted: of it the end alone is kept.
        """
        config = self.config
        assert not isinstance(config.method, Given), "given weights are not trained"
        data = self.data.training if config.method.uses_stylized else self.data.own
        images = of_one_rank(data, self.processes)
        mixed = evaluation.mixed(self.data.validation) if self.evaluates else None
        if isinstance(config.method, OwnFunction):
            self._train_own(config.method, images, mixed, report)
            return
        with ranks.started(self.processes, config, self.state, images):
            for metrics in train(self.state, images, config.method, config.training, self.stop):
                entry = {
                    "epoch": float(metrics.epoch),
                    "train_loss": metrics.train_loss,
                    "train_accuracy": metrics.train_accuracy,
                    "learning_rate": metrics.learning_rate,
                    "seconds": metrics.seconds,
                    "data_seconds": metrics.data_seconds,
                    **(self._validate(mixed) if mixed is not None else {}),
                    **metrics.extra,
                }
                self.history.append(entry)
                # After the last one too: an evaluation takes as long as many epochs.
                due = metrics.is_last or metrics.epoch % checkpoint_every == 0
                if due and metrics.event != "diverged":  # that is not evaluated
                    self.keep()
                if metrics.is_last:  # the caller reports it with the result
                    self.end = metrics.event
                else:
                    report(entry)

    def _train_own(
        self,
        method: OwnFunction,
        images: Images,
        mixed: LabelledImages | None,
        report: Callable[[dict[str, float]], None],
    ) -> None:
        assert self.function is not None, "a user's own method has a function"

        def take_in(metrics: dict[str, float]) -> None:
            if self.history:  # the last one comes with the result
                report(self.history[-1])
            self.history.append(metrics | (self._validate(mixed) if mixed is not None else {}))

        config, stop = self.config, self.stop
        run = partial(train_own, self.function, self.state, images, method, config.training)
        if (end := run(config.seed, stop, take_in)) != "diverged":
            self.keep()
        self.end = end

    def _validate(self, mixed: LabelledImages) -> dict[str, float]:
        started = time.perf_counter()
        correct = evaluation.count_correct(self.state.model, mixed, self.bf16)
        return {
            VALIDATION_METRIC: 100 * correct / len(mixed),
            "validation_seconds": time.perf_counter() - started,
        }

    def keep(self) -> None:
        """Write a checkpoint of all that was done."""
        epoch, progress = self.state.convergence.epoch, self.state.progress
        steps = progress.steps if progress is not None else 0
        files = checkpoints.dump(self.state)
        self.records.write_checkpoint(Checkpoint(epoch, files, list(self.history), steps))

    def evaluate(self) -> tuple[TrialResult, dict[str, bytes]]:
        """Measure the final model; a diverged one has no figures.

        Returns:
            the result, and files to be kept beside it.
        """
        if self.end == "diverged":
            return self.result("diverged", "the training loss is not finite"), {}
        assert self.end in ("converged", "max_epochs"), f"training ended with {self.end}"
        if not self.evaluates:
            return self.result(self.end), {}
        model, started = self.state.model, time.perf_counter()
        digest = hashlib.sha256(checkpoints.dump_model(model)).hexdigest()
        done, passed_over = self.records.findings(digest)  # of this very model
        if passed_over:
            self.records.write_passed_over(passed_over)
        keep = partial(self.records.write_finding, model=digest)
        steps = Steps(done, keep, self.stop, show=self._show)
        before = steps.seconds
        found = measure(model, self.data, self.config.evaluation, self.bf16, steps=steps)
        seconds = before + time.perf_counter() - started
        return self.result(self.end, measured=found, evaluation_seconds=seconds), found.files

    def _show(self, words: str) -> None:
        self.show(self.history[-1], words)

    def learned_noise(self) -> dict[str, bytes]:
        """Return what the noise generator learned as a file; nothing for methods without one."""
        opponent, method = self.state.method_state, self.config.method
        if not isinstance(opponent, Opponent) or not isinstance(method, ANT):
            return {}
        generator = copy.deepcopy(opponent.generator).cpu()
        clean = self.data.validation.clean
        images = clean.batch(slice(0, learned_noise.IMAGES)).cpu()
        stream = seeding.generator(self.config.seed, "learned noise")
        portrait = learned_noise.describe(generator, images, method.epsilon, stream)
        return {NOISE: learned_noise.dump(portrait, generator)}

    def result(
        self,
        status: Status,
        reason: str = "",
        measured: Measured | None = None,
        evaluation_seconds: float = 0.0,
    ) -> TrialResult:
        """Return the record of how the trial ended."""
        found, device = measured or Measured(), describe(self.device, self.processes)
        if isinstance(self.config.method, ANT):  # fused and eager arithmetic differ in the last bit
            device += f", {solver_name(self.device)} epsilon sphere"
        return TrialResult(
            trial_id=self.records.trial_id,
            config=self.config,
            status=status,
            reason=reason,
            history=self.history,
            measurements=found.measurements,
            spread=found.spread,
            objective=mean_top1(found.measurements, "validation") if measured else None,
            best_epoch=best_epoch(self.history) if self.evaluates else None,
            seconds={
                "training": sum(entry["seconds"] for entry in self.history),
                "validation": sum(entry.get("validation_seconds", 0.0) for entry in self.history),
                "evaluation": evaluation_seconds,
            },
            ended=now(),
            device=device,
            device_type=self.device,
            notes=[note for attempt in self.records.attempts() for note in attempt.notes],
        )


def best_epoch(history: list[dict[str, float]]) -> int | None:
    """Return the epoch with the highest validation accuracy, the first of equals."""
    if not history:
        return None
    return int(max(history, key=lambda entry: entry[VALIDATION_METRIC])["epoch"])
