"""Train with rank 0, which starts this and says as which rank, and in which folder the rest is."""

import json
import os
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import torch

from gon_core.config import Given, OwnFunction, TrialConfig
from gon_core.training import StoppedError, checkpoints, train
from gon_core.training.parallel import joined
from sweeps.engine.trials.ranks import PATIENCE, READY, TRAINING
from sweeps.engine.trials.ranks.images import take
from sweeps.engine.trials.trial import begin_training, cause, make_deterministic


def main(rank: int, folder: Path) -> int:
    """Run one rank; return its exit code."""
    # A machine that is taken away signals all of its processes; rank 0 decides, and ends this one.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # No process that torch starts may hold what rank 0 listens to.
    pipe = os.dup(1)
    os.dup2(2, 1)
    watch = threading.Thread(target=_end_with_rank_0, args=(folder,), daemon=True)
    watch.start()

    def say(word: str) -> None:
        os.write(pipe, json.dumps(word).encode() + b"\n")

    with ExitStack() as group:
        try:
            _follow(rank, folder, group, lambda: say(READY))
        except Exception as error:  # whatever broke, rank 0 says it in the trial's record
            with suppress(BrokenPipeError):
                say(f"broke: {cause(error)}\n{traceback.format_exc()}")
            # Rank 0 ends this process once it has read that; if it is gone itself, the watch does.
            watch.join(PATIENCE)
            os._exit(1)  # said before the others see that a connection broke
    return 0


def _end_with_rank_0(folder: Path) -> None:
    sys.stdin.buffer.read()  # it ends when rank 0 is gone
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def _follow(rank: int, folder: Path, group: ExitStack, ready: Callable[[], None]) -> None:
    """Train to the end, in step with the other ranks; the caller leaves the ``group``."""
    training = json.loads((folder / TRAINING).read_text())
    device = training["device"]
    if device == "cuda":
        torch.cuda.set_device(rank)
    make_deterministic(device, training["threads"])
    config = TrialConfig.model_validate_json(training["trial"])
    assert not isinstance(config.method, Given | OwnFunction), "such a trial has one process"
    data = take(folder).to(device)
    state = begin_training(config, device)
    files = {name: (folder / name).read_bytes() for name in training["state"]}
    checkpoints.restore(state, files)
    state.count_nothing()  # rank 0 has what was counted before
    ready()
    meeting = joined(rank, training["size"], folder, device, training["timeout"])
    state.group = group.enter_context(meeting)
    with suppress(StoppedError):  # as rank 0 decided
        for _ in train(state, data, config.method, config.training):
            pass


if __name__ == "__main__":
    code = main(int(sys.argv[1]), Path(sys.argv[2]))
    sys.stderr.flush()
    os._exit(code)
