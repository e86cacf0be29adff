"""CIFAR-10, read from the files that torchvision downloads, without loading a pickle.

The files are pickles. They are taken apart, not executed: their images are the one long string of
bytes in them, their labels the whole numbers behind the word ``labels``.
"""

import hashlib
import pickletools
from http.client import HTTPException
from pathlib import Path

import numpy as np
import torch

from gon_core.data.files import DataFileError
from gon_core.data.splits import LabelledImages

FOLDER = "cifar-10-batches-py"
IMAGES, SHAPE = 10_000, (3, 32, 32)  # of each file
BYTES = IMAGES * 3 * 32 * 32
# SHA-256 of each file's images [image, channel, row, column] and then its labels, as bytes.
DIGESTS = {
    "data_batch_1": "ba52cb2d72c412975d7556bb26bd094956f1c002d1937053f6f1252f2ac17114",
    "data_batch_2": "350ff9000489d02f2568c0dcf4912ffdbae9e50932147905fb1b8159ad54f0ac",
    "data_batch_3": "a2b8653fc457df407af6c38b7e0d1a12530f3b5f81fce9f81516efd065daf722",
    "data_batch_4": "133e6292c377755074c305db8a684d48d5397372cb0aba34f52b4335eab35d97",
    "data_batch_5": "eb08cdc11fd1267ef871cf4790f193684b3f556d13317be68f4eb374a078ea87",
    "test_batch": "9a4c74f5c8b6f2c4e13d3a1dfb43a5a8cda8a9da515e99fd620d2013a1a6287a",
}
TEST = "test_batch"
NUMBERS = ("INT", "BININT", "BININT1", "BININT2")  # opcodes; others' numbers are no values


def load(data_dir: Path) -> tuple[LabelledImages, LabelledImages]:
    """Return 50,000 training and 10,000 test images, uint8 [image, 3, 32, 32], with their labels.

    Args:
        data_dir: the folder that holds torchvision's ``cifar-10-batches-py``.

    Raises:
        DataFileError: files are missing or damaged; every one is named.
    """
    read = _read_all(data_dir)
    training = [read[name] for name in DIGESTS if name != TEST]
    return _joined(training), _joined([read[TEST]])


def check(data_dir: Path) -> str:
    """Look whether every file is there and whole; return the SHA-256 of their contents.

    Raises:
        DataFileError: as ``load``.
    """
    _read_all(data_dir)
    return hashlib.sha256("".join(DIGESTS.values()).encode()).hexdigest()


def download(data_dir: Path) -> None:
    """Fetch the files into ``data_dir`` with torchvision.

    Raises:
        DataFileError: the server did not answer with a file of the right checksum.
    """
    from torchvision.datasets.cifar import CIFAR10
    from torchvision.datasets.utils import download_and_extract_archive

    try:
        # Not by CIFAR10(), which would load the pickles.
        download_and_extract_archive(
            CIFAR10.url, str(data_dir), filename=CIFAR10.filename, md5=CIFAR10.tgz_md5
        )
    except (RuntimeError, OSError, HTTPException) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
        raise DataFileError(f"cifar10 could not be downloaded to {data_dir}: {reason}") from error


def digest(images: np.ndarray, labels: np.ndarray) -> str:
    """Return the SHA-256 of uint8 images and their labels."""
    return hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()


def parse(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Return the images [10000, 3, 32, 32] and labels of a file, both uint8.

    Raises:
        ValueError: it is no batch of CIFAR-10; says why.
    """
    pixels: bytes | bytearray = b""
    labels, is_label = [], False
    try:
        for opcode, argument, _ in pickletools.genops(content):
            if isinstance(argument, str | bytes | bytearray):
                if len(argument) == BYTES:
                    pixels = argument.encode("latin-1") if isinstance(argument, str) else argument
                is_label = argument in ("labels", b"labels")
            elif is_label and opcode.name in NUMBERS and len(labels) < IMAGES:
                labels.append(argument)
    except Exception as error:  # genops raises whatever it stumbles over
        raise ValueError(f"is damaged ({error})") from error
    if not pixels or len(labels) < IMAGES:
        raise ValueError("is no batch of CIFAR-10: 10,000 images of 3 x 32 x 32 and their labels")
    images = np.frombuffer(pixels, np.uint8).reshape(IMAGES, *SHAPE)
    return images, np.array(labels, np.uint8)


def _read_all(data_dir: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    if not (Path(data_dir) / FOLDER).is_dir():
        raise DataFileError(f"{data_dir} has no folder {FOLDER}, as torchvision downloads it")
    read, problems = {}, []
    for name, expected in DIGESTS.items():
        path = Path(data_dir) / FOLDER / name
        try:
            images, labels = read[name] = parse(path.read_bytes())
        except OSError as error:
            problems.append(f"{path}: cannot be read ({error.strerror})")
        except ValueError as error:
            problems.append(f"{path}: {error}")
        else:
            if digest(images, labels) != expected:
                problems.append(f"{path}: its images or labels are not those of CIFAR-10")
    if problems:
        raise DataFileError("; ".join(problems))
    return read


def _joined(parts: list[tuple[np.ndarray, np.ndarray]]) -> LabelledImages:
    images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return LabelledImages(torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64)))
