"""The processes of a trial that is trained by several: rank 0, the trial's own, starts the others.

It sends them the trial and its first state through a pipe. When the pipe ends, rank 0 is gone: they
never outlive it. They write no records; they report that they are ready, or what broke. The first
that breaks ends the trial's training on all of them.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import torch
from safetensors.torch import save

from gon_core.config import TrialConfig
from gon_core.data.splits import Images
from gon_core.training import TrainingState, checkpoints
from gon_core.training.parallel import ALONE, Group, abort, joined
from sweeps.engine.system.temporary_folder import TemporaryFolder

DATA = "data.safetensors"
READY = "ready"
START = 300.0  # seconds in which a rank reads what it trains; it loads torch, on a busy machine too
TIMEOUT = 1800.0  # seconds; meanwhile rank 0 validates, and may wait for an object store
PATIENCE = 5.0  # seconds in which a rank that breaks a connection says, or shows, what broke it


class RankError(RuntimeError):
    """Another process of the trial broke; the message says which, and why."""


@contextmanager
def started(
    count: int,
    config: TrialConfig,
    state: TrainingState,
    data: Images,
    timeout: float = TIMEOUT,
) -> Iterator[Group]:
    """Start the other processes of a trial, as a context; they are gone when it is left.

    Args:
        count: processes of the trial; with 1 nothing is started.
        config: what is trained.
        state: where the training begins or resumes; on a GPU, each process takes one of its own.
        data: the training images.
        timeout: seconds after which a process that does not answer is an error.

    Yields:
        The group of all of them, for ``state``.

    Raises:
        RankError: another process broke, here or within the block.
    """
    if count == 1:
        yield ALONE
        return
    device_type = data.device.type
    others = _Others(count, device_type)
    with (
        TemporaryFolder("gon-ranks-", Path(tempfile.gettempdir())) as folder,
        closing(others),
        ExitStack() as group,
    ):
        message = {
            "size": count, "folder": str(folder.path), "device": device_type, "timeout": timeout,
            "threads": torch.get_num_threads(), "trial": config.model_dump_json(),
        }  # fmt: skip
        try:
            others.start(message, checkpoints.dump(state) | {DATA: _dump_data(data)})
            yield group.enter_context(joined(0, count, folder.path, device_type, timeout))
        except BaseException as error:
            broken = isinstance(error, RuntimeError | BrokenPipeError)
            failure = others.failure(PATIENCE) if broken else None
            others.close()  # before the group is left, which would break them too
            if failure:
                raise RankError(failure) from error
            raise


class _Others:
    """Ranks 1 and up."""

    def __init__(self, count: int, device_type: str) -> None:
        self._count, self._device_type = count, device_type
        self._processes: list[subprocess.Popen[bytes]] = []
        self._failures: list[str] = []
        self._failed = threading.Event()

    def start(self, message: dict[str, Any], files: Mapping[str, bytes]) -> None:
        """Start all of them and return once they are ready to join."""
        ready: list[tuple[subprocess.Popen[bytes], threading.Event]] = []
        for rank in range(1, self._count):
            # -P: no module of the working directory is taken for one of ours.
            command = [sys.executable, "-P", "-m", "sweeps.engine.trials.ranks"]
            # In a session of their own: Ctrl-C is for rank 0 alone.
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
            )
            self._processes.append(process)
            ready.append((process, threading.Event()))
            watch = threading.Thread(target=self._watch, args=(rank, *ready[-1]))
            watch.daemon = True
            watch.start()
        # One that neither reads nor answers is ended, which ends the waiting for it below.
        patience = threading.Timer(START, self._end_late, args=(ready,))
        patience.daemon = True
        patience.start()
        try:
            for rank, process in enumerate(self._processes, 1):
                assert process.stdin is not None
                send(process.stdin, message | {"rank": rank}, files)
            for _, event in ready:
                event.wait()
        finally:
            patience.cancel()
        if self._failures:
            raise RankError(self._failures[0])

    def _end_late(self, ready: Sequence[tuple[subprocess.Popen[bytes], threading.Event]]) -> None:
        for rank, (process, event) in enumerate(ready, 1):
            if not event.is_set():
                self._fail(rank, f"was not ready within {START:g} s")
                process.kill()

    def _watch(self, rank: int, process: subprocess.Popen[bytes], ready: threading.Event) -> None:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            word = json.loads(line)
            if word == READY:
                ready.set()
            else:
                said = word
                self._fail(rank, said)
        if (code := process.wait()) and not said:
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            self._fail(rank, how)
        ready.set()

    def _fail(self, rank: int, how: str) -> None:
        self._failures.append(f"rank {rank} of {self._count} {how}")
        self._failed.set()
        if self._device_type == "cuda":  # with Gloo a broken connection is an error by itself
            abort()

    def failure(self, patience: float) -> str | None:
        """Return what broke first, waiting ``patience`` seconds for it to be known."""
        self._failed.wait(patience)
        return self._failures[0] if self._failures else None

    def close(self) -> None:
        """End them at once: after the last epoch nothing that they do matters."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()
            assert process.stdin is not None
            with suppress(BrokenPipeError):  # what was not sent never will be
                process.stdin.close()
        self._processes = []


def send(stream: IO[bytes], message: dict[str, Any], files: Mapping[str, bytes]) -> None:
    """Write a line of JSON, then the files behind each other."""
    sizes = {name: len(content) for name, content in files.items()}
    stream.write(json.dumps(message | {"files": sizes}).encode() + b"\n")
    for content in files.values():
        stream.write(content)
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return what ``send`` wrote.

    Raises:
        EOFError: it was not written to its end.
    """
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise EOFError("rank 0 is gone")
    message = json.loads(line)
    files = {name: stream.read(size) for name, size in message.pop("files").items()}
    return message, files


def end_with(stream: IO[bytes], folder: Path) -> None:
    """Wait until ``stream`` ends, as it does when rank 0 is gone; then end this process."""
    stream.read()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def _dump_data(data: Images) -> bytes:
    return save({"images": data.batch(slice(None)).cpu().contiguous(), "labels": data.labels.cpu()})
