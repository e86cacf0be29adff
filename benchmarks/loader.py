"""How many photos a core decodes for training, beside torchvision's ImageFolder on Pillow?

Run it as ``python benchmarks/loader.py``. Photos are made of the 20 that foolbox ships, at the
usual size of ImageNet's; both sides show random parts at 224 pixels, mirrored at random, in
batches. Ours are uint8, torchvision's, as in its examples, floats in [0, 1]. The sides take turns
and are compared by CPU time: first in this process on one thread, then with one process that
decodes, as trainings have it. The CPU time of both then counts what the transfer of a batch takes.
"""

import argparse
import importlib.util
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

WIDTH, HEIGHT, QUALITY = 500, 375, 94
SIDE, BATCH, LEAST_AREA = 224, 70, 0.08
SMALL_SIDE, SMALL_QUALITY = 256, 90
TARGETS = {"photos": 1.4, "shards of 256 pixels": 2.2}


def write_photos(root: Path, count: int) -> None:
    """Write so many JPEGs into class folders: foolbox's photos, cut and mirrored differently."""
    import numpy as np
    from PIL import Image

    found = importlib.util.find_spec("foolbox")
    assert found is not None and found.origin is not None, "foolbox comes with the tests' packages"
    files = sorted((Path(found.origin).parent / "data").glob("imagenet_*"))
    draw = np.random.default_rng(0)
    for number in range(count):
        with Image.open(files[number % len(files)]) as photo:
            image = photo.convert("RGB")
        wide, high = image.size
        margin = draw.uniform(0, 0.1, 4)
        box = (margin[0] * wide, margin[1] * high, (1 - margin[2]) * wide, (1 - margin[3]) * high)
        image = image.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC, box)
        folder = root / ("train" if number % 5 else "val") / f"class{number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        image.save(folder / f"{number:04}.jpg", quality=QUALITY)


def torchvisions(folder: Path, workers: int) -> Callable[[int], int]:
    """Return a function: one pass of torchvision, with a seed; returns the number of images."""
    import torch
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import Compose, RandomHorizontalFlip, RandomResizedCrop, ToTensor

    shown = Compose([RandomResizedCrop(SIDE), RandomHorizontalFlip(), ToTensor()])
    data = ImageFolder(str(folder), shown)
    loader = torch.utils.data.DataLoader(
        data, BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0,
        multiprocessing_context="forkserver" if workers else None,
    )  # fmt: skip

    def run(seed: int) -> int:
        torch.manual_seed(seed)
        return sum(len(images) for images, _ in loader)

    return run


def ours(folder: Path, workers: int) -> Callable[[int], int]:
    """Return the same of this project."""
    import torch

    from gon_core.benchmarks.image_folder import listing
    from gon_core.data.folder_images import load

    data = load(listing(folder), SIDE, LEAST_AREA)[0].decoded_by(workers)

    def run(seed: int) -> int:
        order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))
        return sum(len(images) for images in data.batches(order.split(BATCH), seed))

    return run


def cpu_of_children() -> float:
    """Return the CPU time of all processes that were started from here and are there, in s."""
    import psutil

    times = [each.cpu_times() for each in psutil.Process().children(recursive=True)]
    return sum(each.user + each.system for each in times)


class Cost(NamedTuple):
    """Of one pass.

    Attributes:
        speed: images per second of CPU time, of all processes.
        main: CPU time of this process for a batch, in ms.
    """

    speed: float
    main: float


def measure(root: Path, workers: int, rounds: int) -> dict[str, list[Cost]]:
    """Return what each pass of each side costs, in turns."""
    sides = {
        "torchvision": torchvisions(root / "photos" / "train", workers),
        "photos": ours(root / "photos", workers),
        "shards of 256 pixels": ours(root / "shards", workers),
    }
    found: dict[str, list[Cost]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, run in sides.items():
            others, started = cpu_of_children(), time.process_time()
            count = run(number)
            main, others = time.process_time() - started, cpu_of_children() - others
            if number:  # the first round loads modules, and starts processes
                found[name].append(Cost(count / (main + others), 1000 * main / (count / BATCH)))
    return found


def main() -> None:
    """Print images per second of a core, and the ratios."""
    import torch

    from gon_core.data import shards

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=350)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        write_photos(root / "photos", given.images)
        shards.write(root / "photos", root / "shards", SMALL_SIDE, SMALL_QUALITY)
        print(f"{given.images} photos of {WIDTH} x {HEIGHT}, quality {QUALITY}; batches of "
              f"{BATCH}, {given.rounds} rounds")  # fmt: skip
        for workers in (0, 1):
            print("one process that decodes, and this one" if workers else "in this process")
            show(measure(root, workers, given.rounds))


def show(costs: dict[str, list[Cost]]) -> None:
    """Print the speed of each side, and how ours compare."""
    for name, found in costs.items():
        line = f"  {name:21} {median(cost.speed for cost in found):6.0f} images/s of a core, main "
        line += f"process {median(cost.main for cost in found):5.1f} ms a batch"
        if name in TARGETS:
            pairs = zip(found, costs["torchvision"], strict=True)
            ratios = [our.speed / their.speed for our, their in pairs]
            line += f"; ours / torchvision {median(ratios):.2f} ({min(ratios):.2f} to "
            line += f"{max(ratios):.2f}), target {TARGETS[name]}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
