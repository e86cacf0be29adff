"""A line search on a folder of one's own images; what is wrong with it is said before anything."""

import os
import signal
from pathlib import Path

import pytest
from pyarrow import parquet
from safetensors.torch import save_file

from gon_core.benchmarks import image_folder
from gon_core.models import make
from sweeps.engine.planning import plan
from sweeps.engine.resources import resources
from sweeps.sigma_line_search import Options
from tests.class_folders import fill
from tests.sweeps.faults import PATIENCE, Sweep, is_alive, kill, wait_for, wait_until_gone
from tests.sweeps.here import repeat_here, run_here

SIZE = "--dataset image_folder --image-size 32 --data-dir"


@pytest.fixture
def photos(tmp_path):
    """A folder with training and test images of three classes."""
    fill(tmp_path / "photos/train", 12)
    fill(tmp_path / "photos/val", 4, first=500)
    return tmp_path / "photos"


def weights(folder):
    """Return the final weights of each trial, by its name."""
    found = folder.glob("trials/*/model.safetensors")
    return {path.parent.name: path.read_bytes() for path in found}


@pytest.mark.slow
@pytest.mark.system
def test_it_finds_the_same_whether_images_are_kept_or_decoded_in_every_epoch(photos, tmp_path):
    given = (
        *SIZE.split(), photos, "--scale", "demo", "--sigmas", 0.1, "--seeds", 1, "--num-trials", 0,
        "--start-epochs", 1,
    )  # fmt: skip
    code, printed = run_here(tmp_path, "sigma_line_search", *given, "--name", "kept")
    assert code == 0 and "decoded anew" not in printed, printed
    decoded = ("--cache-images", "none", "--data-workers", 0, "--fresh", "--name", "decoded")
    code, printed = run_here(tmp_path, "sigma_line_search", *given, *decoded, draws=False)
    assert code == 0 and "decoded anew in every epoch" in printed, printed
    kept, decoded = (tmp_path / "results" / name for name in ("kept", "decoded"))
    assert weights(kept) == weights(decoded) != {}
    page = " ".join((kept / "report/report.html").read_text().split())
    assert "No figures were published for this search on this data set." in page
    rows = parquet.read_table(kept / "results.parquet").to_pylist()
    assert len(rows) == 1 + 4 * 3 + 1 + 15 * 5

    trials = tuple(kept.glob("trials/*"))
    given = ("--checkpoints", *trials, "--data-dir", photos, "--evaluate", "none", "--name", "ev")
    code, printed = run_here(tmp_path, "evaluate_checkpoint", *given, draws=False)
    assert code == 0, printed
    again = parquet.read_table(tmp_path / "results/ev/results.parquet").to_pylist()
    assert [row["value"] for row in again] == [row["value"] for row in rows]

    (photos / "val/cat/000.png").unlink()
    image_folder.listing.cache_clear()  # as in a new process
    plan.data_digest.cache_clear()
    code, printed = run_here(tmp_path, "evaluate_checkpoint", *given)
    assert code == 2 and "other images than the checkpoints were trained on" in printed


@pytest.mark.system
def test_everything_wrong_with_it_is_said_and_nothing_is_written(photos, tmp_path):
    (photos / "train/bird/000.png").write_text("no image")
    (photos / "val/ant").mkdir()
    (tmp_path / "w.safetensors").write_bytes(b"\x80\x04 a pickle")
    given = (*SIZE.split(), photos, "--model", "not_there:make", "--download")
    code, printed = run_here(tmp_path, "sigma_line_search", *given)
    assert code == 2 and "--download: these images are where they are" in printed
    code, printed = run_here(tmp_path, "sigma_line_search", *given[:-1])
    words = " ".join(printed.split())
    assert code == 2 and "Traceback" not in printed
    for fault in (
        "train/bird/000.png: cannot be read (no image, or of an unknown format)",
        "val/ant: no images", "val/ant: no such class in train",
        "--model: not_there cannot be imported (ModuleNotFoundError",
    ):  # fmt: skip
        assert fault in words, words
    code, printed = run_here(
        tmp_path, "sigma_line_search", "--image-size", 32, "--weights", "w.safetensors"
    )
    assert code == 2 and "--image-size: is of images from a folder" in printed
    code, printed = run_here(tmp_path, "sigma_line_search", "--weights", "w.safetensors")
    assert code == 2 and "a pickle, which may hold code and is never loaded" in printed
    assert not (tmp_path / "results").exists()


def test_processes_that_decode_take_cores_of_a_trial(photos, monkeypatch):
    monkeypatch.setattr("sweeps.engine.system.machine.cpu_count", lambda: 4)

    def asked(**given):
        options = Options(dataset="image_folder", data_dir=photos, image_size=32, **given)
        return options, resources.make_resources(options, 1)

    assert asked()[1].all_cpus == 1, "all are kept in memory"
    options, found = asked(cache_images="none", cpus_per_trial=2)
    assert (found.all_cpus, found.max_concurrent) == (4, 1)
    assert asked(cache_images="none", cpus_per_trial=3)[1].all_cpus == 4, "one core is left for it"
    options, found = asked(cache_images="none", data_workers=4)
    rule = "must be at most 3: each takes one of the 4 cores of this machine, given: 4"
    assert resources.problems(options) == {"data_workers": rule}
    assert options.problems() == {}
    several, found = asked(cache_images="none", processes_per_trial=2)
    assert several.problems() == {} and (found.decoders, found.all_cpus) == (2, 4)


@pytest.mark.parametrize(
    ("given", "decoders", "at_once"),
    [
        ({}, 11, 8),  # 96 cores, 8 GPUs: 12 for each trial, of which one trains
        ({"gpus_per_trial": 0.5}, 5, 16),
        ({"gpus_per_trial": 2}, 22, 4),
        ({"gpus_per_trial": 8}, 88, 1),
        ({"cpus_per_trial": 4}, 8, 8),
        ({"max_concurrent": 2}, 16, 2),
        ({"data_workers": 3}, 3, 8),
        ({"cpus_per_trial": 12}, 0, 8),
    ],
)
def test_the_trials_of_a_machine_divide_its_cores(given, decoders, at_once, photos, monkeypatch):
    monkeypatch.setattr("sweeps.engine.system.machine.cpu_count", lambda: 96)
    monkeypatch.setattr("sweeps.engine.system.machine.gpu_count", lambda: 8)
    given = {"cache_images": "none"} | given
    options = Options(dataset="image_folder", data_dir=photos, image_size=32, **given)
    found = resources.make_resources(options, 1)
    assert (found.decoders, found.max_concurrent) == (decoders, at_once)
    assert found.all_cpus * found.max_concurrent <= 96 and resources.problems(options) == {}


@pytest.mark.slow
def test_trials_start_from_weights_and_a_new_head_is_said(photos, tmp_path, caplog):
    state = make("resnet9_small", 10).state_dict()
    prefixed = {f"module.{name}": tensor.contiguous() for name, tensor in state.items()}
    save_file(prefixed, tmp_path / "w.safetensors")
    given = (
        *SIZE.split(), photos, "--scale", "demo", "--sigmas", 0, "--seeds", 1, "--num-trials", 0,
        "--weights", "w.safetensors", "--name", "tuned",
    )  # fmt: skip
    code, printed = run_here(tmp_path, "sigma_line_search", *given, "--dry-run")
    words = " ".join(printed.split())
    assert code == 0 and "logits has 10 classes in the file and 3 here: it is new" in words, printed
    said = [line for line in caplog.messages if "w.safetensors" in line]
    assert said == ["w.safetensors: 'module.' before every name is left out"]
    assert "trials start from given weights" in words and "learning rate 0.01" in words
    assert not (tmp_path / "results").exists()
    code, printed = run_here(tmp_path, "sigma_line_search", *given, draws=False)
    assert code == 0, printed
    code, printed = run_here(tmp_path, "sigma_line_search", *given, "--model", "wrn_40_2")
    assert code == 2 and "not the weights of a wrn_40_2: missing" in " ".join(printed.split())


@pytest.mark.slow
def test_however_its_processes_die_it_ends_on_the_same_bits(tmp_path):
    """One that decodes images, then that of the trial, then the driver."""
    fill(tmp_path / "photos/train", 120)
    fill(tmp_path / "photos/val", 10, first=500)
    options = "--scale demo --sigmas 0.1 --seeds 1 --num-trials 0 --max-epochs 12"
    cached = "--cache-images none --data-workers 1 --fresh"
    where = f"{SIZE} {tmp_path}/photos"
    undisturbed = Sweep(tmp_path, f"{where} {options}", name="undisturbed")
    code, printed = repeat_here(undisturbed, draws=False)
    assert code == 0, printed

    sweep = Sweep(tmp_path, f"{where} {options} {cached}", name="killed")
    process = sweep.start()
    wait_for(lambda: min(sweep.checkpoints().values(), default=0) >= 1, process)
    ((first,),) = sweep.attempts().values()
    decoder = wait_for(lambda: decoders(first.pid), process, what="a process that decodes")[0]
    os.kill(decoder, signal.SIGKILL)
    epoch = min(sweep.checkpoints().values())
    wait_for(lambda: min(sweep.checkpoints().values()) > epoch, process, what="another epoch")
    assert is_alive(first.pid), "the trial's own process outlives it"
    orphans = decoders(first.pid)
    os.kill(first.pid, signal.SIGKILL)
    wait_for(lambda: [len(starts) for starts in sweep.attempts().values()] == [2], process)
    kill(process)
    wait_until_gone(sweep.workers())
    code, printed = sweep.run()
    assert code == 0 and "Traceback" not in printed, printed
    assert weights(sweep.folder) == weights(undisturbed.folder) != {}
    (result,) = sweep.records.results()
    assert all(entry["data_seconds"] > 0 for entry in result.history)
    wait_until_gone([decoder, *orphans], seconds=PATIENCE)


def decoders(trial):
    """Return the processes that decode images for a trial's."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has just ended
            continue
    servers = [pid for pid, parent in parents.items() if parent == trial]
    return [pid for pid, parent in parents.items() if parent in servers]
