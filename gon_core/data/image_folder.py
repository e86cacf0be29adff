"""What a folder of one's own images holds: one folder a class.

The layout is torchvision's ImageFolder: ``train/<class>/*`` and ``val/<class>/*``, or ``<class>/*``
alone, of which a fifth of each class is kept for testing. Formats are JPEG, PNG and WebP, and what
else Pillow reads.
"""

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from gon_core import seeding
from gon_core.config.trial import FolderConfig, ImageSize
from gon_core.data.corruption_folders import refuse, subfolders
from gon_core.data.files import DataFileError
from gon_core.data.listing import Files, LabelledSource, labels_of
from gon_core.names import nearest

TRAIN, TEST = "train", "val"
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm")
TEST_SHARE = 5  # of a folder that is not divided, one in so many of each class
LEAST = 3  # images of a class that is divided: one each to train on, to hold out and to test
MANY = 50_000  # images that take more than ten seconds
SPLIT_SEED = 0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FolderListing:
    """What a folder holds; see ``gon_core.data.listing``.

    Attributes:
        root: the folder.
        classes: names of the class folders, sorted; a class's label is its place.
        training: paths below ``root`` with their labels.
        test: the same.
        digest: SHA-256 of all paths and the sizes of these files.
    """

    root: Path
    classes: tuple[str, ...]
    training: tuple[tuple[str, int], ...]
    test: tuple[tuple[str, int], ...]
    digest: str

    def describe(self, image_size: ImageSize) -> FolderConfig:
        """Return what a trial's configuration says of it."""
        return FolderConfig(
            image_size=image_size, classes=len(self.classes), training_images=len(self.training),
            test_images=len(self.test), digest=self.digest,
        )  # fmt: skip

    def every(self, step: int) -> "FolderListing":
        """Return the first class and each that comes so many after it."""
        training, test = (
            tuple((path, label // step) for path, label in labelled if label % step == 0)
            for labelled in (self.training, self.test)
        )
        return replace(self, classes=self.classes[::step], training=training, test=test)

    def open(self) -> tuple[LabelledSource, LabelledSource]:
        """Return training and test images."""
        root = self.root.absolute()  # a trial runs in a working directory of its own
        training, test = (
            (
                Files(root, tuple(path for path, _ in labelled)),
                labels_of([label for _, label in labelled]),
            )
            for labelled in (self.training, self.test)
        )
        return training, test


def scan(root: Path, test_alone: bool = False) -> FolderListing:
    """Return what a folder holds, once the head of every file was looked at.

    Args:
        root: the folder.
        test_alone: to look at ``val`` alone, which is enough to test a model that is trained.

    Raises:
        DataFileError: a class folder is missing in ``val``, unknown there, or empty, a file is no
            image, a class has too few images to be divided, or there are fewer than two classes;
            names them all, the first 20 in full.
    """
    root, faults = Path(root), []
    names = subfolders(root)
    is_divided = TRAIN in names and TEST in names
    if not is_divided and {TRAIN, TEST} & set(names):
        faults.append(f"{root}: has {TRAIN} or {TEST}, and not both")
    if test_alone:
        is_divided, rule = False, "needs it, with one folder a class"
        faults = [] if TEST in names else [f"{root}: has no folder {TEST}: {rule}"]
    refuse(faults)
    folders = [root / TRAIN, root / TEST] if is_divided else [root / TEST if test_alone else root]
    found = [_classes(folder) for folder in folders]
    classes = tuple(sorted(found[0]))
    if len(classes) < 2:
        faults.append(f"{folders[0]}: {len(classes)} folders, a class each; needs two or more")
    for folder, of_class in zip(folders, found, strict=True):
        faults += [f"{folder / name}: no images" for name, paths in of_class.items() if not paths]
    if is_divided:
        faults += [
            f"{root / TEST / name}: no such folder" for name in classes if name not in found[1]
        ]
        faults += [
            f"{root / TEST / name}: no such class in {TRAIN}, nearest is {nearest(name, classes)}"
            for name in found[1]
            if name not in classes
        ]
    elif not test_alone:
        faults += [
            f"{root / name}: {len(paths)} images, a class needs {LEAST} to be divided"
            for name, paths in found[0].items()
            if 0 < len(paths) < LEAST
        ]
    paths = [path for of_class in found for name in sorted(of_class) for path in of_class[name]]
    faults += _no_images(paths)
    refuse(faults)
    labelled = [_labelled(root, classes, of_class) for of_class in found]
    if test_alone:
        training, test = [], labelled[0]
    else:
        training, test = labelled if is_divided else _divide(labelled[0])
    return FolderListing(
        root, classes, tuple(training), tuple(test), _digest(root, training + test)
    )


def scan_training(root: Path) -> FolderListing:
    """Return what there is to train on: ``train`` below a folder, or the folder itself, undivided.

    Raises:
        DataFileError: as ``scan``.
    """
    root = Path(root)
    root = root / TRAIN if TRAIN in subfolders(root) else root
    found = _classes(root)
    faults = [f"{root / name}: no images" for name, paths in found.items() if not paths]
    if len(found) < 2:
        faults.append(f"{root}: {len(found)} folders, a class each; needs two or more")
    refuse([*faults, *_no_images([path for paths in found.values() for path in paths])])
    classes = tuple(sorted(found))
    labelled = _labelled(root, classes, found)
    return FolderListing(root, classes, tuple(labelled), (), _digest(root, labelled))


def _labelled(
    root: Path, classes: Sequence[str], of_class: Mapping[str, Sequence[Path]]
) -> list[tuple[str, int]]:
    return [
        (str(path.relative_to(root)), label)
        for label, name in enumerate(classes)
        for path in of_class[name]
    ]


def _classes(folder: Path) -> dict[str, list[Path]]:
    found = {}
    for name in subfolders(folder):
        try:
            files = sorted(entry.name for entry in os.scandir(folder / name) if entry.is_file())
        except OSError as error:
            raise DataFileError(f"{folder / name}: cannot be read ({error.strerror})") from error
        shown = [file for file in files if not file.startswith(".")]
        found[name] = [folder / name / f for f in shown if f.lower().endswith(SUFFIXES)]
    return found


def _no_images(paths: Sequence[Path]) -> list[str]:
    """Return a line for every file that is no image, by the first bytes of each."""
    if len(paths) > MANY:
        log.warning("looking at %s images, which may take minutes", f"{len(paths):,}")
    with ThreadPoolExecutor(8) as pool:
        return [fault for fault in pool.map(_fault, paths) if fault]


def _fault(path: Path) -> str:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return "" if min(image.size) > 0 else f"{path}: has no pixels"
    except Image.DecompressionBombError:
        return f"{path}: has too many pixels"
    except OSError as error:
        reason = error.strerror if error.errno else "no image, or of an unknown format"
        return f"{path}: cannot be read ({reason})"


def _divide(labelled: Sequence[tuple[str, int]]) -> tuple[list, list]:
    """Return training and test images: a fifth of each class, at least one, is for testing."""
    stream = seeding.generator(SPLIT_SEED, "division of a folder")
    order = torch.randperm(len(labelled), generator=stream).tolist()
    of_class: dict[int, list[int]] = {}
    for index in order:
        of_class.setdefault(labelled[index][1], []).append(index)
    chosen = {
        index
        for indices in of_class.values()
        for index in indices[: max(1, len(indices) // TEST_SHARE)]
    }
    training = [each for index, each in enumerate(labelled) if index not in chosen]
    return training, [each for index, each in enumerate(labelled) if index in chosen]


def _digest(root: Path, labelled: Sequence[tuple[str, int]]) -> str:
    sha = hashlib.sha256()
    for path, label in sorted(labelled):
        sha.update(f"{path}\0{label}\0{(root / path).stat().st_size}\n".encode())
    return sha.hexdigest()
