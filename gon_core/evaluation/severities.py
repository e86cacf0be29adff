"""Accuracy at five severities of each corruption, our extension of MNIST-C, on test images."""

from dataclasses import replace

from gon_core.corruptions.mnist_c import CORRUPTIONS, SEVERITIES
from gon_core.data.splits import LabelledImages
from gon_core.evaluation.corrupted_sets import SeveritySets, build_severities
from gon_core.evaluation.measure import Measure, Measured, Passes, Steps, Subject
from gon_core.evaluation.top1 import still_missing
from gon_core.measurement import CLEAN, Finding


def prepare(images: LabelledImages, corruption_seed: int) -> SeveritySets:
    """Return the images at every severity, and as they are."""
    made = build_severities(images, corruption_seed)
    return SeveritySets({(CLEAN, 0): images.images} | made.images, made.labels)


def run(subject: Subject, steps: Steps) -> Measured:
    """Return accuracies of the split ``test_severities``."""
    sets: SeveritySets = subject.prepared
    steps.begin(f"five severities of each corruption, {len(sets.labels):,} images")
    names = {key: f"severity-{key[0]}-{key[1]}" for key in sets.images}
    missing = replace(sets, images=still_missing(sets.images, names, steps))
    for row in subject.accuracies.evaluate_severities(subject.model, missing, subject.bf16):
        steps.add(names[row.setting, row.severity or 0], Finding(measurements=[row]))
    return Measured([row for step in names.values() for row in steps.found[step].measurements])


MEASURE = Measure(
    words="severities",
    unit="percent",
    setting="corruption",
    run=run,
    passes=lambda config, images: Passes(forward=len(SEVERITIES) * len(CORRUPTIONS) * images),
    prepare=prepare,
)
