"""The processes of a trial that is trained by several: rank 0, the trial's own, starts the others.

It leaves them the trial, its state and the images in a temporary folder. When their standard input
ends, rank 0 is gone: they never outlive it. They write no records; they report that they are ready,
or what broke. The first that breaks ends the trial's training on all of them.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import torch

from gon_core.config import TrialConfig
from gon_core.data.splits import Images
from gon_core.training import TrainingState, checkpoints
from gon_core.training.parallel import ALONE, abort, joined
from sweeps.engine.system.temporary_folder import TemporaryFolder
from sweeps.engine.trials.ranks.images import leave

TRAINING = "training.json"
MODULE, READY = "sweeps.engine.trials.ranks", "ready"
SILENT = "ignore::UserWarning:multiprocessing.resource_tracker"
START = 300.0  # seconds in which a rank reads what it trains; it loads torch, on a busy machine too
TIMEOUT = 1800.0  # seconds; meanwhile rank 0 validates, and may wait for an object store
PATIENCE = 5.0  # seconds in which a rank that breaks a connection says, or shows, what broke it


class RankError(RuntimeError):
    """Another process of the trial broke; the message says which, and why."""


@contextmanager
def started(
    count: int, config: TrialConfig, state: TrainingState, data: Images, timeout: float = TIMEOUT
) -> Iterator[None]:
    """Start the other processes of a trial, as a context; they have ended when it is left.

    Args:
        count: processes of the trial; with 1 nothing is started.
        config: of the trial.
        state: where the training begins or resumes, and whose group is that of all processes
            meanwhile; on a GPU, each process takes one of its own.
        data: the training images, see ``images.of_one_rank``.
        timeout: seconds after which a process that does not answer is an error.

    Raises:
        RankError: another process broke, here or within the block.
    """
    if count == 1:
        yield
        return
    device_type = data.device.type
    others = _Others(count, device_type)
    with (
        TemporaryFolder("gon-ranks-", Path(tempfile.gettempdir())) as folder,
        closing(others),
        ExitStack() as group,
    ):
        try:
            files = checkpoints.dump(state)
            for name, content in files.items():
                (folder.path / name).write_bytes(content)
            leave(data, folder.path)
            training = {
                "size": count, "device": device_type, "timeout": timeout, "state": list(files),
                "threads": torch.get_num_threads(), "trial": config.model_dump_json(),
            }  # fmt: skip
            (folder.path / TRAINING).write_text(json.dumps(training))
            others.start(folder.path)
            meeting = joined(0, count, folder.path, device_type, timeout)
            state.group = group.enter_context(meeting)
            yield
        except BaseException as error:
            failure = others.failure() if isinstance(error, RuntimeError) else None
            others.close()  # before the group is left, which would break them too
            if failure:
                raise RankError(failure) from error
            raise
        finally:
            state.group = ALONE


class _Others:
    """Ranks 1 and up."""

    def __init__(self, count: int, device_type: str) -> None:
        self._count, self._device_type = count, device_type
        self._processes: list[subprocess.Popen[bytes]] = []
        self._failures: list[str] = []
        self._failed = threading.Event()

    def start(self, folder: Path) -> None:
        """Start all of them and return once they are ready to join."""
        deadline = time.monotonic() + START
        ready = [threading.Event() for _ in range(1, self._count)]
        for rank, event in enumerate(ready, 1):
            # -P: no module of the working directory is taken for one of ours. -W: nothing is said
            # when a rank that has processes decoding is killed, as all are in the end. In a session
            # of their own: Ctrl-C is for rank 0 alone.
            process = subprocess.Popen(
                [sys.executable, "-P", "-W", SILENT, "-m", MODULE, str(rank), str(folder)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
            )  # fmt: skip
            self._processes.append(process)
            threading.Thread(target=self._watch, args=(rank, process, event), daemon=True).start()
        for rank, event in enumerate(ready, 1):
            if not event.wait(max(0.0, deadline - time.monotonic())):
                self._fail(rank, f"was not ready within {START:g} s")
        if self._failures:
            raise RankError(self._failures[0])

    def _watch(self, rank: int, process: subprocess.Popen[bytes], ready: threading.Event) -> None:
        broke = False
        for line in process.stdout or ():
            if (word := json.loads(line)) == READY:
                ready.set()
            else:
                broke = True
                self._fail(rank, word)
        if (code := process.wait()) and not broke:
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            self._fail(rank, how)
        ready.set()

    def _fail(self, rank: int, how: str) -> None:
        self._failures.append(f"rank {rank} of {self._count} {how}")
        self._failed.set()
        if self._device_type == "cuda":  # with Gloo a broken connection is an error by itself
            abort()

    def failure(self) -> str | None:
        """Return what broke first; wait ``PATIENCE`` seconds for it to be known."""
        self._failed.wait(PATIENCE)
        return self._failures[0] if self._failures else None

    def close(self) -> None:
        """End them at once: after the last epoch nothing that they do matters."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()
            assert process.stdin is not None
            process.stdin.close()
        self._processes = []
