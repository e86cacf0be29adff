"""Some test images, clean and under every corruption, exactly as a sweep evaluates them."""

from dataclasses import dataclass

import torch
from jaxtyping import Int64, UInt8
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from gon_core.benchmarks import Benchmark, CorruptionSuite
from gon_core.data.splits import Images
from gon_core.evaluation.corrupted_sets import CorruptedImages, EvaluationSet
from gon_core.measurement import CLEAN

SAMPLES = 6
LOOKED_AT = 250  # images from the first, of which some are shown


@dataclass(frozen=True)
class Examples:
    """The same images without and with corruption, levels 0..255.

    Attributes:
        clean: at most ``SAMPLES`` images of different classes.
        corrupted: the same images by corruption, in the paper's order, and by severity; of an
            extension, as its suite counts them.
    """

    clean: UInt8[Tensor, "sample channel height width"]
    corrupted: dict[str, dict[int, UInt8[Tensor, "sample channel height width"]]]


def make(data: Images, benchmark: Benchmark, seed: int, severities: bool) -> Examples:
    """Return the first images of different classes, corrupted.

    Args:
        data: the test images that are evaluated, from the first.
        benchmark: whose corruptions are shown.
        seed: of the corruptions, as ``corrupted_sets.build`` takes it.
        severities: whether to show all severities of an extension, or the published one alone.
    """
    suite = _suite(benchmark)
    shown = suite.severities if severities or suite.published is None else (suite.published,)
    block = data.first(LOOKED_AT)
    index = _first_of_classes(block.labels)
    seed = 2 * seed + 1  # as ``corrupted_sets.build`` corrupts test images
    images = block.batch(slice(None)) if suite.in_memory else None

    def made(name: str, severity: int) -> Tensor:
        if images is None:
            return CorruptedImages(block, suite, name, severity, seed).batch(index).cpu()
        # Those in memory may draw for whole blocks: these are the very images of the evaluated set.
        return suite.corrupt(images, name, severity, seed, 0)[index].cpu()

    corrupted = {
        name: {severity: made(name, severity) for severity in shown} for name in suite.corruptions
    }
    return Examples(block.batch(index).cpu(), corrupted)


def _suite(benchmark: Benchmark) -> CorruptionSuite:
    return benchmark.suites.get("severities", benchmark.suites["test"])


def of_set(given: EvaluationSet, benchmark: Benchmark) -> Examples:
    """Return the first images of different classes of a published set that was read.

    Args:
        given: of one severity a corruption.
        benchmark: whose corruptions they are.
    """
    index = _first_of_classes(given.clean.labels)
    severity = _suite(benchmark).published or 1
    corrupted = {
        name: {severity: images.batch(index).cpu()}
        for (name, _), images in given.images.items()
        if name != CLEAN
    }
    return Examples(given.clean.batch(index).cpu(), corrupted)


def _first_of_classes(labels: Int64[Tensor, " image"]) -> Int64[Tensor, " sample"]:
    first: dict[int, int] = {}
    for index, label in enumerate(labels.tolist()):
        first.setdefault(label, index)
    return torch.tensor(list(first.values())[:SAMPLES], dtype=torch.int64, device=labels.device)


def dump(examples: Examples) -> bytes:
    """Return the examples as safetensors, named ``clean`` and for example ``10/fog/3``."""
    tensors = {
        f"{index:02d}/{name}/{severity}": images.contiguous()
        for index, (name, by_severity) in enumerate(examples.corrupted.items())
        for severity, images in by_severity.items()
    }
    return save_tensors({CLEAN: examples.clean.contiguous()} | tensors)


def load(content: bytes) -> Examples:
    """Return what ``dump`` was given.

    Raises:
        SafetensorError, KeyError, ValueError: the content is not from ``dump``.
    """
    tensors = load_tensors(content)
    clean = tensors[CLEAN]
    for key, images in tensors.items():
        if images.dtype != torch.uint8 or images.shape != clean.shape or images.ndim != 4:
            raise ValueError(
                f"{key} must be uint8 [sample, channel, height, width], got {list(images.shape)}"
            )
    corrupted: dict[str, dict[int, Tensor]] = {}
    for key in sorted(tensors.keys() - {CLEAN}):
        _, name, severity = key.split("/")
        corrupted.setdefault(name, {})[int(severity)] = tensors[key]
    return Examples(clean, corrupted)
