"""Data sets in torchvision's layout, full-size and all zero."""

import shutil

import pytest


@pytest.fixture
def torchvision_layout(tmp_path):
    """A function that writes a whole data set and returns its data_dir and raw folder."""

    def write(dataset):
        raw = tmp_path / {"fashion_mnist": "FashionMNIST", "kmnist": "KMNIST"}[dataset] / "raw"
        raw.mkdir(parents=True)
        for part, count in (("train", 60_000), ("t10k", 10_000)):
            for name, axes in (("images-idx3", (count, 28, 28)), ("labels-idx1", (count,))):
                head = bytes([0, 0, 8, len(axes)]) + b"".join(axis.to_bytes(4) for axis in axes)
                size = len(head) + count * (28 * 28 if len(axes) == 3 else 1)
                with (raw / f"{part}-{name}-ubyte").open("wb") as file:
                    file.write(head)
                    file.truncate(size)
        return tmp_path, raw

    yield write
    shutil.rmtree(tmp_path)  # pytest would keep 55 MB of each test
