"""CIFAR-10, with the corruptions of CIFAR-10-C made on the fly: photos of 32 pixels."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gon_core.benchmarks import imagenet_c, mnist
from gon_core.benchmarks.benchmark import (
    Benchmark,
    CorruptionSuite,
    Published,
    Scale,
    Strength,
)
from gon_core.benchmarks.mnist import PIXELS
from gon_core.config.methods import (
    ANT,
    DDN,
    GNT,
    PGD,
    AugMix,
    Ford,
    FreeAT,
    GNTMult,
    PatchGaussian,
    Speckle,
    Trained,
    Vanilla,
)
from gon_core.config.training import TrainingConfig

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from gon_core.data.splits import LabelledImages

# The strengths of Kireev et al. for half of each batch with Gaussian noise, for attacks in
# l-infinity (1/255) and in l2; the steps of these attacks are ours, and free adversarial training
# has the former's strength. AugMix and Patch Gaussian are their authors' for CIFAR-10. Further
# sigmas are those of CIFAR-10-C's noises. An epsilon of 5.4 is
# the mean size of Gaussian noise of sigma 0.1 on these images, as appendix B chooses 135 for
# ImageNet; that of 3x3 kernels is to it as on ImageNet, 70 to 135.
METHODS: dict[str, Trained] = {
    "vanilla": Vanilla(),
    "gnt": GNT(sigma=0.1),
    "gnt_mult": GNTMult(sigmas=(0.04, 0.06, 0.08, 0.09, 0.1)),
    "speckle": Speckle(sigmas=(0.06, 0.1, 0.12, 0.16, 0.2)),
    "ford": Ford(sigma_max=0.1),
    "patch_gaussian": PatchGaussian(patch_size=25),
    "augmix": AugMix(solarize=True, geometric=True),
    "pgd": PGD(epsilon=0.004, step_size=0.001, steps=7),
    "free": FreeAT(epsilon=0.004, step_size=0.004),
    "ddn": DDN(max_norm=0.1, init_norm=0.1),
    "ant_1x1": ANT(epsilon=5.4),
    "ant_3x3": ANT(epsilon=2.8, kernel_size=3),
    "ant_1x1_without_replay": ANT(epsilon=5.4, current_share=0.5, past_share=0),
}

SIGMA = Strength(
    "sigma", 0.0, 1.0, 0.01, PIXELS, coarse_grid=(0.0, 0.05, 0.1, 0.2, 0.4),
    paper_grid=(0.0, 0.02, 0.05, 0.08, 0.1, 0.12, 0.15, 0.2, 0.3, 0.5),
)  # fmt: skip
LARGEST_SIGMA = Strength(
    "largest_sigma", 0.02, 1.0, 0.01, PIXELS, coarse_grid=(0.05, 0.1, 0.2, 0.4),
    paper_grid=(0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5),
)  # fmt: skip
# On 3,072 values: noise that turns every value by 0.5 has the size 28.
EPSILON = Strength(
    "epsilon", 0.5, 20.0, 0.1, f"l2 norm, {PIXELS}", coarse_grid=(1.0, 3.0, 5.4, 8.0),
    paper_grid=(0.5, 1.0, 2.0, 3.0, 4.0, 5.4, 7.0, 10.0, 15.0), joint=(0.5, 10.0),
)  # fmt: skip
LINF = Strength(
    "epsilon", 0.001, 0.1, 0.001, f"l-infinity, {PIXELS}", (0.004, 0.008, 0.016, 0.031),
    (0.002, 0.004, 0.008, 0.012, 0.016, 0.024, 0.031),
)  # fmt: skip
STRENGTHS = {
    "gnt": SIGMA,
    "gnt_mult": LARGEST_SIGMA,
    "speckle": LARGEST_SIGMA,
    "ford": replace(SIGMA, parameter="sigma_max"),
    "patch_gaussian": replace(SIGMA, parameter="sigma_max"),
    "augmix": mnist.STRENGTHS["augmix"],
    "pgd": LINF,
    "free": LINF,
    "ddn": Strength(
        "max_norm", 0.05, 3.0, 0.05, f"l2 norm, {PIXELS}", (0.1, 0.25, 0.5, 1.0),
        (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5),
    ),
    "ant_1x1": EPSILON,
    "ant_3x3": EPSILON,
    "ant_1x1_without_replay": EPSILON,
}  # fmt: skip

RECIPE = TrainingConfig(batch_size=128, learning_rate=0.2, weight_decay=5e-4, nesterov=True)
DEMO = Scale(
    training_images=30_000,
    validation_images=500,
    test_images=1_000,
    start=RECIPE.model_copy(update={"warm_up_epochs": 1, "max_epochs": 3, "anneals": True}),
    training=RECIPE.model_copy(update={"learning_rate": 0.1, "max_epochs": 1, "anneals": True}),
    checkpoint_every=1,
    methods={
        "ant": {
            "pretraining_steps": 100,
            "pretraining_learning_rate": 1e-3,
            "generator_learning_rate": 1e-3,
        },
        "pgd": {"step_size": 0.002, "steps": 3},
        "ddn": {"gamma": 0.2, "steps": 3},
    },
    evaluation={**mnist.DEMO.evaluation, "images": 100},
)
# Kireev et al.: 150 epochs, a tenth of the learning rate at 34 % and 67 % of them.
KIREEV = TrainingConfig(
    batch_size=128, learning_rate=0.1, weight_decay=5e-4, decay_epochs=(51, 101), max_epochs=150,
)  # fmt: skip
PAPER = Scale(
    training_images=None,
    validation_images=5_000,
    test_images=10_000,
    start=KIREEV,
    training=KIREEV,
    checkpoint_every=10,
    model="preactresnet18",
)

EXTRA = ("speckle_noise", "gaussian_blur", "spatter", "saturate")


def corrupt(images: Tensor, name: str, severity: int, seed: int, first: int) -> Tensor:
    """Return photos uint8 [n, 3, 32, 32] under a corruption, without the JPEG of ImageNet-C."""
    from gon_core.corruptions import photos  # torch, which is slow to import

    return photos.corrupt(images, name, severity, seed, range(first, first + len(images)))


def lacking() -> tuple[str, ...]:
    """Return ``frost`` where there are no frost photos."""
    is_there = os.environ.get(FROST_VARIABLE) or importlib.util.find_spec("imagecorruptions")
    return () if is_there else ("frost",)


FROST_VARIABLE = "GON_FROST_DIR"
"""The environment variable with the folder of frost photos, for all processes of a sweep."""
TEST = CorruptionSuite(
    "cifar10_c",
    "CIFAR-10-C",
    imagenet_c.CORRUPTIONS,
    (1, 2, 3, 4, 5),
    corrupt,
    noises=imagenet_c.SUITE.noises,
    lacking=lacking,
    plain_mce=True,
)
# The authors of CIFAR-10-C ask that its fifteen corruptions be kept for testing.
VALIDATION = CorruptionSuite(
    "cifar10_c_extra",
    "the extra corruptions of CIFAR-10-C",
    EXTRA,
    (1, 3, 5),
    corrupt,
    noises=("speckle_noise",),
)


def read(data_dir: Path | None) -> tuple[LabelledImages, LabelledImages]:
    """Return training and test images, in the order of the files."""
    from gon_core.data import cifar

    assert data_dir is not None, "CIFAR-10 is not embedded"
    return cifar.load(data_dir)


def check_corrupted(folder: Path) -> str:
    """Return the SHA-256 of the published CIFAR-10-C, once it is found to be whole."""
    from gon_core.data import cifar10_c_folder

    return cifar10_c_folder.check(folder)


def read_corrupted(
    folder: Path, chosen: Tensor, corruptions: Sequence[str]
) -> Mapping[tuple[str, int], LabelledImages]:
    """Return some test images, by their indices, as published under some corruptions."""
    from gon_core.data import cifar10_c_folder

    return cifar10_c_folder.load(folder, chosen, corruptions)


def check(data_dir: Path | None) -> str:
    """Return the SHA-256 of the files' contents, once they are found to be whole."""
    from gon_core.data import cifar

    assert data_dir is not None, "CIFAR-10 is not embedded"
    return cifar.check(data_dir)


def download(data_dir: Path) -> None:
    """Fetch the files with torchvision."""
    from gon_core.data import cifar

    cifar.download(data_dir)


def augment(images: Tensor, stream: Generator) -> Tensor:
    """Mirror and move training images, as is usual for CIFAR-10."""
    from gon_core.data.augmentation import flip_and_crop

    return flip_and_crop(images, stream)


CIFAR10 = Benchmark(
    name="cifar10",
    title="CIFAR-10",
    image_shape=(3, 32, 32),
    classes=10,
    training_images=50_000,
    test_images=10_000,
    held_out=5_000,
    read=read,
    check=check,
    download=download,
    model="resnet9_small",
    methods=METHODS,
    strengths=STRENGTHS,
    scales={"demo": DEMO, "paper": PAPER},
    suites={"validation": VALIDATION, "test": TEST},
    measures=("epsilon_star",),
    augment=augment,
    check_corrupted=check_corrupted,
    read_corrupted=read_corrupted,
    recipe="Kireev et al.",
    published=Published(
        source="Kireev et al.",
        trained="PreActResNet-18, 150 epochs",
        title="accuracies on CIFAR-10-C",
        top1="cifar10_c_top1",
        rows={
            "vanilla": "standard",
            "gnt": "gauss-augment-50percent-sigma=0.1",
            "augmix": "augmix",
            "pgd": "linf-at-eps=1.0:255",
            "ddn": "l2-at-eps=0.1",
        },
        not_trained={
            "gauss-augment-100percent-sigma=0.05": "every image noisy, half of them here",
            "deepaugment": "needs images that other networks have changed",
            **dict.fromkeys(
                (
                    "fast-pat-eps=0.02",
                    "gradient-regularization-lambda=0.02",
                    "rlat-eps=0.08",
                    "rlat-eps=0.05-augmix",
                    "rlat-eps=0.02-deepaugment",
                ),
                "not a method of this project",
            ),
        },
    ),
)
