"""How many photos a core decodes for training, beside torchvision's ImageFolder on Pillow?

Run it as ``python benchmarks/loader.py``. Photos are made of the 20 that foolbox ships, at the
usual size of ImageNet's; both sides show random parts at 224 pixels, mirrored at random, in batches
of a ``DataLoader``. Ours are uint8, torchvision's, as in its examples, floats in [0, 1].
Everything runs in one process on one thread, in turns, and is compared by CPU time.
"""

import argparse
import importlib.util
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

WIDTH, HEIGHT, QUALITY = 500, 375, 94
SIDE, BATCH, LEAST_AREA = 224, 70, 0.08
SMALL_SIDE, SMALL_QUALITY = 256, 90
TARGETS = {"photos": 1.4, "shards of 256 pixels": 2.2}


def write_photos(root: Path, count: int) -> None:
    """Write so many JPEGs into class folders: foolbox's photos, cut and mirrored differently."""
    import numpy as np
    from PIL import Image

    found = importlib.util.find_spec("foolbox")
    assert found is not None and found.origin is not None, "foolbox is installed with the project"
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


def torchvisions(folder: Path) -> Callable[[int], int]:
    """Return a function: one pass of torchvision, with a seed; returns the number of images."""
    import torch
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import Compose, RandomHorizontalFlip, RandomResizedCrop, ToTensor

    shown = Compose([RandomResizedCrop(SIDE), RandomHorizontalFlip(), ToTensor()])
    data = ImageFolder(str(folder), shown)

    def run(seed: int) -> int:
        torch.manual_seed(seed)
        loader = torch.utils.data.DataLoader(data, BATCH, shuffle=True)
        return sum(len(images) for images, _ in loader)

    return run


def ours(folder: Path) -> Callable[[int], int]:
    """Return the same of this project."""
    import torch

    from gon_core.benchmarks.image_folder import listing
    from gon_core.data.folder_images import Wanted, _Loader, load

    data = load(listing(folder), SIDE, LEAST_AREA)[0]
    loader = _Loader(data)  # what each of the worker processes does, in this one

    def run(seed: int) -> int:
        order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))
        wanted: list[list[Wanted]] = [
            [(number, seed) for number in part.tolist()] for part in order.split(BATCH)
        ]
        return sum(len(data._joined(found)) for found in loader.batches(wanted))

    return run


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
        sides = {
            "torchvision": torchvisions(root / "photos" / "train"),
            "photos": ours(root / "photos"),
            "shards of 256 pixels": ours(root / "shards"),
        }
        speeds: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(given.rounds + 1):
            for name, run in sides.items():
                started = time.process_time()
                count = run(number)
                if number:  # the first round loads modules
                    speeds[name].append(count / (time.process_time() - started))
    print(f"{given.images} photos of {WIDTH} x {HEIGHT}, quality {QUALITY}; {given.rounds} rounds")
    for name, found in speeds.items():
        line = f"{name:22} {median(found):6.0f} images/s of a core"
        if name in TARGETS:
            ratios = [a / b for a, b in zip(found, speeds["torchvision"], strict=True)]
            line += f"; ours / torchvision {median(ratios):.2f} ({min(ratios):.2f} to "
            line += f"{max(ratios):.2f}), target {TARGETS[name]}"
        print(line)


if __name__ == "__main__":
    main()
