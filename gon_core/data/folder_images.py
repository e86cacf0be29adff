"""Images in files, decoded when they are wanted, by worker processes or once into memory."""

import io
import logging
import multiprocessing
import os
import re
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from gon_core.data.corruption_folders import refuse
from gon_core.data.files import DataFileError
from gon_core.data.image_folder import Listing
from gon_core.data.splits import LabelledImages, Splits

MARGIN = 8 / 7  # what is resized to the shorter side, before the centre is cut out: 256 for 224
PREFETCHED = 4  # batches of each worker process
# What is raised where a process was killed: by torch, or because it no longer hands over what it
# has decoded.
LOST = (RuntimeError, OSError, EOFError)
RESTARTS = 3  # of worker processes that died, in one pass through the images
ORIENTATION = 0x0112  # in EXIF
CHUNK = 64  # images that are decoded into memory at a time

log = logging.getLogger(__name__)


def decode(path: Path, side: int) -> tuple[UInt8[Tensor, "3 side side"], bool]:
    """Return an image's centre, and whether Pillow had to read it.

    The shorter side is brought to ``8 / 7 * side`` pixels (256 for 224; a smaller image is
    enlarged), bilinear with antialiasing; then the centre is cut out. What EXIF says of a rotation
    is ignored, as torchvision does.

    Raises:
        DataFileError: it cannot be decoded.
    """
    from torchvision.transforms.v2 import functional as F

    image, by_pillow = decode_whole(path)
    resized = F.resize(image, [round(side * MARGIN)], antialias=True)
    return F.center_crop(resized, [side, side]), by_pillow


def decode_whole(path: Path) -> tuple[UInt8[Tensor, "3 height width"], bool]:
    """Return a whole image in RGB, and whether Pillow had to read it; see ``decode``."""
    from PIL import Image, UnidentifiedImageError
    from torchcodec import decoders

    readers = {
        ".jpg": decoders.decode_jpeg,
        ".jpeg": decoders.decode_jpeg,
        ".png": decoders.decode_png,
        ".webp": decoders.decode_webp,
    }
    try:
        content = path.read_bytes()
        if _is_turned(content):  # torchcodec would turn it
            return _decode_by_pillow(content), True
        try:
            return readers[path.suffix.lower()](content, mode="RGB"), False
        except (KeyError, RuntimeError, ValueError):  # animated, or of another format
            return _decode_by_pillow(content), True
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # Pillow's
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        if isinstance(error, UnidentifiedImageError):  # whose message has an address in memory
            reason = "no image, or of an unknown format"
        raise DataFileError(f"{path}: cannot be decoded ({reason})") from error


def _is_turned(content: bytes) -> bool:
    """Whether EXIF says that an image is to be turned."""
    from PIL import Image

    if not re.search(rb"exif", content, re.IGNORECASE):
        return False
    try:
        with Image.open(io.BytesIO(content)) as image:
            return image.getexif().get(ORIENTATION, 1) != 1
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False  # the decoder says what is wrong


def _decode_by_pillow(content: bytes) -> UInt8[Tensor, "3 height width"]:
    from PIL import Image

    with Image.open(io.BytesIO(content)) as image:
        if image.mode.startswith("I"):  # grey with 16 bits: convert() would clip, not scale it
            levels = np.asarray(image).astype(np.float64) / 257
            grey = Image.fromarray(levels.round().clip(0, 255).astype(np.uint8))
            image = grey
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).contiguous()


class FolderImages:
    """Images in files, decoded whenever a batch of them is wanted; see ``gon_core.data.splits``.

    Args:
        root: the folder; must be there on every machine that reads them.
        paths: below it.
        labels: the class of each.
        side: height and width that each is brought to.
        workers: processes that decode ahead while a training runs; 0 for none.
        device: where labels and batches are.
    """

    def __init__(
        self, root: Path, paths: Sequence[str], labels: Int64[Tensor, " image"], side: int,
        workers: int = 0, device: str | torch.device = "cpu",
    ) -> None:  # fmt: skip
        self.root, self.paths, self.side, self.workers = Path(root), tuple(paths), side, workers
        self.labels = labels.to(device)
        self._loader: _Loader | None = None

    @property
    def device(self) -> torch.device:
        """Where labels and batches are."""
        return self.labels.device

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: slice | Tensor) -> "FolderImages":
        numbers = self._numbers(index)
        paths = [self.paths[number] for number in numbers]
        return self._changed(paths=paths, labels=self.labels[index])

    def first(self, count: int | None) -> "FolderImages":
        """Return the first of the images; all for None."""
        return self[:count]

    def to(self, device: str | torch.device) -> "FolderImages":
        """Return the same images, whose batches are put on ``device``."""
        return self._changed(device=device)

    def decoded_by(self, workers: int) -> "FolderImages":
        """Return the same images, decoded by so many processes."""
        return self._changed(workers=workers)

    def batch(self, index: slice | Tensor) -> UInt8[Tensor, "batch channel height width"]:
        """Return some of the images, decoded in this process."""
        read = _Files(self.root, self.paths, self.side)
        with ThreadPoolExecutor(max(1, self.workers)) as pool:
            found = list(pool.map(read.one, self._numbers(index)))
        return _joined(found).to(self.device)

    def batches(
        self, indices: Sequence[Tensor]
    ) -> Iterator[UInt8[Tensor, "batch channel height width"]]:
        """Yield a batch for each of ``indices``; the next ones are decoded meanwhile."""
        if not self.workers:
            yield from map(self.batch, indices)
            return
        wanted, restarts = [index.tolist() for index in indices], 0
        coming = None
        for done in range(len(wanted)):
            while True:
                self._loader = self._loader or _Loader(self)
                coming = coming or self._loader.batches(wanted[done:])
                try:
                    found = next(coming)
                    break
                except LOST as error:
                    if restarts == RESTARTS:
                        raise
                    log.warning("a process that decodes images died; new ones go on (%s)", error)
                    self._loader, coming, restarts = None, None, restarts + 1
            yield _joined(found).to(self.device, non_blocking=True)

    def in_memory(self) -> tuple[LabelledImages, int]:
        """Return the same images decoded, and how many of them Pillow had to read.

        Raises:
            DataFileError: some cannot be decoded; names the first 20.
        """
        images = torch.empty(len(self), 3, self.side, self.side, dtype=torch.uint8)
        loader, done, by_pillow, faults = _Loader(self), 0, 0, []
        for found in loader.batches(torch.arange(len(self)).split(CHUNK)):
            for image in found:
                if isinstance(image, str):
                    faults.append(image)
                else:
                    images[done], slow = image
                    by_pillow += slow
                done += 1
        refuse(faults)
        return LabelledImages(images, self.labels.cpu()), by_pillow

    def _numbers(self, index: slice | Tensor) -> list[int]:
        return torch.arange(len(self))[index.cpu() if isinstance(index, Tensor) else index].tolist()

    def _changed(self, **changes: Any) -> "FolderImages":
        now = {
            "root": self.root, "paths": self.paths, "labels": self.labels, "side": self.side,
            "workers": self.workers, "device": self.labels.device,
        }  # fmt: skip
        return FolderImages(**(now | changes))

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_loader": None}  # its processes stay here


Decoded = tuple[Tensor, bool] | str
"""An image, and whether Pillow had to read it; or why it cannot be decoded."""


@dataclass(frozen=True)
class _Files(torch.utils.data.Dataset):
    """Decodes images of a folder by their number; what is wrong with one is returned."""

    root: Path
    paths: tuple[str, ...]
    side: int

    def __getitem__(self, number: int) -> Decoded:
        return self.one(number)

    def one(self, number: int) -> Decoded:
        try:
            return decode(self.root / self.paths[number], self.side)
        except DataFileError as error:
            return str(error)


def _end_with_trial(worker: int) -> None:
    """Let a process that decodes end with the process that it decodes for, however that ends.

    torch's own check does not run while a process waits for somebody to take its images.
    """
    trial = multiprocessing.parent_process()
    assert trial is not None, "it was started by another process"

    def wait() -> None:
        trial.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


class _Loader:
    """torch's DataLoader with worker processes that outlast an epoch."""

    def __init__(self, images: FolderImages) -> None:
        self._order: list[list[int]] = []
        self._loader = torch.utils.data.DataLoader(
            _Files(images.root, images.paths, images.side),
            batch_sampler=self._order,
            num_workers=images.workers,
            collate_fn=list,
            persistent_workers=images.workers > 0,
            prefetch_factor=PREFETCHED if images.workers else None,
            multiprocessing_context="forkserver" if images.workers else None,
            worker_init_fn=_end_with_trial,
        )

    def batches(self, wanted: Sequence) -> Iterator[list[Decoded]]:
        self._order[:] = [list(map(int, numbers)) for numbers in wanted]
        yield from self._loader


def _joined(found: Sequence[Decoded]) -> UInt8[Tensor, "batch 3 height width"]:
    refuse([image for image in found if isinstance(image, str)])
    return torch.stack([image[0] for image in found if not isinstance(image, str)])


def load(listing: Listing, side: int) -> tuple[FolderImages, FolderImages]:
    """Return training and test images, in the order of the listing."""
    training, test = (
        FolderImages(
            listing.root, [path for path, _ in labelled],
            torch.tensor([label for _, label in labelled]), side,
        )
        for labelled in (listing.training, listing.test)
    )  # fmt: skip
    return training, test


def keep(splits: Splits, all_of_them: bool, workers: int, in_trials: int = 0) -> tuple[Splits, int]:
    """Return splits whose images are decoded in memory, and how many Pillow had to read.

    Args:
        splits: of a folder.
        all_of_them: images to train on too; else these are decoded in every epoch.
        workers: processes that decode here; 0 for threads of this one.
        in_trials: processes of each trial that decode, in every epoch.

    Raises:
        DataFileError: some cannot be decoded; names the first 20.
    """
    found, by_pillow = {}, 0
    for name in ("training", "validation", "test"):
        images = getattr(splits, name)
        if name == "training" and not all_of_them:
            found[name] = images.decoded_by(in_trials)
            continue
        found[name], slow = images.decoded_by(workers).in_memory()
        by_pillow += slow
    return replace(splits, **found), by_pillow
