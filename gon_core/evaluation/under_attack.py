"""Accuracy under the attacks of appendix F, PGD and DDN, on the first clean test images.

The benchmark says which ones, and how large.
"""

from functools import partial

from gon_core import evaluation
from gon_core.benchmarks import Benchmark
from gon_core.config import EvaluationConfig
from gon_core.evaluation.attacks import Attack
from gon_core.evaluation.measure import Measure, Measured, Passes, Steps, Subject
from gon_core.measurement import Finding, Measurement
from gon_core.training.recordings import on_device


def run(subject: Subject, steps: Steps) -> Measured:
    """Return the accuracy under each attack, in fp32: the last bits of gradients decide."""
    measured = Measured()
    for setting, attack in subject.benchmark.attacks.items():
        name = f"attack {_shown(setting)}, {len(subject.images):,} images"
        find = partial(_find, subject, steps, setting, attack)
        measured.measurements += steps.take(f"attack-{setting}", find, name).measurements
    return measured


def _find(subject: Subject, steps: Steps, setting: str, attack: Attack) -> Finding:
    stream = subject.stream(f"attack {attack.name}")
    recordings = partial(on_device, passed=steps.passed)
    row = evaluation.attack_accuracy(subject.model, subject.images, attack, stream, recordings)
    return Finding(measurements=[row.model_copy(update={"setting": setting})])


def passes(config: EvaluationConfig, images: int, benchmark: Benchmark) -> Passes:
    """Return the cost: every step of every attack."""
    return Passes(gradient=sum(attack.steps for attack in benchmark.attacks.values()) * images)


def name(row: Measurement) -> str:
    """Return for example ``PGD_linf_0.1``, or ``PGD_linf_0.001_100_steps``."""
    attack, *further = row.setting.split("_", 1)
    parts = (attack.upper(), row.extra["norm"], f"{row.number('size'):g}", *further)
    return "_".join(map(str, parts))


def _shown(setting: str) -> str:
    attack, _, further = setting.partition("_")
    return f"{attack.upper()} {further.replace('_', ' ')}".strip()


MEASURE = Measure(
    words="attacks",
    title="accuracy under attack",
    head="",
    limits=(0.0, 100.0),
    unit="percent",
    setting="attack",
    run=run,
    passes=passes,
    note="Under attack: accuracy in percent.",
    name=name,
)
