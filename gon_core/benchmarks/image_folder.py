"""A folder of one's own images, with the corruptions of ImageNet-C made on the fly."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from gon_core.benchmarks import cifar10, mnist
from gon_core.benchmarks.benchmark import Benchmark, CorruptionSuite, Scale, Strength
from gon_core.config.methods import (
    ANT,
    DDN,
    GNT,
    PGD,
    SININ,
    UAT,
    AugMix,
    Ford,
    FreeAT,
    GNTMult,
    PatchGaussian,
    Speckle,
    Trained,
)
from gon_core.config.training import TrainingConfig
from gon_core.config.trial import FolderConfig, ImageSize

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from gon_core.data.listing import Listing
    from gon_core.data.splits import Images

NAME = "image_folder"
HELD_OUT = 10  # one in so many training images
MOST_HELD_OUT = 5_000
IN_MEMORY = 2**31  # bytes of corrupted test images at demo scale
# By height and width. Gaussian noise has the paper's sigma on ImageNet, and that of CIFAR-10 on its
# size; 0.2 lies between. Epsilon is the mean size of such noise on photos, as in appendix B (a test
# compares it with 20 photos of ImageNet); that of 3x3 kernels is to it as in the paper, 70 to 135.
SIGMA = {32: 0.1, 64: 0.2, 224: 0.5, 299: 0.5}
EPSILON = {32: 5.4, 64: 20.4, 224: 135.0, 299: 180.0}
EPSILON_3X3 = {32: 2.8, 64: 10.6, 224: 70.0, 299: 93.0}
AUGMIX_SEVERITY = {32: 3.0, 64: 3.0, 224: 1.0, 299: 1.0}
LEAST_AREA = {32: 0.35, 64: 0.35, 224: 0.08, 299: 0.08}  # of an image that a crop may show
MODEL = {32: "resnet9_small", 64: "resnet9_small", 224: "resnet18", 299: "resnet18"}
ANTS = ("ant_1x1", "ant_3x3", "ant_1x1_without_replay")
WITH_STYLIZED = {"ant_1x1_sin": "ant_1x1", "ant_3x3_sin": "ant_3x3"}  # by variant, the plain one
STYLIZED_SHARE = 15 / 70  # of a batch: 35 noisy images, 20 clean ones and 15 stylised ones
OF_SIGMA = ("gnt", "gnt_mult", "speckle", "ford", "patch_gaussian")
OF_PAPER = {32: "preactresnet18", 64: "preactresnet18", 224: "resnet50", 299: "resnet50"}

# Training on ImageNet in the paper: from trained weights, a tenth of the learning rate after 60
# epochs.
FINE_TUNING = TrainingConfig(
    batch_size=70, learning_rate=1e-3, decay_epochs=(60,), max_epochs=120
)  # fmt: skip
FROM_SCRATCH = TrainingConfig(
    batch_size=256, learning_rate=0.1, weight_decay=1e-4, decay_epochs=(30, 60), max_epochs=90
)


# Xie et al.'s training of their denoising ResNet-152, the strongest attack of all here.
PGD_TARGETED = PGD(
    epsilon=16 / 255, step_size=1 / 255, steps=30, targeted=True, clean_start_share=0.2,
    label_smoothing=0.1,
)  # fmt: skip
XIE = TrainingConfig(  # theirs has batches of 4,096 on 128 GPUs, and 16 times the learning rate
    batch_size=256, learning_rate=0.1, nesterov=True, weight_decay=1e-4, warm_up_epochs=5,
    decay_epochs=(35, 70, 95), max_epochs=110,
)  # fmt: skip
# Geirhos et al.: from ImageNet's weights, on twice the images.
SIN_IN = TrainingConfig(
    batch_size=256, learning_rate=0.1, weight_decay=1e-4, decay_epochs=(15, 30), max_epochs=45
)
RECIPES = {"sin_in": SIN_IN, "pgd_targeted": XIE}


def make(folder: FolderConfig) -> Benchmark:
    """Return the benchmark of a folder that looks so."""
    return _make(folder.model_dump_json())


@lru_cache
def _make(described: str) -> Benchmark:
    folder = FolderConfig.model_validate_json(described)
    side = folder.image_size
    pool = folder.training_images - held_out(folder)
    return Benchmark(
        name=NAME,
        title="image folder",
        image_shape=(3, side, side),
        classes=folder.classes,
        training_images=folder.training_images,
        test_images=folder.test_images,
        held_out=held_out(folder),
        read=partial(read, folder=folder),
        check=check,
        download=None,
        folder=folder,
        of_folder=make,
        describe=describe,
        image_size=64,
        model=MODEL[side],
        methods=methods(side),
        strengths=_strengths(side),
        scales={
            "demo": replace(
                cifar10.DEMO,
                training_images=10_000 if pool > 10_000 else None,
                validation_images=min(500, held_out(folder)),
                test_images=min(1_000, folder.test_images),
                fine_tuning=cifar10.DEMO.training.model_copy(update={"learning_rate": 0.01}),
            ),
            "paper": Scale(
                training_images=None,
                validation_images=held_out(folder),
                test_images=folder.test_images,
                start=FROM_SCRATCH,
                training=FINE_TUNING,
                checkpoint_every=1,
                model=OF_PAPER[side],
                recipes=RECIPES,
            ),
        },
        suites=_suites(side, folder.test_images),
        measures=("epsilon_star",),
        augment=partial(augment, least_area=LEAST_AREA[side]),
        stylized=stylized,
    )


def held_out(folder: FolderConfig) -> int:
    """Return how many training images are never trained on."""
    return min(MOST_HELD_OUT, max(1, folder.training_images // HELD_OUT))


def methods(side: int) -> dict[str, Trained]:
    """Return the training methods with their values for photos of a height and width."""
    sigma, epsilon, small = SIGMA[side], EPSILON[side], EPSILON_3X3[side]
    of_imagenet, norm = side > 64, 0.1 * side / 32
    own: dict[str, Trained] = {
        "gnt": GNT(sigma=sigma),
        "ford": Ford(sigma_max=sigma),
        "patch_gaussian": PatchGaussian(patch_size=25 * side // 32),
        "augmix": AugMix(solarize=True, geometric=True, severity=AUGMIX_SEVERITY[side]),
        "ddn": DDN(max_norm=norm, init_norm=norm),
        "ant_1x1": ANT(epsilon=epsilon),
        "ant_3x3": ANT(epsilon=small, kernel_size=3),
        "ant_1x1_without_replay": ANT(epsilon=epsilon, current_share=0.5, past_share=0),
    }
    if of_imagenet:  # the sigmas of ImageNet-C's Gaussian and speckle noise
        own |= {"gnt_mult": GNTMult(), "speckle": Speckle(), "free": FreeAT()}
        own["ford"] = Ford()  # the sigma_max of Table 8
        # Lopes et al. on 224 pixels: any side below 250.
        own["patch_gaussian"] = PatchGaussian(patch_size=250 * side // 224, random_size=True)
    found = {name: own.get(name, method) for name, method in cifar10.METHODS.items()}
    for name, plain in WITH_STYLIZED.items():
        found[name] = own[plain].model_copy(update={"stylized_share": STYLIZED_SHARE})
    return found | {"sin_in": SININ(), "uat": UAT(), "pgd_targeted": PGD_TARGETED}


def _strengths(side: int) -> dict[str, Strength]:
    """Return the strengths of CIFAR-10, stretched by how much stronger the noise is here.

    Sigmas on ImageNet's sizes are those of digits, which are the paper's for ImageNet-C.
    """
    factors = {"ddn": side / 32} | {name: EPSILON[side] / EPSILON[32] for name in ANTS}
    known = cifar10.STRENGTHS
    if side > 64:
        known = known | {name: mnist.STRENGTHS[name] for name in OF_SIGMA}
    else:
        factors |= {name: SIGMA[side] / SIGMA[32] for name in OF_SIGMA}
    own = {name: _stretched(found, factors.get(name, 1.0)) for name, found in known.items()}
    if side > 64:  # the paper's own value is among those tried, to stand beside its figure
        paper = dict.fromkeys(ANTS, EPSILON[side]) | {"ant_3x3": EPSILON_3X3[side]}
        own |= {name: _including(own[name], value) for name, value in paper.items()}
    further = WITH_STYLIZED | {"uat": "pgd", "pgd_targeted": "pgd"}
    return own | {name: own[plain] for name, plain in further.items()}


def _stretched(strength: Strength, factor: float) -> Strength:
    if factor == 1:
        return strength

    def times(value: float) -> float:
        return float(f"{value * factor:.2g}")

    joint = strength.joint
    return replace(
        strength, low=times(strength.low), high=times(strength.high),
        coarse_grid=tuple(map(times, strength.coarse_grid)),
        paper_grid=tuple(map(times, strength.paper_grid)),
        joint=None if joint is None else (times(joint[0]), times(joint[1])),
    )  # fmt: skip


def _including(strength: Strength, value: float) -> Strength:
    """Return a strength of whose grids the nearest value is ``value`` instead."""

    def exchanged(values: tuple[float, ...]) -> tuple[float, ...]:
        nearest = min(values, key=lambda each: abs(each - value))
        return tuple(value if each == nearest else each for each in values)

    grids = exchanged(strength.coarse_grid), exchanged(strength.paper_grid)
    return replace(strength, coarse_grid=grids[0], paper_grid=grids[1])


def _suites(side: int, test_images: int) -> dict[str, CorruptionSuite]:
    versions = len(cifar10.TEST.versions)
    in_memory = min(test_images, 1_000) * versions * 3 * side**2 <= IN_MEMORY
    test = replace(
        cifar10.TEST, name=f"{NAME}_c", title="Image-folder-C",
        in_memory=in_memory,
    )  # fmt: skip
    validation = replace(
        cifar10.VALIDATION, name=f"{NAME}_c_extra", title="the extra corruptions of ImageNet-C",
        in_memory=in_memory,
    )  # fmt: skip
    return {"validation": validation, "test": test}


def describe(data_dir: Path, image_size: ImageSize) -> FolderConfig:
    """Return what there is to know of a folder.

    Raises:
        DataFileError: see ``gon_core.data.image_folder.scan`` and ``gon_core.data.sharded.scan``.
    """
    return listing(data_dir).describe(image_size)


@lru_cache
def listing(data_dir: Path, test_alone: bool = False) -> Listing:
    """Return what a folder holds, of images or of shards; it is looked at once."""
    from gon_core.data import image_folder, parquet_folder, sharded

    place = parquet_folder.as_uri(data_dir)
    if parquet_folder.is_sharded(place):
        return sharded.scan(place, ("test",) if test_alone else tuple(parquet_folder.PARTS))
    return image_folder.scan(data_dir, test_alone)


@lru_cache
def stylized(data_dir: Path, place: Path, step: int = 1, many: int = 0) -> Listing:
    """Return what a folder of stylised versions of training images holds; it is looked at once.

    Args:
        data_dir: of the images themselves.
        place: of their stylised versions.
        step: which classes are taken where there are ``many``: each that comes so many after one.
        many: see ``step``.

    Raises:
        DataFileError: see ``gon_core.data.stylized``.
    """
    from gon_core.data import stylized as versions

    own, found = listing(data_dir), versions.scan(place)
    own, found = (
        each.every(step) if step > 1 and len(each.classes) == many else each
        for each in (own, found)
    )
    if found.classes != own.classes:
        own, found = versions.by_wnid(own), versions.by_wnid(found)
    versions.check_classes(place, found.classes, own.classes)
    return found


def read(data_dir: Path | None, folder: FolderConfig) -> tuple[Images, Images]:
    """Return training and test images, which are decoded when they are wanted."""
    from gon_core.data import folder_images

    assert data_dir is not None, "it is the user's own folder"
    return folder_images.load(listing(data_dir), folder.image_size)


def check(data_dir: Path | None) -> str:
    """Return the SHA-256 of the names and sizes of a folder's files."""
    assert data_dir is not None, "it is the user's own folder"
    return listing(data_dir).digest


def augment(images: Tensor, stream: Generator, least_area: float) -> Tensor:
    """Mirror training images, and show a part of each at full size, as is usual for ImageNet."""
    from gon_core.data.augmentation import random_resized_crop

    return random_resized_crop(images, stream, least_area)


# Before it is known what the folder holds.
IMAGE_FOLDER = make(
    FolderConfig(image_size=64, classes=10, training_images=10_000, test_images=1_000, digest="")
)
