"""Accuracies in steps, by split, corruption and severity: those that are done are left out.

What measures them is given all that is left of a split at once, and may do it all at a time.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Protocol, TypeVar

from jaxtyping import Bool
from torch import Tensor, nn

from gon_core.data.imagenet_c_folder import ImageNetC
from gon_core.evaluation import EvaluationSet, Measurement, SeveritySets, right_images
from gon_core.evaluation.right_images import RightImages
from sweeps.engine.records import Finding
from sweeps.engine.trials.evaluation_steps import Steps

Key = TypeVar("Key")


class Accuracies(Protocol):
    """What measures accuracies: ``gon_core.evaluation``, or the machines of a cluster."""

    def evaluate(
        self, model: nn.Module, evaluation_set: EvaluationSet, bf16: bool = False
    ) -> Iterator[Measurement]:
        """See ``gon_core.evaluation``."""
        ...

    def evaluate_images(
        self, model: nn.Module, evaluation_set: EvaluationSet, bf16: bool = False
    ) -> Iterator[tuple[Measurement, Bool[Tensor, " image"]]]:
        """See ``gon_core.evaluation``."""
        ...

    def evaluate_severities(
        self, model: nn.Module, sets: SeveritySets, bf16: bool = False
    ) -> Iterator[Measurement]:
        """See ``gon_core.evaluation``."""
        ...

    def evaluate_imagenet_c(self, model: nn.Module, images: ImageNetC) -> Iterator[Measurement]:
        """See ``gon_core.evaluation``."""
        ...


def validation_rows(
    steps: Steps, model: nn.Module, validation: EvaluationSet, bf16: bool, accuracies: Accuracies
) -> list[Measurement]:
    """Return the accuracies on validation images, measured or taken from the steps."""
    names = {name: f"validation-{name}" for name in validation.images}
    left = replace(validation, images=_left(validation.images, names, steps))
    for row in accuracies.evaluate(model, left, bf16):
        steps.add(names[row.setting], Finding(measurements=[row]))
    return [row for step in names.values() for row in steps.found[step].measurements]


def test_rows(
    steps: Steps, model: nn.Module, test: EvaluationSet, bf16: bool, accuracies: Accuracies
) -> tuple[list[Measurement], RightImages]:
    """Return the same of test images, and which of them are right."""
    names = {name: f"test-{name}" for name in test.images}
    left = replace(test, images=_left(test.images, names, steps))
    for row, images in accuracies.evaluate_images(model, left, bf16):
        tensors = right_images.dump({row.setting: images})
        steps.add(names[row.setting], Finding(measurements=[row], tensors=tensors))
    done = {name: steps.found[step] for name, step in names.items()}
    right = {name: right_images.load(found.tensors)[name] for name, found in done.items()}
    return [row for found in done.values() for row in found.measurements], right


def severity_rows(
    steps: Steps, model: nn.Module, sets: SeveritySets, bf16: bool, accuracies: Accuracies
) -> list[Measurement]:
    """Return the same of test images at several severities."""
    names = {key: f"severity-{key[0]}-{key[1]}" for key in sets.images}
    left = replace(sets, images=_left(sets.images, names, steps))
    for row in accuracies.evaluate_severities(model, left, bf16):
        steps.add(names[row.setting, row.severity or 0], Finding(measurements=[row]))
    return [row for step in names.values() for row in steps.found[step].measurements]


def _left(
    images: Mapping[Key, Tensor], names: Mapping[Key, str], steps: Steps
) -> dict[Key, Tensor]:
    """Return the images of the steps that are not done."""
    return {key: found for key, found in images.items() if names[key] not in steps.found}
