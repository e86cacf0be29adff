"""Top-1 accuracy on clean and corrupted images, of validation and test: measured of every model.

All that is left of a split is measured in one call, which may measure its corruptions at once.
"""

import math
from dataclasses import replace

from gon_core.evaluation import right_images
from gon_core.evaluation.accuracy import pass_size
from gon_core.evaluation.corrupted_sets import EvaluationSet
from gon_core.evaluation.measure import Measure, Measured, Passes, Steps, Subject
from gon_core.measurement import Finding

RIGHT = "right"


def run(subject: Subject, steps: Steps) -> Measured:
    """Return the accuracies, and which test images are right as a file."""
    sets = [each for each in (subject.validation, subject.test) if each.images]
    batches = sum(len(each.images) * math.ceil(len(each) / pass_size(each.clean)) for each in sets)
    images = f"{' and '.join(f'{len(each):,} {each.split}' for each in sets)} images"
    versions = [f"{each.split}-{each.name(key)}" for each in sets for key in each.images]
    left = sum(version not in steps.found for version in versions)
    text = f"accuracy on {images}, clean and corrupted"
    steps.begin(text, f"of {batches:,} batches", left)
    found = [accuracies(subject, steps, images) for images in sets]
    right = {name: right_images.load(each.tensors)[name] for name, each in found[-1].items()}
    rows = [row for each in found for finding in each.values() for row in finding.measurements]
    has_spread = len(sets[-1]) > 1 and len(right) > 1
    spread = right_images.mean_over_corruptions(right).std().item() if has_spread else None
    return Measured(rows, {RIGHT: right_images.dump(right)}, spread)


def accuracies(subject: Subject, steps: Steps, images: EvaluationSet) -> dict[str, Finding]:
    """Return by version of the images its accuracy, with which of them are right."""
    names = {key: f"{images.split}-{images.name(key)}" for key in images.images}
    left = {key: found for key, found in images.images.items() if names[key] not in steps.found}
    missing = replace(images, images=left)
    for row, right in subject.accuracies.evaluate_images(subject.model, missing, subject.bf16):
        key = row.setting, row.severity or 0
        tensors = right_images.dump({images.name(key): right})
        steps.add(names[key], Finding(measurements=[row], tensors=tensors))
    return {images.name(key): steps.found[step] for key, step in names.items()}


MEASURE = Measure(
    words="accuracy",
    unit="percent",
    setting="corruption",
    run=run,
    passes=lambda config, images, benchmark: Passes(),  # it depends on the splits alone
)
