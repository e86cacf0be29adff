"""MNIST (embedded in this package), Fashion-MNIST and KMNIST as tensors."""

import tempfile
from http.client import HTTPException
from pathlib import Path

import torch
import torchvision
from torchvision.datasets.mnist import read_image_file, read_label_file

from gon_core.data import files
from gon_core.data.files import FOLDERS, DataFileError
from gon_core.data.splits import LabelledImages


def load(dataset: str, data_dir: Path | None = None) -> tuple[LabelledImages, LabelledImages]:
    """Load a data set's training and test images.

    Args:
        dataset: ``mnist`` (embedded, ``data_dir`` unused), ``fashion_mnist`` or ``kmnist``.
        data_dir: the folder that holds torchvision's layout,
            ``<data_dir>/FashionMNIST/raw/train-images-idx3-ubyte`` and so on.

    Returns:
        60,000 training and 10,000 test images, uint8 [image, 1, 28, 28], with their labels.

    Raises:
        DataFileError: a file is missing or damaged, see ``files.check``; every faulty file is named
            in one message.
        ValueError: unknown data set, or no ``data_dir`` where one is needed.
    """
    if dataset == "mnist":
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.read_embedded().items():
                (Path(folder) / name).write_bytes(content)
            return _read(Path(folder), "train"), _read(Path(folder), "t10k")
    files.check(dataset, data_dir)
    folder = files.raw_folder(dataset, data_dir)
    return _read(folder, "train"), _read(folder, "t10k")


def download(dataset: str, data_dir: Path) -> None:
    """Fetch ``fashion_mnist`` or ``kmnist`` into ``data_dir`` with torchvision; MNIST is embedded.

    Raises:
        DataFileError: no mirror answered with a file of the right checksum.
    """
    if dataset == "mnist":
        return
    try:
        getattr(torchvision.datasets, FOLDERS[dataset])(str(data_dir), download=True)
    except (RuntimeError, OSError, HTTPException) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
        raise DataFileError(f"{dataset} could not be downloaded to {data_dir}: {reason}") from error


def _read(folder: Path, part: str) -> LabelledImages:
    images = read_image_file(str(folder / f"{part}-images-idx3-ubyte"))
    labels = read_label_file(str(folder / f"{part}-labels-idx1-ubyte"))
    return LabelledImages(images.to(torch.uint8).unsqueeze(1), labels.to(torch.int64))
