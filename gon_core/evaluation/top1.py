"""Top-1 accuracy on clean and corrupted images, of validation and test: measured of every model.

All that is left of a split is measured in one call, which may measure its corruptions at once.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from torch import Tensor

from gon_core.evaluation import right_images
from gon_core.evaluation.accuracy import BATCH_SIZE
from gon_core.evaluation.corrupted_sets import EvaluationSet
from gon_core.evaluation.measure import Measure, Measured, Passes, Steps, Subject
from gon_core.measurement import Finding

RIGHT = "right"
Key = TypeVar("Key")


def run(subject: Subject, steps: Steps) -> Measured:
    """Return the accuracies, and which test images are right as a file."""
    sets = (subject.validation, subject.test)
    counts = [len(each.labels) for each in sets]
    batches = sum(
        len(each.images) * math.ceil(count / BATCH_SIZE)
        for each, count in zip(sets, counts, strict=True)
    )
    images = f"{counts[0]:,} validation and {counts[1]:,} test images"
    steps.begin(f"accuracy on {images}, clean and corrupted", f"of {batches:,} batches")
    validation, test = (_accuracies(subject, steps, images) for images in sets)
    right = {name: right_images.load(found.tensors)[name] for name, found in test.items()}
    rows = [row for found in (*validation.values(), *test.values()) for row in found.measurements]
    return Measured(rows, {RIGHT: right_images.dump(right)})


def _accuracies(subject: Subject, steps: Steps, images: EvaluationSet) -> dict[str, Finding]:
    """Return by corruption its accuracy, with which images are right."""
    names = {name: f"{images.split}-{name}" for name in images.images}
    missing = replace(images, images=still_missing(images.images, names, steps))
    for row, right in subject.accuracies.evaluate_images(subject.model, missing, subject.bf16):
        tensors = right_images.dump({row.setting: right})
        steps.add(names[row.setting], Finding(measurements=[row], tensors=tensors))
    return {name: steps.found[step] for name, step in names.items()}


def still_missing(
    images: Mapping[Key, Tensor], names: Mapping[Key, str], steps: Steps
) -> dict[Key, Tensor]:
    """Return the images whose step, of the same key in ``names``, is not done."""
    return {key: found for key, found in images.items() if names[key] not in steps.found}


MEASURE = Measure(
    words="accuracy",
    unit="percent",
    setting="corruption",
    run=run,
    passes=lambda config, images: Passes(),  # it depends on the splits alone
)
