"""ImageNet's path on a hundred made-up classes of 64 pixels: shards, methods, kills, tables."""

import os
import signal

import pytest
from PIL import Image
from pyarrow import parquet

from gon_core.data import shards
from tests.class_folders import photo
from tests.sweeps.faults import PATIENCE, Sweep, kill, wait_for, wait_until_gone
from tests.sweeps.test_image_folder_sweep import weights

METHODS = "gnt ant_1x1 ant_1x1_sin augmix free"
OPTIONS = (
    f"--method {METHODS} --scale demo --seeds 1 --model resnet9_small --max-epochs 2 "
    "--evaluate none --max-concurrent 1 --data-workers 1 --batch-size 16"
)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder of shards, and a cache for their copy."""
    monkeypatch.setenv("GON_CACHE_DIR", str(tmp_path / "cache"))
    for label in range(100):
        for part, count in (("train", 6), ("val", 1)):
            folder = tmp_path / "photos" / part / f"n{label:08}"
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = photo(100 * label + index, 70, 90)
                Image.fromarray(pixels).save(folder / f"{index}.jpg", quality=95)
            if part == "train":
                versions = tmp_path / "stylized" / folder.name
                versions.mkdir(parents=True)
                for index in range(count):
                    pixels = photo(100_000 + 100 * label + index, 64, 64)
                    Image.fromarray(pixels).save(versions / f"{index}.png")
    assert shards.main([str(tmp_path / "photos"), str(tmp_path / "shards")]) == 0
    return tmp_path / "shards"


def running(sweep):
    """Return the process of a trial that has a checkpoint and no result; 0 if there is none."""
    ended = sweep.result_stamps()
    for name in sweep.checkpoints():
        if name not in ended and (starts := sweep.attempts().get(name)):
            return starts[-1].pid
    return 0


@pytest.mark.slow
@pytest.mark.system
def test_from_shards_to_tables_with_every_kind_of_method_killed_on_the_way(place, tmp_path):
    where = f"--dataset imagenet100 --image-size 64 --data-dir {place}"
    where += f" --stylized-dir {tmp_path}/stylized"
    cache = {"GON_CACHE_DIR": str(tmp_path / "cache")}
    undisturbed = Sweep(tmp_path, f"{where} {OPTIONS}", "method_comparison", name="undisturbed")
    code, printed = undisturbed.run(900, **cache)
    assert code == 0, printed

    sweep = Sweep(tmp_path, f"{where} {OPTIONS} --fresh", "method_comparison", name="killed")
    process = sweep.start(**cache)
    for ended in range(4):  # within four of the five trainings the process of the trial dies
        pid = wait_for(lambda: running(sweep), process, what="a trial with a checkpoint")
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda count=ended: len(sweep.records.results()) > count, process, what="a result")
    kill(process)
    wait_until_gone(sweep.workers(), seconds=PATIENCE)
    code, printed = sweep.run(900, **cache)
    assert code == 0 and "Traceback" not in printed, printed
    assert weights(sweep.folder) == weights(undisturbed.folder) and len(weights(sweep.folder)) == 5

    rows = parquet.read_table(sweep.folder / "results.parquet").to_pylist()
    assert {row["variant"] for row in rows} == set(METHODS.split())
    assert len(rows) == 5 * (1 + 75 + 1 + 4 * 3)
    table = (sweep.folder / "report/table.md").read_text()
    assert "ImageNet-100-C" in table and all(name in table for name in METHODS.split())
