"""Does decoding keep up with training on photos: how much slower than with images in memory?

Run it as ``python benchmarks/photo_step.py`` on a machine with a GPU, or with ``--data-dir`` on a
folder of photos or shards of your own. Two trainings take turns, epoch by epoch: one is given its
images by the loader, which decodes them in processes ahead of it, the other has the same images in
the device's memory. Wall time of each epoch but the first. ``--method ant``: three times an epoch a
fresh noise generator trains alone, for a twentieth of the epoch's steps, on batches of its own.

Without a GPU a small network on small images shows that the benchmark works, and no more: decoding
and training then share the cores.
"""

import argparse
import math
import tempfile
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from loader import LEAST_AREA, SMALL_QUALITY, SMALL_SIDE, write_photos

TARGET = 0.9  # of the speed with images in memory


class Form(NamedTuple):
    """What is trained."""

    model: str
    side: int
    batch: int
    images: int


FORMS = {"cuda": Form("resnet50", 224, 70, 7_000), "cpu": Form("resnet18", 64, 10, 100)}


def open_images(folder: Path, form: Form) -> Any:
    """Return the first training images of a folder or of shards, to be decoded by processes."""
    from gon_core.benchmarks.image_folder import listing
    from gon_core.data.folder_images import load

    return load(listing(folder), form.side, LEAST_AREA)[0].first(form.images)


def epochs_of(
    images: Any, form: Form, name: str, precision: Any, is_compiled: bool, rounds: int
) -> Any:
    """Return a training with the method of a name, which yields the metrics of each epoch."""
    from gon_core import architectures
    from gon_core.benchmarks.image_folder import EPSILON
    from gon_core.config import ANT, GNT, TrainingConfig
    from gon_core.training import new_state, train

    methods = {
        "gnt": GNT(sigma=0.5),
        "ant": ANT(epsilon=EPSILON[form.side], pretraining_steps=alone_steps(len(images), form)),
    }
    method = methods[name]
    classes = int(images.labels.max()) + 1
    model = architectures.make(form.model, classes, (3, form.side, form.side)).to(images.device)
    if images.device.type == "cuda":  # as trials have it
        import torch

        model = model.to(memory_format=torch.channels_last)
    config = TrainingConfig(
        batch_size=form.batch, max_epochs=rounds + 1, patience=10**6, precision=precision,
        compiled=is_compiled,
    )  # fmt: skip
    return train(new_state(model, config, 0, method, channels=3), images, method, config)


def alone_steps(images: int, form: Form) -> int:
    """Return for how many steps each generator trains alone: on ImageNet 1,000 of 18,000."""
    return max(1, math.ceil(images / form.batch) // 20)


def main() -> None:
    """Print images per second of both, and the ratio."""
    import torch

    from gon_core.data import shards
    from sweeps.engine.resources.resources import MOST_DECODERS
    from sweeps.engine.system import machine
    from sweeps.engine.trials.trial import describe, make_deterministic

    device = "cuda" if machine.gpu_count() else "cpu"
    form, cores = FORMS[device], machine.cpu_count()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data-dir", type=Path, help="default: photos are made, and shards of them"
    )
    parser.add_argument("--images", type=int, default=form.images)
    parser.add_argument("--model", default=form.model)
    parser.add_argument("--batch-size", type=int, default=form.batch)
    parser.add_argument("--workers", type=int, default=max(1, min(MOST_DECODERS, cores - 1)))
    parser.add_argument("--method", choices=["gnt", "ant"], default="gnt")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="bf16")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    form = Form(given.model, form.side, given.batch_size, given.images)
    make_deterministic(device, threads=1)
    if device == "cpu":
        print("no GPU here: a small form, which shows that it works; its ratio says nothing")
    with tempfile.TemporaryDirectory() as place:
        folders = {"given images": given.data_dir}
        if given.data_dir is None:
            write_photos(Path(place) / "photos", form.images * 5 // 4 + 5)  # a fifth is to test
            shards.write(Path(place) / "photos", Path(place) / "shards", SMALL_SIDE, SMALL_QUALITY)
            folders = {
                "photos": Path(place) / "photos",
                "shards of 256 pixels": Path(place) / "shards",
            }
        print(f"{describe(device)}, {cores} cores, torch {torch.__version__}, {given.precision}"
              f"{', compiled' * given.compile}; {given.method}, {form.model}, {form.side} pixels, "
              f"batches of {form.batch}, {given.workers} processes decode; {given.rounds} epochs",
              flush=True)  # fmt: skip
        for name, folder in folders.items():
            images = open_images(folder, form).decoded_by(given.workers).to(device)
            memory = images.in_memory()[0].to(device)
            sides = [
                epochs_of(each, form, given.method, given.precision, given.compile, given.rounds)
                for each in (images, memory)
            ]
            found = [(next(sides[0]), next(sides[1])) for _ in range(given.rounds + 1)][1:]
            ratios = [second.seconds / first.seconds for first, second in found]
            print(f"{name}, {len(images):,} images")
            loaded, kept = zip(*found, strict=True)
            for side, metrics in (("from the loader", loaded), ("in memory", kept)):
                speed = median(len(images) / each.seconds for each in metrics)
                waited = median(each.data_seconds for each in metrics)
                print(f"  {side:16} {speed:7.0f} images/s, data_seconds {waited:.2f} of "
                      f"{median(each.seconds for each in metrics):.2f} s an epoch")  # fmt: skip
            target = f", target {TARGET}" if device == "cuda" else ""
            print(f"  speed from the loader / in memory {median(ratios):.2f} ({min(ratios):.2f} to "
                  f"{max(ratios):.2f}){target}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
