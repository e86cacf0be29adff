"""What the corruptions of photos cost, beside ``imagecorruptions`` in the same run.

Run it as ``python benchmarks/photo_corruptions.py``. Every figure is the median CPU time of one
thread in milliseconds per photo, in memory; a ratio above 1 says that this project is faster. Where
there is a GPU the time of all 75 variants stands beside ResNet-50's forward pass in bf16.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import foolbox
import imagecorruptions
import numpy as np
import torch
from PIL import Image

from gon_core.corruptions.photos import CORRUPTIONS, EXTRA, SEVERITIES, corrupt

GEOMETRIC_TARGET, TOTAL_TARGET, LEAST_TARGET = 3.0, 4.5, 0.9
SMALL_SIDE, SMALL_TARGET = 32, 10.0  # ms for all 75 variants of a CIFAR image


def read_photos(count: int, side: int) -> torch.Tensor:
    """Return the photos that foolbox ships, again and again, uint8 [count, 3, side, side]."""
    paths = sorted((Path(foolbox.__file__).parent / "data").glob("imagenet_*"))
    shown = [Image.open(path).convert("RGB").resize((side, side)) for path in paths]
    photos = torch.from_numpy(np.stack([np.array(photo) for photo in shown]))
    return photos.permute(0, 3, 1, 2).contiguous()[torch.arange(count) % len(paths)]


def median_cpu_ms(repeats: int, function: Callable[[], object]) -> float:
    """Return the median CPU time of a call in milliseconds, after one that is not counted."""
    function()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(1000 * (time.process_time() - start))
    return statistics.median(times)


def against_package(photos: torch.Tensor, repeats: int) -> None:
    """Print a line for each corruption, and the ratios of all 75 variants of a photo."""
    arrays = list(photos.permute(0, 2, 3, 1).contiguous().numpy())
    print(f"{'corruption':18} {'ours':>8} {'package':>8} {'ratio':>7}   mean over severities, ms")
    sums, ratios = [0.0, 0.0], {}
    for name in (*CORRUPTIONS, *EXTRA):
        ours, theirs = [], []
        for severity in SEVERITIES:

            def package(name: str = name, severity: int = severity) -> None:
                for photo in arrays:
                    imagecorruptions.corrupt(photo, corruption_name=name, severity=severity)

            def own(name: str = name, severity: int = severity) -> None:
                corrupt(photos, name, severity, seed=0)

            theirs.append(median_cpu_ms(repeats, package) / len(photos))
            ours.append(median_cpu_ms(repeats, own) / len(photos))
            if name in CORRUPTIONS:
                ratios[name, severity] = theirs[-1] / ours[-1]
        if name in CORRUPTIONS:
            sums = [sums[0] + sum(ours), sums[1] + sum(theirs)]
        mine, other = statistics.fmean(ours), statistics.fmean(theirs)
        print(f"{name:18} {mine:8.2f} {other:8.2f} {other / mine:6.1f}x", flush=True)
    geometric = math.exp(statistics.fmean(map(math.log, ratios.values())))
    (least, severity), ratio = min(ratios.items(), key=lambda item: item[1])
    print(f"all 75 of a photo: {sums[0]:.0f} ms, package {sums[1]:.0f} ms")
    print(f"geometric mean of 75 ratios {geometric:.1f}x, target {GEOMETRIC_TARGET}")
    print(f"total {sums[1] / sums[0]:.1f}x, target {TOTAL_TARGET}")
    print(f"least {ratio:.2f}x ({least}, severity {severity}), target {LEAST_TARGET}")


def small_images(repeats: int) -> None:
    """Print what all 75 variants of an image of CIFAR's size cost."""
    images = read_photos(250, SMALL_SIDE)
    total = sum(
        median_cpu_ms(repeats, lambda n=name, s=severity: corrupt(images, n, s, seed=0))
        for name in CORRUPTIONS
        for severity in SEVERITIES
    ) / len(images)
    print(f"all 75 of an image of {SMALL_SIDE} px: {total:.1f} ms, at most {SMALL_TARGET:.0f}")


def on_gpu(photos: torch.Tensor, repeats: int) -> None:
    """Print what all 75 variants cost on a GPU, beside ResNet-50 on all of them in bf16."""
    from torchvision.models import resnet50

    model = resnet50().cuda().eval().to(memory_format=torch.channels_last)
    there = photos.cuda()

    def corruptions() -> None:
        for name in CORRUPTIONS:
            for severity in SEVERITIES:
                corrupt(there, name, severity, seed=0)
        torch.cuda.synchronize()

    @torch.no_grad()
    def forward() -> None:
        with torch.autocast("cuda", torch.bfloat16):
            for _ in range(len(CORRUPTIONS) * len(SEVERITIES)):
                model(there.float().div(255).contiguous(memory_format=torch.channels_last))
        torch.cuda.synchronize()

    times = []
    for part in (corruptions, forward):
        part()
        start = time.perf_counter()
        for _ in range(repeats):
            part()
        times.append(1000 * (time.perf_counter() - start) / repeats / len(photos))
    card = torch.cuda.get_device_name()
    print(f"{card}: 75 variants {times[0]:.2f} ms a photo, ResNet-50 on them {times[1]:.2f} ms")


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=16)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    against_package(read_photos(arguments.photos, arguments.side), arguments.repeats)
    small_images(arguments.repeats)
    if torch.cuda.is_available():
        on_gpu(read_photos(256, arguments.side), arguments.repeats)


if __name__ == "__main__":
    main()
