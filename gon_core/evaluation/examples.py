"""Some test digits, clean and under every corruption, exactly as a sweep evaluates them."""

from dataclasses import dataclass

import torch
from jaxtyping import Int64, UInt8
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from gon_core.corruptions import mnist_c
from gon_core.corruptions.mnist_c import PUBLISHED_SEVERITY, SEVERITIES
from gon_core.data.splits import LabelledImages
from gon_core.measurement import CLEAN

SAMPLES = 6


@dataclass(frozen=True)
class Examples:
    """The same digits without and with corruption, grey levels 0..255.

    Attributes:
        clean: at most ``SAMPLES`` digits of different classes.
        corrupted: the same digits by corruption, in the paper's order, and by severity 1..5;
            severity 3 is MNIST-C, the others are our extension.
    """

    clean: UInt8[Tensor, "sample 28 28"]
    corrupted: dict[str, dict[int, UInt8[Tensor, "sample 28 28"]]]


def make(data: LabelledImages, seed: int, severities: bool) -> Examples:
    """Return the first digits of different classes, corrupted.

    Args:
        data: the test images that are evaluated, from the first.
        seed: of the corruptions, as ``corrupted_sets.build`` takes it.
        severities: whether to show all five severities, or the published one alone.
    """
    # Corruptions draw for whole blocks, so that these are the very images of the evaluated set.
    block = data[: mnist_c.BLOCK]
    index = _first_of_classes(block.labels)
    seed = 2 * seed + 1  # as ``corrupted_sets.build`` corrupts test images

    def corrupt(name: str, severity: int) -> UInt8[Tensor, "sample 28 28"]:
        return mnist_c.corrupt(block.images, name, seed, severity=severity)[index].cpu()

    shown = SEVERITIES if severities else (PUBLISHED_SEVERITY,)
    corrupted = {
        name: {severity: corrupt(name, severity) for severity in shown}
        for name in mnist_c.CORRUPTIONS
    }
    return Examples(block.images[index].cpu(), corrupted)


def of_set(
    images: dict[str, UInt8[Tensor, "image 28 28"]], labels: Int64[Tensor, " image"]
) -> Examples:
    """Return the first digits of different classes of a set that was read, such as MNIST-C's own.

    Args:
        images: by corruption, and ``clean``, in the same order.
        labels: of the images.
    """
    index = _first_of_classes(labels)
    corrupted = {
        name: {PUBLISHED_SEVERITY: images[name][index].cpu()} for name in mnist_c.CORRUPTIONS
    }
    return Examples(images[CLEAN][index].cpu(), corrupted)


def _first_of_classes(labels: Int64[Tensor, " image"]) -> Int64[Tensor, " sample"]:
    first: dict[int, int] = {}
    for index, label in enumerate(labels.tolist()):
        first.setdefault(label, index)
    return torch.tensor(list(first.values())[:SAMPLES], dtype=torch.int64, device=labels.device)


def dump(examples: Examples) -> bytes:
    """Return the examples as safetensors, named ``clean`` and for example ``fog/3``."""
    tensors = {
        f"{name}/{severity}": images.contiguous()
        for name, by_severity in examples.corrupted.items()
        for severity, images in by_severity.items()
    }
    return save_tensors({CLEAN: examples.clean.contiguous()} | tensors)


def load(content: bytes) -> Examples:
    """Return what ``dump`` was given.

    Raises:
        SafetensorError, KeyError, ValueError: the content is not from ``dump``.
    """
    tensors = load_tensors(content)
    shape = tensors[CLEAN].shape
    for key, images in tensors.items():
        if images.dtype != torch.uint8 or images.shape != (shape[0], 28, 28):
            raise ValueError(f"{key} must be uint8 [sample, 28, 28], got {list(images.shape)}")
    clean = tensors.pop(CLEAN)
    corrupted: dict[str, dict[int, Tensor]] = {name: {} for name in mnist_c.CORRUPTIONS}
    for key, images in tensors.items():
        name, _, severity = key.partition("/")
        corrupted[name][int(severity)] = images
    return Examples(
        clean,
        {name: dict(sorted(found.items())) for name, found in corrupted.items() if found},
    )
