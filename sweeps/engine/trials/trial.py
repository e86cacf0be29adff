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
from gon_core.config import ANT, Given, TrialConfig
from gon_core.data.splits import LabelledImages
from gon_core.evaluation import learned_noise
from gon_core.evaluation.measure import Measured
from gon_core.measurement import mean_top1
from gon_core.noise import solver_name
from gon_core.training import StoppedError, checkpoints, new_state, train
from gon_core.training.convergence import Event, ended
from gon_core.training.opponent import Opponent
from gon_core.training.parallel import ALONE
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

log = logging.getLogger(__name__)


def make_deterministic(device: str, threads: int) -> None:
    """Make this process give the same bits in every run, alone or beside others."""
    torch.set_num_threads(threads)
    if device == "cuda":
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        torch.use_deterministic_algorithms(True)


def run_trial(
    config: TrialConfig,
    data: TrialData,
    start_weights: bytes | None,
    records: TrialRecords,
    device: str = "cpu",
    checkpoint_every: int = 1,
    report: Callable[[dict[str, float]], None] = lambda metrics: None,
    processes: int = 1,
    stop: Callable[[], bool] = lambda: False,
    node: str = "",
    evaluates: bool = True,
) -> TrialResult:
    """Train and evaluate one trial, or resume it from its last checkpoint; write its record.

    Args:
        config: what to run.
        data: on ``device``.
        start_weights: the vanilla model; None if ``config.start`` is None.
        records: where its checkpoints are and its result goes.
        device: ``cpu`` or ``cuda``.
        checkpoint_every: epochs between two checkpoints.
        report: called with the metrics of each epoch but the last, in order; may end the trial
            by raising anything that is not an ``Exception``. The last one comes with the result:
            otherwise a scheduler could stop a trial that has nothing left to train.
        processes: that train it together, each on a GPU of its own if ``device`` is ``cuda``. They
            are no part of the trial: a checkpoint is the same, up to rounding, for any number of
            them. This process alone validates, evaluates and writes.
        stop: called after each step, and in the evaluation: whether to end for now.
        node: where it runs, for the record.
        evaluates: whether the model is validated after each epoch and evaluated at the end; the
            vanilla model that other trials start from is only trained.

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
    run = _TrialRun(
        config, data, records, device, checkpoint_every, report, processes, stop, node, evaluates
    )
    try:
        run.start(start_weights)
        run.train()
        result, files = run.evaluate()
        files = {checkpoints.MODEL: checkpoints.dump_model(run.state.model)} | files
        return records.write_result(result, files | run.learned_noise())
    except StoppedError as stopped:
        try:
            if not run.is_trained:  # else there is a checkpoint of the end of the training
                run.keep()
            records.write_stop()
        except StorageError:  # the network may be lost first; an older checkpoint exists
            log.warning("trial %s: no checkpoint could be taken at its stop", records.trial_id)
        raise stopped from None
    except Exception as error:  # whatever broke, the record says it and the sweep continues
        result = run.result("failed", f"{cause(error)}\n{traceback.format_exc()}")
        return records.write_result(result)


def cause(error: Exception) -> str:
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
    device: str
    checkpoint_every: int
    report: Callable[[dict[str, float]], None]
    processes: int
    stop: Callable[[], bool]
    node: str
    evaluates: bool
    history: list[dict[str, float]] = field(default_factory=list)
    event: Event = "continue"

    @property
    def bf16(self) -> bool:
        return self.config.training.precision == "bf16"

    @property
    def is_trained(self) -> bool:
        return ended(self.state.convergence, self.config.training) is not None

    def start(self, start_weights: bytes | None) -> None:
        """Set the state to the last checkpoint, or to the beginning; report the epochs so far."""
        self._begin(start_weights)
        checkpoint, passed_over = self.records.find_checkpoint(
            lambda found: self._restore(start_weights, found)
        )
        if checkpoint is None and passed_over:  # one of them may have been restored in part
            self._begin(start_weights)
        epoch = checkpoint.epoch if checkpoint is not None else 0
        host, pid = socket.gethostname(), os.getpid()
        self.records.write_attempt(Attempt(host, pid, now(), epoch, passed_over, self.node))
        end = ended(self.state.convergence, self.config.training)
        self.event = end or "continue"
        for entry in self.history[: -1 if end else None]:  # the last one comes with the result
            self.report(entry)

    def _begin(self, start_weights: bytes | None) -> None:
        config = self.config
        assert not isinstance(config.method, Given), "given weights are not trained"
        weights = seeding.generator(config.seed, "initial weights")
        model = config.data.benchmark.make_model(config.model, weights)
        if config.start is not None:
            assert start_weights is not None, "a trial with a start was given no weights"
            checkpoints.restore_model(model, start_weights)
        channels = config.data.benchmark.image_shape[0]
        self.state = new_state(
            model.to(self.device), config.training, config.seed, config.method, channels
        )

    def _restore(self, start_weights: bytes | None, checkpoint: Checkpoint) -> None:
        self._begin(start_weights)
        checkpoints.restore(self.state, checkpoint.files)
        self.history = checkpoint.history

    def train(self) -> None:
        """Train to the end, by one process or several."""
        if self.event != "continue":
            return
        state, data = self.state, self.data.training
        try:
            with ranks.started(self.processes, self.config, state, data) as state.group:
                self._train()
        finally:
            state.group = ALONE

    def _train(self) -> None:
        """Train to the end, validating after each epoch; keep checkpoints at intervals and then."""
        config = self.config
        assert not isinstance(config.method, Given), "given weights are not trained"
        mixed = evaluation.mixed(self.data.validation) if self.evaluates else None
        trained = train(self.state, self.data.training, config.method, config.training, self.stop)
        for metrics in trained:
            entry = {
                "epoch": float(metrics.epoch),
                "train_loss": metrics.train_loss,
                "train_accuracy": metrics.train_accuracy,
                "learning_rate": metrics.learning_rate,
                "seconds": metrics.seconds,
                **(self._validate(mixed) if mixed is not None else {}),
                **metrics.extra,
            }
            self.history.append(entry)
            self.event = metrics.event
            # After the last one too: an evaluation takes as long as many epochs.
            due = metrics.is_last or metrics.epoch % self.checkpoint_every == 0
            if due and metrics.event != "diverged":  # that is not evaluated
                self.keep()
            if not metrics.is_last:  # the caller reports the last one with the result
                self.report(entry)

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
        if self.event == "diverged":
            return self.result("diverged", "the training loss is not finite"), {}
        assert self.event in ("converged", "max_epochs"), f"training ended with {self.event}"
        if not self.evaluates:
            return self.result(self.event), {}
        model, started = self.state.model, time.perf_counter()
        steps = self._steps()
        before = steps.seconds
        with steps.stoppable(model, self.stop):
            found = measure(model, self.data, self.config.evaluation, self.bf16, steps=steps)
        seconds = before + time.perf_counter() - started
        result = self.result(self.event, measured=found, evaluation_seconds=seconds)
        return result, found.files

    def _steps(self) -> Steps:
        """Return the steps of the evaluation that are done, of this very model, and keep others."""
        digest = hashlib.sha256(checkpoints.dump_model(self.state.model)).hexdigest()
        done, passed_over = self.records.findings(digest)
        if passed_over:
            self.records.write_passed_over(passed_over)
        return Steps(done, partial(self.records.write_finding, model=digest))

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

    def _solver(self) -> str:
        # Fused and eager arithmetic differ in the last bit.
        if not isinstance(self.config.method, ANT):
            return ""
        return f", {solver_name(self.device)} epsilon sphere"

    def result(
        self,
        status: Status,
        reason: str = "",
        measured: Measured | None = None,
        evaluation_seconds: float = 0.0,
    ) -> TrialResult:
        """Return the record of how the trial ended."""
        found = measured or Measured()
        return TrialResult(
            trial_id=self.records.trial_id,
            config=self.config,
            status=status,
            reason=reason,
            history=self.history,
            measurements=found.measurements,
            objective=mean_top1(found.measurements, "validation") if measured else None,
            best_epoch=best_epoch(self.history) if self.evaluates else None,
            seconds={
                "training": sum(entry["seconds"] for entry in self.history),
                "validation": sum(entry.get("validation_seconds", 0.0) for entry in self.history),
                "evaluation": evaluation_seconds,
            },
            ended=now(),
            device=describe(self.device, self.processes) + self._solver(),
            device_type=self.device,
            notes=[note for attempt in self.records.attempts() for note in attempt.notes],
        )


def best_epoch(history: list[dict[str, float]]) -> int | None:
    """Return the epoch with the highest validation accuracy, the first of equals."""
    if not history:
        return None
    return int(max(history, key=lambda entry: entry[VALIDATION_METRIC])["epoch"])
