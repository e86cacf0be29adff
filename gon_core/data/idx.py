"""MNIST (embedded in this package), Fashion-MNIST and KMNIST as tensors."""

from http.client import HTTPException
from pathlib import Path

import torch
from torch import Tensor

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
        contents = files.read_embedded()
    else:
        files.check(dataset, data_dir)
        folder = files.raw_folder(dataset, data_dir)
        contents = {name: (folder / name).read_bytes() for name in files.EMBEDDED_MD5}
    return _part(contents, "train"), _part(contents, "t10k")


def download(dataset: str, data_dir: Path) -> None:
    """Fetch ``fashion_mnist`` or ``kmnist`` into ``data_dir`` with torchvision; MNIST is embedded.

    Raises:
        DataFileError: no mirror answered with a file of the right checksum.
    """
    if dataset == "mnist":
        return
    import torchvision  # takes a second to import

    try:
        getattr(torchvision.datasets, FOLDERS[dataset])(str(data_dir), download=True)
    except (RuntimeError, OSError, HTTPException) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
        raise DataFileError(f"{dataset} could not be downloaded to {data_dir}: {reason}") from error


def _part(contents: dict[str, bytes], part: str) -> LabelledImages:
    images = _tensor(contents[f"{part}-images-idx3-ubyte"])
    labels = _tensor(contents[f"{part}-labels-idx1-ubyte"])
    return LabelledImages(images.unsqueeze(1), labels.to(torch.int64))


def _tensor(content: bytes) -> Tensor:
    # The head of an IDX file: two zeros, 8 for bytes, the number of axes, then the axes.
    head = 4 + 4 * content[3]
    shape = [int.from_bytes(content[start : start + 4]) for start in range(4, head, 4)]
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=head).reshape(shape)
