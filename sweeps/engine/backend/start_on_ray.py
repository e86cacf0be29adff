"""The vanilla model trained where trials run, and carried on like one when its process is gone."""

import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayError, RayTaskError

from gon_core.config import StartConfig
from gon_core.data.splits import LabelledImages
from gon_core.formats import training_code
from gon_core.training import StoppedError
from gon_core.training.loop import EpochMetrics
from sweeps.engine.backend.driver import Limits, is_gone
from sweeps.engine.backend.notice import Notice
from sweeps.engine.backend.shared_data import SharedData, fetch
from sweeps.engine.backend.shared_storage import other_code, unshared
from sweeps.engine.planning.plan import Resources
from sweeps.engine.records.starting_models import StartModel
from sweeps.engine.records.storage import Folder
from sweeps.engine.records.sweep import DESCRIPTION
from sweeps.engine.resources.cluster_check import ClusterError, UnsharedStorageError
from sweeps.engine.system.text import times
from sweeps.engine.trials.start_training import train_start
from sweeps.engine.trials.trial import make_deterministic

WAIT_SECONDS = 1.0
NAME = "vanilla"  # among the trials of a machine


@dataclass(frozen=True)
class _Begun:
    """What a process says before it trains.

    Attributes:
        node: Ray's name of its machine.
        unshared: why it cannot keep checkpoints there; empty if it can.
    """

    node: str
    unshared: str = ""


@dataclass
class _Ends:
    """How processes of the training ended before it did."""

    limits: Limits
    failures: int = 0
    node_losses: int = 0

    def count(self, node_is_lost: bool) -> None:
        """Count one more.

        Raises:
            ClusterError: it was one too many.
        """
        self.node_losses += node_is_lost
        self.failures += not node_is_lost
        if self.failures > self.limits.failures:
            raise _not_trained(f"its process died {times(self.failures)}")
        if self.node_losses > self.limits.node_losses:
            raise _not_trained(f"its machine went away {times(self.node_losses)}")


@dataclass
class StartTask:
    """The training of the vanilla model, by one process wherever there is room.

    By one in any case: then all sweeps share the same bits.

    Attributes:
        start: what to train.
        begun: where its checkpoints are.
        sweep: the folder of its records.
        resources: of a trial.
        checkpoint_every: epochs between two checkpoints.
        limits: how often it is carried on.
    """

    start: StartConfig
    begun: Folder
    sweep: Folder
    resources: Resources
    checkpoint_every: int
    limits: Limits

    def run(
        self, data: SharedData, is_here: bool, waiting: Callable[[], None] = lambda: None
    ) -> Iterator[EpochMetrics | StartModel]:
        """Yield the metrics of each epoch that is trained, and at the end the model.

        On a CPU of this machine it is trained by this process, which has nothing else to do: a
        worker would first have to load torch, and Ray would not use it again for a trial.

        Args:
            data: whose training images it is trained on.
            is_here: whether trials run on this machine.
            waiting: called every second in which another process has no news, as where no machine
                comes; may end it by raising anything.

        Raises:
            ClusterError: its process died, or its machine went away, too often.
            UnsharedStorageError: a machine does not see the records.
        """
        if is_here and self.resources.device == "cpu":
            return self.train(data.data.training)
        return self._train_elsewhere(data, waiting)

    def train(
        self, images: LabelledImages, stop: Callable[[], bool] = lambda: False
    ) -> Iterator[EpochMetrics | StartModel]:
        """Train in this process; ``stop`` is asked after each step whether to end for now."""
        make_deterministic(self.resources.device, self.resources.cpus)
        device = self.resources.device
        return train_start(
            self.start, images.to(device), self.begun, device, self.checkpoint_every, stop
        )

    def _train_elsewhere(
        self, data: SharedData, waiting: Callable[[], None]
    ) -> Iterator[EpochMetrics | StartModel]:
        remote: Any = ray.remote(
            num_cpus=self.resources.cpus, num_gpus=self.resources.start_gpus, max_retries=0
        )(_train_there)
        code, ends = training_code(), _Ends(self.limits)
        while True:
            there = living_nodes()
            suspects = there
            try:
                task = remote.options(num_returns="streaming")
                stream = task.remote(self, data.reference, code)
                for reference in _awaited(stream, waiting):
                    news: Any = ray.get(reference)
                    if isinstance(news, _Begun):
                        suspects = {news.node}
                        if news.unshared:
                            raise UnsharedStorageError(news.unshared)
                        continue
                    yield news
                    if isinstance(news, StartModel):
                        return
                is_lost = True  # it was stopped, with a checkpoint
            except RayTaskError as error:  # of its own: it would be the same again
                raise _not_trained(str(error).strip().splitlines()[-1]) from error
            except OutOfMemoryError as error:
                raise _not_trained(f"out of memory: {str(error).splitlines()[0]}") from error
            except RayError:
                is_lost = is_gone(suspects, len(there) <= 1, living_nodes)
            ends.count(is_lost)


def _awaited(stream: Any, waiting: Callable[[], None]) -> Iterator[ray.ObjectRef]:
    """Yield what a task yields; call ``waiting`` every second in which it yields nothing."""
    while True:
        while not ray.wait([stream], timeout=WAIT_SECONDS, fetch_local=False)[0]:
            waiting()
        try:
            reference = next(stream)
        except StopIteration:
            return
        yield reference


def _not_trained(reason: str) -> ClusterError:
    return ClusterError(f"the vanilla model could not be trained: {reason}")


def living_nodes() -> set[str]:
    """Return Ray's names of the machines that are there."""
    return {node["NodeID"] for node in ray.nodes() if node["Alive"]}


def _train_there(
    task: StartTask, images: list[ray.ObjectRef], code: dict[str, int | str]
) -> Iterator[_Begun | EpochMetrics | StartModel]:
    node = ray.get_runtime_context().get_node_id()
    sees = task.sweep.exists(DESCRIPTION)
    yield _Begun(node, "" if sees else unshared(task.sweep, socket.gethostname()))
    if not sees:
        return
    if problem := other_code(code, training_code()):  # its model would be kept for all sweeps
        raise RuntimeError(problem)
    with Notice(NAME, node) as notice, suppress(StoppedError):
        yield from task.train(fetch(images).training, notice.is_given)
