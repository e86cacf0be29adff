"""What the MNIST-C corruptions cost, beside image-by-image versions timed in the same run.

Run it as ``python benchmarks/corruptions.py``. Every figure is the median CPU time of one thread in
milliseconds per image; the last column says how many times longer the image-by-image version takes.
"""

import argparse
import gzip
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter, gaussian_filter1d
from skimage.feature import canny
from skimage.transform import AffineTransform, warp

import gon_core
from gon_core.corruptions.mnist_c import CORRUPTIONS, corrupt

Image = np.ndarray
"""One image, float64 [28, 28] in [0, 1]."""
OneByOne = Callable[[Image, np.random.Generator], Image]


def glass_blur_one(image: Image, rng: np.random.Generator) -> Image:
    """Swap pixel by pixel between two vertical blurs."""
    levels = np.floor(255 * gaussian_filter1d(image, 0.7, axis=0, mode="nearest"))
    for _ in range(2):
        for r in range(27, 1, -1):
            for c in range(27, 1, -1):
                if rng.random() < 0.5:
                    down, right = rng.integers(-1, 1, 2)
                    there = r + down, c + right
                    levels[r, c], levels[there] = levels[there], levels[r, c]
    return gaussian_filter1d(levels / 255, 0.7, axis=0, mode="nearest")


def fog_one(image: Image, rng: np.random.Generator) -> Image:
    """Lay a 256 x 256 diamond-square plasma over the image."""
    heights = np.zeros((1, 1))
    wibble = 100.0
    while len(heights) < 256:
        draws = wibble**2 * rng.uniform(-1, 1, (3, *heights.shape))
        down, across = np.roll(heights, -1, axis=0), np.roll(heights, -1, axis=1)
        centres = (heights + down + across + np.roll(down, -1, axis=1)) / 4 + draws[0]
        finer = np.empty((2 * len(heights),) * 2)
        finer[::2, ::2], finer[1::2, 1::2] = heights, centres
        finer[::2, 1::2] = (heights + across + centres + np.roll(centres, 1, axis=0)) / 4 + draws[1]
        finer[1::2, ::2] = (heights + down + centres + np.roll(centres, 1, axis=1)) / 4 + draws[2]
        heights, wibble = finer, wibble / 1.4
    plasma = (heights - heights.min()) / np.ptp(heights)
    return (image + 3 * plasma[:28, :28]) * image.max() / (image.max() + 3)


def spatter_one(image: Image, rng: np.random.Generator) -> Image:
    """Turn blurred noise above a threshold into drops."""
    liquid = gaussian_filter(rng.normal(0.65, 0.3, image.shape), 1.0, mode="nearest")
    drops = gaussian_filter((liquid > 0.65).astype(float), 1.5, mode="nearest")
    drops[drops < 0.8] = 0
    return image * (1 - drops) + 63 / 255 * drops


def warp_one(matrix: np.ndarray) -> OneByOne:
    """Sample at a matrix about the centre."""
    full = np.eye(3)
    full[:2, :2] = matrix
    full[:2, 2] = 13.5 * (1 - matrix.sum(axis=1))
    return lambda image, rng: warp(image, AffineTransform(full), order=1)


COS, SIN = math.cos(0.4), math.sin(0.4)
ONE_BY_ONE: dict[str, OneByOne] = {
    "shot_noise": lambda image, rng: np.minimum(rng.poisson(3 * image) / 3, 1),
    "glass_blur": glass_blur_one,
    "shear": warp_one(np.array([[1, -SIN], [0, COS]])),
    "scale": warp_one(np.eye(2) / 0.7),
    "rotate": warp_one(np.array([[COS, -SIN], [SIN, COS]])),
    "fog": fog_one,
    "spatter": spatter_one,
    "canny_edges": lambda image, rng: canny(image),
}


def one_by_one(function: OneByOne, images: list[Image]) -> list[Image]:
    """Corrupt images in a loop."""
    rng = np.random.default_rng(0)
    return [function(image, rng) for image in images]


def median_cpu_ms(repeats: int, function: Callable[..., object], *arguments: object) -> float:
    """Median CPU time of a call in milliseconds, after one call that is not counted."""
    function(*arguments)
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function(*arguments)
        times.append(time.process_time() - start)
    return 1000 * statistics.median(times)


def main() -> None:
    """Print one line per corruption and one for all together."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1000, help="size of the batched run")
    parser.add_argument("--single", type=int, default=30, help="images corrupted one by one")
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    archive = Path(gon_core.__file__).parent / "data" / "mnist" / "t10k-images-idx3-ubyte.gz"
    pixels = np.frombuffer(gzip.decompress(archive.read_bytes()), np.uint8, offset=16)
    images = torch.from_numpy(pixels.reshape(-1, 28, 28)[: arguments.images].copy())
    singles = list(images[: arguments.single].double().div(255).numpy())

    print(f"{'corruption':14} {'ms/image':>9} {'one by one':>11} {'ratio':>7}")
    total = 0.0
    for name in CORRUPTIONS:
        ours = median_cpu_ms(arguments.repeats, corrupt, images, name, 0) / len(images)
        total += ours
        line = f"{name:14} {ours:9.4f}"
        if function := ONE_BY_ONE.get(name):
            loop = median_cpu_ms(arguments.repeats, one_by_one, function, singles) / len(singles)
            line += f" {loop:11.3f} {loop / ours:6.1f}x"
        print(line)
    print(f"{'all 15':14} {total:9.4f}")


if __name__ == "__main__":
    main()
