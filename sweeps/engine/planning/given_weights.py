"""Weights of one's own that trials start from, instead of a vanilla model."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gon_core import architectures
from gon_core.architectures import ImageShape
from sweeps.engine.cli.options import SweepOptions
from sweeps.engine.planning import methods


@dataclass(frozen=True)
class GivenWeights:
    """What trials start from.

    Attributes:
        model: the name of the classifier.
        content: its tensors, in safetensors' format.
        sha256: of the tensors in the file.
        deviations: what of them is new, and whether they are of another recipe, in words.
    """

    model: str
    content: bytes
    sha256: str
    deviations: tuple[str, ...]


def given(options: SweepOptions) -> dict[str, GivenWeights]:
    """Return the weights of ``--weights`` by the name of their classifier; none if none are given.

    Raises:
        ValueError: a file is not what it should be, see ``gon_core.models.weights``, or its model
            is for other images; says so of every file.
    """
    benchmark, scale = options.benchmark, methods.scale_of(options)
    default, found, faults = scale.model or benchmark.model, {}, []
    usual = benchmark.scales["paper"].start_weights
    for model, file in options.files_of_weights:
        try:
            own = _read(file, model, default, benchmark.classes, benchmark.image_shape, usual)
            found[own.model] = own
        except ValueError as error:
            faults.append(str(error))
    if faults:
        raise ValueError("; ".join(faults))
    return found


@cache
def _read(
    path: Path, model: str | None, default: str, classes: int, image_shape: ImageShape, usual: str
) -> GivenWeights:
    from gon_core.models import weights  # torch, which is slow to import
    from gon_core.training import checkpoints

    state = weights.read_state(path)
    name = model or weights.guess_architecture(state, classes, image_shape)
    name = name or weights.guess_architecture(state) or default
    found = architectures.make(name, classes, image_shape)
    head = weights.fill(found, state, name, str(path), classes)
    recipe, texts = weights.recipe_of(path), [head] if head else []
    if usual and recipe and not recipe.endswith(usual):
        texts.append(f"{name} starts from {recipe} (the paper: {usual})")
    content = checkpoints.dump_model(found)
    return GivenWeights(name, content, weights.digest(state), tuple(texts))
