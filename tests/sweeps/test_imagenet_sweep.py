"""ImageNet's path on made-up photos: shards, fine-tuning by every kind of method, kills, tables."""

import os
import re
import shutil
import signal
import zlib

import numpy as np
import pytest
import torch
from PIL import Image
from pyarrow import parquet
from safetensors.torch import save_file
from torchvision import models

from gon_core import architectures
from gon_core.data import shards
from tests.class_folders import photo
from tests.sweeps.faults import PATIENCE, Sweep, kill, wait_for, wait_until_gone
from tests.sweeps.here import repeat_here, run_here
from tests.sweeps.test_image_folder_sweep import weights

METHODS = "gnt ant_1x1 ant_1x1_sin augmix free"
SIZES = "--storage results"  # all images that there are
KILLS = 3


def write_photos(root, classes, train, val, side):
    """Write JPEGs of so many classes, each of a colour of its own, as ILSVRC has them."""
    for label in range(classes):
        colour = np.random.default_rng(label).integers(0, 256, 3)
        for part, count in (("train", train), ("val", val)):
            folder = root / part / f"n{label:08}"
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = photo(zlib.crc32(f"{folder.name}{part}{index}".encode()), side, side + 20)
                mixed = (0.5 * pixels + 0.5 * colour).astype(np.uint8)
                Image.fromarray(mixed).save(folder / f"{index}.jpg", quality=95)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Where shards are copied to."""
    monkeypatch.setenv("GON_CACHE_DIR", str(tmp_path / "cache"))
    return {"GON_CACHE_DIR": str(tmp_path / "cache")}


def running(sweep):
    """Return the process of a trial that has a checkpoint and no result; 0 if there is none."""
    ended = sweep.result_stamps()
    for name in sweep.checkpoints():
        if name not in ended and (starts := sweep.attempts().get(name)):
            return starts[-1].pid
    return 0


@pytest.mark.slow
@pytest.mark.system
def test_from_shards_to_a_report_with_every_kind_of_method_killed_on_the_way(cache, tmp_path):
    """Ten classes of 64 pixels, and torchvision's ResNet-18 with weights of a thousand."""
    write_photos(tmp_path / "photos", classes=10, train=9, val=2, side=70)
    shutil.copytree(tmp_path / "photos/train", tmp_path / "stylized/train")
    assert shards.main([str(tmp_path / "photos"), str(tmp_path / "shards")]) == 0
    torch.manual_seed(0)
    save_file(models.resnet18().state_dict(), tmp_path / "resnet18.safetensors")
    options = (
        "--dataset image_folder --image-size 64 --data-dir shards --stylized-dir stylized "
        f"--weights resnet18.safetensors --method {METHODS} --scale demo --seeds 1 --max-epochs 2 "
        "--batch-size 14 --evaluate none --max-concurrent 1 --fresh"
    )
    decoded = "--cache-images none --data-workers 1"
    sweep = Sweep(tmp_path, f"{options} {decoded}", "method_comparison", "killed", sizes=SIZES)
    process = sweep.start(**cache)
    for ended in range(KILLS):  # the process of the trial dies in training
        pid = wait_for(lambda: running(sweep), process, what="a trial with a checkpoint")
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda count=ended: len(sweep.records.results()) > count, process, what="a result")
    wait_for(lambda: running(sweep), process, what="a trial with a checkpoint")
    kill(process)  # and with it the sweep's own
    wait_until_gone(sweep.workers(), seconds=PATIENCE)
    code, printed = sweep.run(900, **cache)
    assert code == 0 and "Traceback" not in printed, printed
    starts = [len(attempts) for attempts in sweep.attempts().values()]
    assert sum(starts) == len(METHODS.split()) + KILLS + 1

    undisturbed = Sweep(tmp_path, options, "method_comparison", "undisturbed", sizes=SIZES)
    code, printed = repeat_here(undisturbed, draws=False)
    assert code == 0, printed
    assert "fc has 1,000 classes in the file and 10 here: it is new" in " ".join(printed.split())
    assert weights(sweep.folder) == weights(undisturbed.folder) and len(weights(sweep.folder)) == 5
    assert sweep.table() == undisturbed.table()

    rows = parquet.read_table(sweep.folder / "results.parquet").to_pylist()
    assert {row["variant"] for row in rows} == set(METHODS.split())
    assert len(rows) == 5 * (1 + 75 + 1 + 4 * 3)
    table = (sweep.folder / "report/table.md").read_text()
    assert "Image-folder-C" in table and all(name in table for name in METHODS.split())


class Colours(torch.nn.Module):
    """Classifies by the mean of each channel."""

    def __init__(self, classes, shape, generator):
        super().__init__()
        self.logits = torch.nn.Linear(3, classes)

    def forward(self, images):
        return self.logits(images.mean((2, 3)))


@pytest.mark.slow
@pytest.mark.system
def test_imagenet100_ends_beside_the_published_rows(cache, tmp_path, monkeypatch):
    """A hundred classes at the size of the paper, shown to a model of one layer."""
    write_photos(tmp_path / "photos", classes=100, train=2, val=1, side=60)
    assert shards.main([str(tmp_path / "photos"), str(tmp_path / "shards")]) == 0
    made = architectures.Description(Colours, 100, (3, 224, 224))
    monkeypatch.setitem(architectures.ARCHITECTURES, "preactresnet18", made)
    code, printed = run_here(
        tmp_path, "method_comparison", "--dataset", "imagenet100", "--data-dir", "shards",
        "--method", "vanilla", "gnt", "--scale", "demo", "--seeds", 1, "--start-epochs", 1,
        "--training-images", 20, "--validation-images", 2, "--test-images", 2, "--name", "small",
        "--model", "preactresnet18", "--batch-size", 10, "--evaluate", "none", draws=False,
    )  # fmt: skip
    assert code == 0, printed
    table = (tmp_path / "results/small/report/table.md").read_text()
    assert "## Accuracy on ImageNet-100-C, ours and that of Kireev et al." in table
    rows = re.findall(r"^\| (\S+) \| ([a-z ]+) \| [^|]* \| ([^|]+) \|", table, re.MULTILINE)
    assert [row[:2] for row in rows][:6] == [
        (name, kind) for name in ("vanilla", "gnt") for kind in ("ours", "paper", "difference")
    ]
    published = {name: mean for name, kind, mean in rows if kind.startswith("paper")}
    assert published["vanilla"] == "47.51" and published["gnt"] == "55.23"
    assert published["ant-imagenet100"] == "57.74", "ANT stands there too, without ours"
