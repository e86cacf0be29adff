"""ImageNet-C: published photos that given weights are evaluated on. Nothing is trained on it.

Where its corruptions are made of ImageNet's validation images instead, see ``imagenet.tested``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gon_core.benchmarks.benchmark import Benchmark, CorruptionSuite

if TYPE_CHECKING:
    from torch import Tensor

CORRUPTIONS = (
    "gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur", "motion_blur",
    "zoom_blur", "snow", "frost", "fog", "brightness", "contrast", "elastic_transform",
    "pixelate", "jpeg_compression",
)  # fmt: skip
ONLY_A_FOLDER = "ImageNet-C is read from its own folder: see gon_core.data.imagenet_c_folder"


def corrupt(images: Tensor, name: str, severity: int, seed: int, first: int) -> Tensor:
    """Refuse: the corrupted images are the published ones."""
    raise ValueError(ONLY_A_FOLDER)


def read(data_dir: object) -> Any:
    """Refuse: there is nothing to train on."""
    raise ValueError(ONLY_A_FOLDER)


SUITE = CorruptionSuite(
    "imagenet_c",
    "ImageNet-C",
    CORRUPTIONS,
    (1, 2, 3, 4, 5),
    corrupt,
    in_memory=False,
    noises=("gaussian_noise", "shot_noise", "impulse_noise"),
    reference_errors="alexnet_imagenet_c_error",
)
IMAGENET_C = Benchmark(
    name="imagenet_c",
    title="ImageNet",
    image_shape=(3, 224, 224),
    classes=1000,
    training_images=0,
    test_images=50_000,
    held_out=0,
    read=read,
    check=read,
    download=None,
    model="resnet50",
    methods={},
    strengths={},
    scales={},
    suites={"test": SUITE},
    measures=(),
)
