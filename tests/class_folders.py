"""Small made-up photos in class folders, for tests."""

import numpy as np
from PIL import Image

CLASSES = ("bird", "cat", "dog")


def photo(seed, height=40, width=50):
    """Return an image with smooth colours, uint8 [height, width, 3]."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8))
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


def fill(folder, count, first=0, suffix=".png"):
    """Write so many images of each class into ``folder``."""
    for label, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for index in range(count):
            file = folder / name / f"{index:03}{suffix}"
            Image.fromarray(photo(10_000 * label + index + first)).save(file)
