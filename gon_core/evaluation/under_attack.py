"""Accuracy under the attacks of Table 7, PGD and DDN, on the first clean test images."""

from functools import partial

from gon_core import evaluation
from gon_core.benchmarks import Benchmark
from gon_core.config import EvaluationConfig
from gon_core.evaluation.attacks import Attack, DDNAttack, PGDAttack
from gon_core.evaluation.measure import Measure, Measured, Passes, Steps, Subject
from gon_core.measurement import Finding, Measurement

ATTACKS = (PGDAttack(), DDNAttack())


def run(subject: Subject, steps: Steps) -> Measured:
    """Return the accuracy under each attack, in fp32: the last bits of gradients decide."""
    measured = Measured()
    for attack in ATTACKS:
        name = f"attack {attack.name.upper()}, {len(subject.images):,} images"
        find = partial(_find, subject, attack)
        measured.measurements += steps.take(f"attack-{attack.name}", find, name).measurements
    return measured


def _find(subject: Subject, attack: Attack) -> Finding:
    stream = subject.stream(f"attack {attack.name}")
    row = evaluation.attack_accuracy(subject.model, subject.images, attack, stream)
    return Finding(measurements=[row])


def passes(config: EvaluationConfig, images: int, benchmark: Benchmark) -> Passes:
    """Return the cost: every step of every attack."""
    return Passes(gradient=sum(attack.steps for attack in ATTACKS) * images)


def name(row: Measurement) -> str:
    """Return for example ``PGD_linf_0.1``."""
    return f"{row.setting.upper()}_{row.extra['norm']}_{row.number('size'):g}"


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
