"""Train with rank 0, which starts this and says through standard input what, and as which rank."""

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load

from gon_core.config import Given, TrialConfig
from gon_core.data.splits import LabelledImages
from gon_core.training import StoppedError, checkpoints, new_state, train
from gon_core.training.parallel import joined
from sweeps.engine.trials.ranks import DATA, PATIENCE, READY, end_with, receive
from sweeps.engine.trials.trial import cause, make_deterministic


def main() -> int:
    """Run one rank; return its exit code."""
    # A machine that is taken away signals all of its processes; rank 0 decides, and ends this one.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # No process that torch starts may hold what rank 0 listens to.
    pipe = os.dup(1)
    os.dup2(2, 1)
    stream = sys.stdin.buffer
    message, files = receive(stream)
    watch = threading.Thread(target=end_with, args=(stream, Path(message["folder"])), daemon=True)
    watch.start()

    def say(word: str) -> None:
        os.write(pipe, json.dumps(word).encode() + b"\n")

    with ExitStack() as group:
        try:
            follow(message, files, group, lambda: say(READY))
        except Exception as error:  # whatever broke, rank 0 says it in the trial's record
            with suppress(BrokenPipeError):
                say(f"broke: {cause(error)}\n{traceback.format_exc()}")
            # Rank 0 ends this process once it has read that; if it is gone itself, the watch does.
            watch.join(PATIENCE)
            os._exit(1)  # said before the others see that a connection broke
    return 0


def follow(
    message: dict[str, Any], files: dict[str, bytes], group: ExitStack, ready: Callable[[], None]
) -> None:
    """Train to the end, in step with the other ranks.

    Args:
        message: of ``ranks.started``.
        files: the state to begin with, and the data.
        group: left by the caller, also after an error.
        ready: called when all is there but the others.
    """
    rank, device = message["rank"], message["device"]
    if device == "cuda":
        torch.cuda.set_device(rank)
    make_deterministic(device, message["threads"])
    config = TrialConfig.model_validate_json(message["trial"])
    method = config.method
    assert not isinstance(method, Given), "given weights are not trained"
    data = LabelledImages(**load(files.pop(DATA))).to(device)
    model = config.data.benchmark.make_model(config.model).to(device)
    channels = config.data.benchmark.image_shape[0]
    state = new_state(model, config.training, config.seed, method, channels)
    checkpoints.restore(state, files)
    state.count_nothing()  # rank 0 has what was counted before
    ready()
    meeting = joined(rank, message["size"], Path(message["folder"]), device, message["timeout"])
    state.group = group.enter_context(meeting)
    with suppress(StoppedError):  # as rank 0 decided
        for _ in train(state, data, method, config.training):
            pass


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)
