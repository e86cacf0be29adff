"""Corruption sets evaluated in shards by the machines of a cluster: the numbers of one machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision import models
from torchvision.io import write_png

from gon_core import evaluation, seeding
from gon_core.data import imagenet_c_folder, shards
from gon_core.models import MadryCNN
from gon_core.training import checkpoints
from sweeps.engine.records import RIGHT, SweepRecords
from sweeps.engine.records.storage import Folder
from tests.class_folders import photo
from tests.cluster.local_cluster import LocalCluster
from tests.sweeps.faults import SWEEPS

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(workers=2) as cluster:
        yield cluster


def test_a_checkpoint_is_evaluated_to_the_same_numbers(cluster, tmp_path):
    model = MadryCNN(seeding.generator(3, "initial weights"))
    (tmp_path / "model.safetensors").write_bytes(checkpoints.dump_model(model))
    found = {}
    for name, arguments in {
        "here": [], "there": ["--address", cluster.address, "--gpus-per-shard", "0"],
    }.items():  # fmt: skip
        ended = subprocess.run(
            [
                sys.executable, str(SWEEPS / "evaluate_checkpoint.py"), "--checkpoints",
                str(tmp_path / "model.safetensors"), "--evaluate", "severities", "--test-images",
                "700", "--validation-images", "300", "--name", name, *arguments,
            ],
            cwd=tmp_path, capture_output=True, text=True, timeout=500,
            env=os.environ | cluster.environment,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout + ended.stderr
        records = SweepRecords(Folder(str(tmp_path / "results" / name)))
        (result,) = records.results()
        found[name] = result.measurements, records.trial(result.trial_id).folder.read(RIGHT)
    assert found["there"] == found["here"] and len(found["here"][0]) == 16 + 16 + 76


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory):
    """A photo of each class, and weights: all that ``evaluate_checkpoint.py`` is given."""
    place = tmp_path_factory.mktemp("photos")
    for label in range(1000):
        folder = place / "imagenet/val" / f"n{label:08}"
        folder.mkdir(parents=True)
        Image.fromarray(photo(label)).save(folder / f"ILSVRC2012_val_{label + 1:08}.JPEG")
    torch.manual_seed(0)
    save_file(models.resnet18().state_dict(), place / "resnet18.safetensors")
    return place


def evaluated(imagenet, data, storage, environment, *arguments):
    """Return what was recorded of four photos: accuracies, and which are right."""
    ended = subprocess.run(
        [
            sys.executable, str(SWEEPS / "evaluate_checkpoint.py"), "--checkpoints",
            "resnet18.safetensors", "--architecture", "resnet18", "--imagenet", data,
            "--evaluate", "none", "--test-images", "4", "--name", "e", "--storage", str(storage),
            *arguments,
        ],
        cwd=imagenet, capture_output=True, text=True, timeout=500, env=os.environ | environment,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "evaluated now" in ended.stdout
    records = SweepRecords(Folder(str(storage / "e")))
    (result,) = records.results()
    return result.measurements, records.trial(result.trial_id).folder.read(RIGHT)


def test_imagenet_s_corruptions_are_evaluated_to_the_same_numbers(cluster, imagenet, tmp_path):
    here = evaluated(imagenet, "imagenet", tmp_path / "here", {})
    there = evaluated(
        imagenet, "imagenet", tmp_path / "there", cluster.environment, "--address", cluster.address
    )
    assert there == here and len(here[0]) == 76


def test_each_machine_copies_the_shards_that_it_evaluates(imagenet, tmp_path):
    (imagenet / "imagenet/train").symlink_to("val")
    shards.write(imagenet / "imagenet", imagenet / "shards")
    cache = tmp_path / "cache"
    cache.mkdir()
    copies = {"GON_CACHE_DIR": str(cache)}
    here = evaluated(imagenet, "shards", tmp_path / "here", copies)
    (of_the_driver,) = cache.glob("*-test.arrow")
    with LocalCluster(workers=1, unseen=cache) as cluster:  # its machine finds no copy
        there = evaluated(
            imagenet, "shards", tmp_path / "there", copies | cluster.environment,
            "--address", cluster.address,
        )  # fmt: skip
    assert there == here and len(here[0]) == 76
    assert of_the_driver.exists()


ON_A_CLUSTER = """
import json, os, sys
from pathlib import Path
import torch
from gon_core.data import imagenet_c_folder
from sweeps.engine.backend.cluster import Cluster
from sweeps.engine.resources.resources import Resources
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 64, 2))
images = imagenet_c_folder.open_folder(Path(sys.argv[2]), ("fog", "snow"), classes=2, side=8)
with Cluster(Resources(1, 0.0, 1), sys.argv[1]) as cluster:
    cluster.wait()
    from sweeps.engine.backend.shards import Shards
    shards = Shards(Resources(1, 0.0, 1), model)
    rows = shards.evaluate_imagenet_c(model, images)
    print(json.dumps([row.model_dump() for row in rows]))
    pids = shards._run(lambda *_: [os.getpid()], model, list(range(12)), False)
    print(len(set(pids)))
"""


def test_imagenet_c_is_read_by_the_machines_and_rows_keep_their_order(cluster, tmp_path):
    random = seeding.generator(0, "images")
    for corruption in ("fog", "snow"):
        for severity in range(1, 6):
            for label in (0, 1):
                folder = tmp_path / corruption / str(severity) / f"class{label}"
                folder.mkdir(parents=True)
                for index in range(5):
                    image = torch.randint(256, (3, 8, 8), generator=random, dtype=torch.uint8)
                    write_png(image, str(folder / f"{index}.png"))
    ended = subprocess.run(
        [sys.executable, "-c", ON_A_CLUSTER, cluster.address, str(tmp_path)],
        capture_output=True, text=True, timeout=300, env=os.environ | cluster.environment,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 64, 2))
    images = imagenet_c_folder.open_folder(Path(tmp_path), ("fog", "snow"), classes=2, side=8)
    expected = [row.model_dump() for row in evaluation.evaluate_imagenet_c(model, images)]
    found, processes = map(json.loads, ended.stdout.splitlines()[-2:])
    assert processes <= 3  # twelve shards: each machine's process does one after the other
    assert found == expected and len({row["extra"]["correct"] for row in found}) > 1


LOSING_A_MACHINE = """
import json, os, signal, sys, time
import torch
from sweeps.engine.backend.cluster import Cluster
from sweeps.engine.resources.resources import Resources
resources = Resources(1, 0.0, 1)

def where(model, shard, device, bf16):
    number, marker = shard
    if number == 3 and not os.path.exists(marker):
        open(marker, "x").close()
        os.kill(os.getppid(), signal.SIGKILL)  # its raylet, and so its machine
        time.sleep(60)
    return [(number, os.getppid())]

with Cluster(resources, sys.argv[1]) as cluster:
    cluster.wait()
    from sweeps.engine.backend.shards import Shards
    model = torch.nn.Linear(2, 2)
    numbers = [(number, sys.argv[2]) for number in range(6)]
    print(json.dumps(list(Shards(resources, model)._run(where, model, numbers, False))))
"""


def test_a_shard_whose_machine_goes_away_is_done_again(cluster, tmp_path):
    marker = tmp_path / "gone"
    ended = subprocess.run(
        [sys.executable, "-c", LOSING_A_MACHINE, cluster.address, str(marker)],
        capture_output=True, text=True, timeout=300, env=os.environ | cluster.environment,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout.splitlines()[-1])
    assert marker.exists() and [number for number, _ in found] == [*range(6)]
    assert len({raylet for _, raylet in found}) > 1
