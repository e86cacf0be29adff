"""Accuracy at all severities of an extension of the benchmark's corruptions, on test images.

MNIST-C has one severity; our extension of it has five.
"""

from gon_core import evaluation
from gon_core.benchmarks import Benchmark
from gon_core.config import EvaluationConfig
from gon_core.data.splits import Images
from gon_core.evaluation.corrupted_sets import EvaluationSet
from gon_core.evaluation.measure import Measure, Measured, Passes, Steps, Subject
from gon_core.evaluation.top1 import accuracies
from gon_core.measurement import SEVERITIES_SPLIT


def prepare(images: Images, benchmark: Benchmark, corruption_seed: int) -> EvaluationSet:
    """Return the images at every severity, and as they are."""
    suite = benchmark.suites["severities"]
    return evaluation.build(images, SEVERITIES_SPLIT, suite, corruption_seed)


def run(subject: Subject, steps: Steps) -> Measured:
    """Return accuracies of the split ``test_severities``."""
    images: EvaluationSet = subject.prepared
    left = sum(f"{images.split}-{images.name(key)}" not in steps.found for key in images.images)
    steps.begin(f"five severities of each corruption, {len(images):,} images", parts=left)
    found = accuracies(subject, steps, images)
    return Measured([row for each in found.values() for row in each.measurements])


def passes(config: EvaluationConfig, images: int, benchmark: Benchmark) -> Passes:
    """Return the cost: every image once for each corruption and severity."""
    return Passes(forward=len(benchmark.suites["severities"].versions) * images)


MEASURE = Measure(
    words="severities",
    unit="percent",
    setting="corruption",
    run=run,
    passes=passes,
    prepare=prepare,
)
