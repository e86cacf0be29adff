"""What a sweep will run and what it costs, decided before anything starts."""

import math
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from gon_core.config import (
    HELD_OUT,
    TEST_SET,
    TRAINING_SET,
    DataConfig,
    EvaluationConfig,
    Frozen,
    Method,
    StartConfig,
    TrainingConfig,
    TrialConfig,
    content_hash,
)
from gon_core.data import files
from search_spaces.parameter import Parameter
from sweeps.engine.options import SweepOptions
from sweeps.engine.scales import SCALES

# The drivers of NVIDIA (also under WSL and on Jetson) and of AMD make one of these.
GPU_FILES = ("/dev/nvidiactl", "/dev/dxg", "/dev/nvmap", "/dev/nvhost-gpu", "/dev/kfd")


@dataclass(frozen=True)
class Question:
    """What a line search asks.

    Attributes:
        name: names the sweep and its MLflow experiment, ``gon/<name>``.
        title: the question in words.
        parameter: what is searched.
        coarse_grid: its values at demo scale.
        paper_grid: its values at paper scale.
        method: from a value to the training method.
        published: where the paper's answer stands in ``gon_core.paper``, for the report.
    """

    name: str
    title: str
    parameter: Parameter
    coarse_grid: Sequence[float]
    paper_grid: Sequence[float]
    method: Callable[[float], Method]
    published: dict[str, Any] | None = None


class Asked(Frozen):
    """Everything that decides what a sweep finds; its hash names the sweep by default.

    Where and how fast it runs is not in here, so a sweep can be carried on with other resources.
    """

    question: str
    scale: str
    data: DataConfig
    start: StartConfig
    training: TrainingConfig
    evaluation: EvaluationConfig = EvaluationConfig()
    grid: tuple[float, ...]
    seeds: tuple[int, ...]
    refinements: int
    sampler: str
    scheduler: str


@dataclass(frozen=True)
class Resources:
    """What each trial occupies, and how many run at a time.

    Attributes:
        cpus: cores, and threads, of a trial.
        gpus: GPUs of a trial; a fraction shares one.
        slots: trials at a time.
    """

    cpus: int
    gpus: float
    slots: int

    @property
    def device(self) -> str:
        """``cuda`` where a trial gets any part of a GPU, else ``cpu``."""
        return "cuda" if self.gpus > 0 else "cpu"


@dataclass(frozen=True)
class Plan:
    """A whole sweep before it starts."""

    name: str
    question: Question
    asked: Asked
    resources: Resources
    checkpoint_every: int

    @property
    def grid_trials(self) -> list[TrialConfig]:
        """The trials that are known in advance."""
        return [self.trial(value, seed) for value in self.asked.grid for seed in self.asked.seeds]

    @property
    def number_of_trials(self) -> int:
        """All trials, with those whose point Optuna is yet to propose."""
        return len(self.grid_trials) + self.asked.refinements * len(self.asked.seeds)

    def trial(self, value: float, seed: int) -> TrialConfig:
        """Return the configuration of one trial."""
        return TrialConfig(
            method=self.question.method(value),
            data=self.asked.data,
            training=self.asked.training,
            start=self.asked.start,
            evaluation=self.asked.evaluation,
            seed=seed,
        )

    @property
    def cuts(self) -> list[str]:
        """What is smaller than in the paper, in words; empty if nothing is."""
        data, paper, cuts = self.asked.data, SCALES["paper"], []
        available = TRAINING_SET - HELD_OUT
        if data.training_images is not None and data.training_images < available:
            cuts.append(f"{data.training_images:,} of {available:,} training images")
        if self.asked.training.max_epochs < paper.training.max_epochs:
            epochs = self.asked.training.max_epochs
            cuts.append(f"at most {epochs} epochs a trial (the paper: until convergence, 500-600)")
        if (rate := self.asked.training.learning_rate) != paper.training.learning_rate:
            cuts.append(f"learning rate {rate:g} (the paper: {paper.training.learning_rate:g})")
        if self.asked.start.training.max_epochs < paper.start.max_epochs:
            cuts.append(f"at most {self.asked.start.training.max_epochs} vanilla epochs to start")
        if data.validation_images < HELD_OUT:
            cuts.append(f"{data.validation_images:,} of {HELD_OUT:,} validation images")
        if data.test_images < paper.test_images:
            cuts.append(f"{data.test_images:,} of {paper.test_images:,} test images")
        return cuts


def gpu_count() -> int:
    """Return how many CUDA devices this machine has."""
    if sys.platform == "linux" and not any(Path(path).exists() for path in GPU_FILES):
        return 0
    import torch  # slow: only those who may have one pay for it

    return torch.cuda.device_count()


def cpu_count() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def data_digest(dataset: str, data_dir: Path | None) -> str:
    """Return the SHA-256 over the files of a data set, looked at once; see ``files.check``."""
    return files.check(dataset, data_dir)


def problems(options: SweepOptions) -> dict[str, str]:
    """Return what the options ask of this machine or data set and it has not, by option name."""
    problems = {}
    if options.gpus_per_trial and options.gpus_per_trial > (gpus := gpu_count()):
        problems["gpus_per_trial"] = (
            f"must be at most {gpus}, the GPUs of this machine, given: {options.gpus_per_trial:g}"
        )
    if options.gpus_per_trial and options.gpus_per_trial > 1 and options.gpus_per_trial % 1:
        problems["gpus_per_trial"] = (
            f"must be a whole number above 1, given: {options.gpus_per_trial:g}"
        )
    if options.cpus_per_trial > (cpus := cpu_count()):
        problems["cpus_per_trial"] = (
            f"must be at most {cpus}, the cores of this machine, given: {options.cpus_per_trial}"
        )
    sizes = {"training_images": TRAINING_SET - HELD_OUT, "test_images": TEST_SET}
    for name, available in sizes.items():
        if (asked := getattr(options, name) or 0) > available:
            problems[name] = f"must be at most {available:,}, given: {asked:,}"
    if options.dataset == "mnist" or (options.data_dir and not options.download):
        try:
            data_digest(options.dataset, options.data_dir)
        except files.DataFileError as error:
            embedded = options.dataset == "mnist"
            hint = "" if embedded else "; --download fetches it"
            problems["dataset" if embedded else "data_dir"] = f"{error}{hint}"
    return problems


def make_plan(question: Question, options: SweepOptions, grid: Sequence[float] | None) -> Plan:
    """Return the plan of a sweep from legal options.

    Args:
        question: what is asked.
        options: those in which ``problems`` finds none.
        grid: the values asked for, or None for those of the scale.
    """
    gpus = gpu_count()
    scale_name = options.scale or ("paper" if gpus else "demo")
    scale = SCALES[scale_name]
    data = DataConfig(
        dataset=options.dataset,
        training_images=options.training_images or scale.training_images,
        validation_images=options.validation_images or scale.validation_images,
        test_images=options.test_images or scale.test_images,
    )
    start = scale.start.model_copy(
        update={"precision": options.precision}
        | ({"max_epochs": options.start_epochs} if options.start_epochs else {})
    )
    training = scale.training.model_copy(
        update={"precision": options.precision}
        | ({"max_epochs": options.max_epochs} if options.max_epochs else {})
    )
    if grid is None:
        grid = question.paper_grid if scale_name == "paper" else question.coarse_grid
    refinements = scale.refinements if options.num_trials is None else options.num_trials
    # The start depends on the training images alone, so that it is shared as widely as possible.
    start_data = data.model_copy(update={"validation_images": HELD_OUT, "test_images": TEST_SET})
    asked = Asked(
        question=question.name,
        scale=scale_name,
        data=data,
        start=StartConfig(data=start_data, training=start),
        training=training,
        grid=tuple(grid),
        seeds=tuple(range(options.seed, options.seed + options.seeds)),
        refinements=0 if len(grid) < 2 else refinements,  # one value has no neighbours
        sampler=options.sampler,
        scheduler=options.scheduler,
    )
    return Plan(
        name=options.name or f"{question.name}-{scale_name}-{content_hash(asked)[:6]}",
        question=question,
        asked=asked,
        resources=make_resources(options, gpus),
        checkpoint_every=options.checkpoint_every or scale.checkpoint_every,
    )


def make_resources(options: SweepOptions, gpus: int) -> Resources:
    """Return what a trial occupies: a GPU, or a part of one, where there are any."""
    gpus_per_trial = options.gpus_per_trial
    if gpus_per_trial is None:
        gpus_per_trial = 1.0 if gpus else 0.0
    slots = cpu_count() // options.cpus_per_trial
    if gpus_per_trial:
        slots = min(slots, math.floor(gpus / gpus_per_trial + 1e-9))
    return Resources(
        cpus=options.cpus_per_trial,
        gpus=gpus_per_trial,
        slots=min(slots, options.max_concurrent or slots),
    )
