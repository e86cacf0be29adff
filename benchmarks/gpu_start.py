"""How long a trial takes to its first step, for ``gpu.py``: first of a process, and the next."""

import importlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from gpu_steps import DEVICE, IS_GPU, Row, wait

from gon_core import evaluation
from gon_core.config import (
    ANT,
    GNT,
    DataConfig,
    EvaluationConfig,
    Trained,
    TrainingConfig,
    TrialConfig,
)
from gon_core.data import idx
from gon_core.data.splits import split
from gon_core.training import StoppedError, train
from sweeps.engine.trials.measures import TrialData, prepare_data
from sweeps.engine.trials.trial import begin_training

METHODS: dict[str, Trained] = {"gnt": GNT(sigma=0.5), "ant_1x1": ANT(epsilon=10)}
DATA = DataConfig() if IS_GPU else DataConfig(
    training_images=600, validation_images=60, test_images=60
)  # fmt: skip


def start() -> Iterator[Row]:
    """Seconds to the end of a trial's first step: its images go to the device once a process."""
    for name in METHODS:
        # Later processes find the kernels of the first on disk: the median of three.
        for process, times in (("first", 1), ("later", 3 if IS_GPU else 1)):
            found = [_started(name) for _ in range(times)]
            for trial in found[0]:
                seconds = statistics.median(each[trial] for each in found)
                yield {"method": name, "process": process, "trial": trial, "seconds": seconds}


def _started(name: str) -> dict[str, float]:
    command = [sys.executable, str(Path(__file__).with_name("gpu.py")), "--start", name]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(printed.splitlines()[-1])


def be_started(name: str) -> None:
    """Be the process of two trials; print their seconds."""
    data = prepare_data(split(*idx.load("mnist"), DATA), EvaluationConfig())
    if IS_GPU:  # as a sweep's processes have it before they are given a trial
        importlib.import_module("torch._inductor.compile_fx")
    found = {}
    for seed, trial in enumerate(("the first of a process", "the next")):
        started = time.perf_counter()
        data = data.to(DEVICE) if not seed else data
        take_a_step(METHODS[name], seed, data)
        wait()
        found[trial] = time.perf_counter() - started
    print(json.dumps(found))


def take_a_step(method: Trained, seed: int, data: TrialData) -> None:
    """Begin a trial as an actor does, without records, and stop it after its first step."""
    config = TrialConfig(method=method, training=TrainingConfig(), data=DATA, start=None, seed=seed)
    state = begin_training(config, DEVICE)
    evaluation.mixed(data.validation)
    try:
        list(train(state, data.training, method, config.training, stop=lambda: True))
    except StoppedError:
        return
    raise AssertionError("a training ended with its first step")
