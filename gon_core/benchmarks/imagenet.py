"""ImageNet, and every tenth of its classes, with the corruptions of ImageNet-C made on the fly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gon_core.architectures import OF_IMAGENET as OF_IMAGENET_MODELS
from gon_core.benchmarks import cifar10, image_folder, imagenet_c
from gon_core.benchmarks.attacks import ON_IMAGENET
from gon_core.benchmarks.benchmark import Benchmark, CorruptionSuite, Published, Scale
from gon_core.config.training import TrainingConfig
from gon_core.config.trial import FolderConfig, ImageSize

if TYPE_CHECKING:
    from torch import Tensor

    from gon_core.data.listing import Listing
    from gon_core.data.splits import Images

CLASSES, STEP = 1000, 10  # ImageNet-100 has every tenth class, as in Kireev et al.
HELD_OUT = 25  # training images of each class
LEAST_AREA = 0.08  # of an image that a random crop shows

MEASURES = ("attacks", "epsilon_star")
# Of measures that take long, as many images as others report them on; the batch is that of ANT.
MEASURED_IMAGES, GENERATOR_BATCH = 5_000, 70

# Appendix B: from trained weights, decayed once by 10 at a plateau. That is three epochs, since the
# speckle model took 10 epochs in all and the longest training 90.
FINE_TUNING = TrainingConfig(batch_size=70, learning_rate=1e-3, patience=3, max_epochs=90)
ANTS = (*image_folder.ANTS, *image_folder.WITH_STYLIZED)
# Shafahi et al. with 4 replays: a quarter of 90 epochs, a tenth of the rate after each 8.
FREE = TrainingConfig(
    batch_size=256, learning_rate=0.1, weight_decay=1e-4, decay_epochs=(8, 16), max_epochs=23
)
EPOCHS = {"speckle": 10, "free": FREE.max_epochs} | dict.fromkeys(ANTS, 80)
RECIPES = image_folder.RECIPES | {"free": FREE}
# Their authors train from scratch; of Ford et al.'s training no more was found (appendix H).
RANDOM_STARTS = ("ford", "free", "pgd_targeted")
NOTES = {
    "ford": "SGD with momentum 0.9, weight decay 0.0001 and three decays are ours: its authors' "
    "optimiser is not known",
    "pgd_targeted": "batch 256 and learning rate 0.1 (Xie et al.: 4,096 and 1.6)",
    "augmix": "fine-tuned (Hendrycks et al.: 180 epochs from scratch)",
    "patch_gaussian": "fine-tuned (the code that was found: 100 epochs from scratch)",
    "uat": "epochs and batch of the paper's fine-tuning (Shafahi et al.'s are not known)",
}
START_WEIGHTS = "IMAGENET1K_V1"  # torchvision's name; of ImageNet-100 no weights are published
# Appendix B: "a large learning rate of 0.1 and random weights, and trained for 120 epochs"; decay
# and batch are torchvision's own.
FROM_SCRATCH = TrainingConfig(
    batch_size=256, learning_rate=0.1, weight_decay=1e-4, decay_epochs=(30, 60, 90), max_epochs=120
)


def corrupt(images: Tensor, name: str, severity: int, seed: int, first: int) -> Tensor:
    """Return photos under a corruption with ImageNet-C's last step, a JPEG of quality 85."""
    from gon_core.corruptions import photos

    indices = range(first, first + len(images))
    return photos.corrupt(images, name, severity, seed, indices, jpeg=True)


def _suites(title: str, name: str, is_whole: bool) -> dict[str, CorruptionSuite]:
    test = replace(
        cifar10.TEST, name=name, title=title, corrupt=corrupt, in_memory=False,
        reference_errors=imagenet_c.SUITE.reference_errors if is_whole else None,
        plain_mce=False,
    )  # fmt: skip
    validation = replace(
        cifar10.VALIDATION, name=f"{name}_extra", title=f"the extra corruptions of {title}",
        corrupt=corrupt, in_memory=False,
    )  # fmt: skip
    return {"validation": validation, "test": test}


def make(folder: FolderConfig, step: int) -> Benchmark:
    """Return the benchmark of a folder that looks so, with every class or each ``step``-th."""
    return _make(folder.model_dump_json(), step)


@lru_cache
def _make(described: str, step: int) -> Benchmark:
    folder, is_whole = FolderConfig.model_validate_json(described), step == 1
    base = image_folder.make(folder)
    name, title = ("imagenet", "ImageNet") if is_whole else ("imagenet100", "ImageNet-100")
    held_out = min(HELD_OUT * folder.classes, folder.training_images // 2)
    demo, pool = base.scales["demo"], folder.training_images - held_out
    return replace(
        base,
        name=name,
        title=title,
        held_out=held_out,
        holds_out_by_class=True,
        read=partial(read, folder=folder, step=step),
        check=partial(check, step=step),
        of_folder=partial(make, step=step),
        describe=partial(describe, step=step),
        stylized=partial(image_folder.stylized, step=step, many=CLASSES),
        image_size=224,
        model="resnet50" if is_whole else "preactresnet18",
        scales={
            "demo": replace(
                demo,
                training_images=10_000 if pool > 10_000 else None,
                validation_images=min(500, held_out),
            ),
            "paper": Scale(
                training_images=None,
                validation_images=held_out,
                test_images=folder.test_images,
                start=FROM_SCRATCH,
                training=FINE_TUNING,
                checkpoint_every=1,
                model="resnet50" if is_whole else "preactresnet18",
                epochs=EPOCHS,
                recipes=RECIPES,
                usual_epochs="30-90",
                start_weights=START_WEIGHTS if is_whole else "",
                random_starts=RANDOM_STARTS,
                notes=NOTES,
            ),
        },
        suites=_suites(f"{title}-C", f"{name}_c", is_whole),
        augment=None,  # crops are cut from whole images, while they are decoded
        measures=MEASURES,
        attacks=ON_IMAGENET,
        evaluation=_evaluation(folder),
        published=_published(folder.image_size, is_whole),
    )


def _published(side: int, is_whole: bool) -> Published | None:
    """Return the published figures: of images of 224 px, and of InceptionV3 those of 299 px."""
    if side == 224:
        return OF_IMAGENET if is_whole else OF_IMAGENET100
    return OF_INCEPTION if side == 299 and is_whole else None


def _evaluation(folder: FolderConfig) -> dict[str, int]:
    images = min(MEASURED_IMAGES, folder.test_images)
    return {"images": images, "generator_batch": GENERATOR_BATCH}


def tested(folder: FolderConfig) -> Benchmark:
    """Return the benchmark of ImageNet's validation images, on which models are only tested.

    Their corruptions are made, instead of the published ones that ``imagenet_c`` reads.
    """
    side = folder.image_size
    return replace(
        imagenet_c.IMAGENET_C,
        image_shape=(3, side, side),
        classes=folder.classes,
        test_images=folder.test_images,
        read=partial(read, folder=folder, step=1, test_alone=True),
        check=partial(check, step=1, test_alone=True),
        folder=folder,
        of_folder=tested,
        describe=partial(describe, step=1, test_alone=True),
        methods=image_folder.methods(side),
        suites={"test": replace(imagenet_c.SUITE, corrupt=corrupt, lacking=cifar10.lacking)},
        measures=MEASURES,
        attacks=ON_IMAGENET,
        evaluation=_evaluation(folder),
        published=imagenet_c.IMAGENET_C.published if side == 224 else None,
    )


def listing(data_dir: Path, step: int, test_alone: bool = False) -> Listing:
    """Return what a folder holds, of every class or of each ``step``-th.

    Args:
        data_dir: the folder.
        step: which classes.
        test_alone: whether its validation images are all that is looked at.

    Raises:
        DataFileError: it has not the 1,000 classes of ImageNet, nor those that are taken alone.
    """
    from gon_core.data.files import DataFileError

    found = image_folder.listing(data_dir, test_alone)
    count = len(found.classes)
    if count == CLASSES:
        return found.every(step) if step > 1 else found
    if count == CLASSES // step:
        return found
    wanted = f"{CLASSES:,}" if step == 1 else f"{CLASSES:,} or {CLASSES // step:,}"
    others = "" if test_alone else f"; for other images: --dataset {image_folder.NAME}"
    raise DataFileError(f"{data_dir}: has {count:,} classes, must have {wanted}{others}")


def describe(
    data_dir: Path, image_size: ImageSize, step: int, test_alone: bool = False
) -> FolderConfig:
    """Return what there is to know of a folder; see ``listing``."""
    return listing(data_dir, step, test_alone).describe(image_size)


def read(
    data_dir: Path | None, folder: FolderConfig, step: int, test_alone: bool = False
) -> tuple[Images, Images]:
    """Return training and test images, which are decoded when they are wanted."""
    from gon_core.data import folder_images

    assert data_dir is not None, "ImageNet is the user's own"
    found = listing(data_dir, step, test_alone)
    return folder_images.load(found, folder.image_size, LEAST_AREA)


def check(data_dir: Path | None, step: int, test_alone: bool = False) -> str:
    """Return the SHA-256 that distinguishes what is read."""
    assert data_dir is not None, "ImageNet is the user's own"
    return listing(data_dir, step, test_alone).digest


def _not_trained(names: Sequence[str]) -> dict[str, str]:
    return dict.fromkeys(names, "evaluate_checkpoint.py measures such a model")


OF_IMAGENET = Published(
    title="Table 4",
    top1="imagenet_c_top1",
    rows={
        "vanilla": "vanilla_rn50",
        "speckle": "speckle",
        "gnt": "gnt_sigma_0.5",
        "gnt_mult": "gnt_mult",
        "patch_gaussian": "patch_gn",
        "augmix": "augmix",
        "ant_1x1": "ant_1x1",
        "ant_3x3": "ant_3x3",
        "ant_1x1_without_replay": "ant_1x1_no_replay",
        "sin_in": "sin_in",
        "ant_1x1_sin": "ant_1x1_sin",
        "ant_3x3_sin": "ant_3x3_sin",
    },
    not_trained=_not_trained(("shift_inv",)),
    of_models={
        **{name: {} for name in OF_IMAGENET_MODELS if name != "resnet50"},
        "resnet50_antialiased": {"vanilla": "shift_inv"},
    },
    curves={"gnt": ("imagenet_c_vs_sigma", "sigma", "imagenet_c_top1")},
    adversarial_title="Table 4 of the main paper",
    adversarial="imagenet_adversarial",
    attacks={"ddn": "l2_eps_0.125", "pgd": "linf_eps_0.001"},
)
OF_INCEPTION = replace(
    OF_IMAGENET, title="Table 8", top1="inception_v3_imagenet_c_top1", rows={}, curves={},
    not_trained={}, of_models={}, adversarial=None,
)  # fmt: skip
OF_IMAGENET100 = Published(
    source="Kireev et al.",
    trained="PreActResNet-18",
    title="accuracies on ImageNet-100-C",
    top1="imagenet100_c_top1",
    rows={
        "vanilla": "standard-imagenet100",
        "gnt": "gauss-augment-50percent-sigma=0.5-imagenet100",
        "augmix": "augmix-imagenet100",
        "ant_1x1": "ant-imagenet100",
    },
    not_trained={
        **_not_trained(("l2-at-eps=0.05-imagenet100", "linf-at-eps=0.05:256-imagenet100")),
        "sin-imagenet100": "needs stylised images",
        **dict.fromkeys(
            (
                "rlat-eps=0.01-sin-imagenet100", "rlat-eps=0.02-ant-imagenet100",
                "rlat-eps=0.02-imagenet100", "rlat-eps=0.05-augmix-imagenet100",
            ),
            "not a method of this project",
        ),
    },
)  # fmt: skip
IMAGENET_C = replace(
    imagenet_c.IMAGENET_C, of_folder=tested, describe=partial(describe, step=1, test_alone=True)
)
_BEFORE: dict[str, Any] = {"digest": "", "image_size": 224}  # before the folder is known
IMAGENET = make(
    FolderConfig(classes=1000, training_images=1_281_167, test_images=50_000, **_BEFORE), step=1
)
IMAGENET100 = make(
    FolderConfig(classes=100, training_images=128_000, test_images=5_000, **_BEFORE), step=STEP
)
