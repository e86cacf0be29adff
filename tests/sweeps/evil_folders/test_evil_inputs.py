"""Weights, data, options and earlier sweeps of somebody else: none of them is executed."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

from gon_core.corruptions.mnist_c import CORRUPTIONS
from gon_core.models.wong_cnn import wong_small
from gon_core.training.checkpoints import MODEL
from sweeps.engine.planning import plan
from sweeps.engine.records import (
    MANIFEST,
)
from sweeps.engine.runs import checkpoint_models
from sweeps.engine.runs.checkpoint_options import CheckpointOptions
from tests.sweeps.evil_folders.payloads import STRAYS, TRAPS, forge

pytestmark = pytest.mark.usefixtures("small_model")

# ------------------------------------------------------------------------- weights that are given


@pytest.mark.system
@pytest.mark.parametrize("kind", TRAPS)
def test_a_checkpoint_that_is_a_payload_is_not_evaluated(run_main, kind, given, trap):
    Path("weights").write_bytes(trap(kind))
    (given.trial(given.ended) / MODEL).write_bytes(trap(kind))
    forge(given.checkpoint, MODEL, trap(kind))
    words = ["--checkpoints", "weights", str(given.trial(given.ended)), str(given.checkpoint)]
    code, printed = run_main("evaluate_checkpoint", words)
    assert code == 2 and printed.startswith("3 problems, nothing was started")
    says = "a pickle" if kind in ("pickle", "torch.save") else "not a safetensors file"
    assert printed.count(says) == 3


@pytest.mark.system
def test_what_lies_beside_weights_is_not_executed(given, trap):
    for name in ("trial.json", "result.json", *STRAYS):
        (given.trial(given.ended) / name).write_bytes(trap())
    options = CheckpointOptions(checkpoints=(given.trial(given.ended),))
    (loaded,), problems = checkpoint_models.load_models(options)
    assert problems == [] and loaded.given.name == given.ended.trial_id
    (given.checkpoint / MANIFEST).write_bytes(trap())
    options = CheckpointOptions(checkpoints=(given.checkpoint,))
    models, (problem,) = checkpoint_models.load_models(options)
    assert models == [] and "manifest.json: damaged" in problem


# ------------------------------------------------------------------------------ data and options


@pytest.mark.parametrize("kind", ["pickle", "old pickle", "npy"])
@pytest.mark.parametrize("part", ["images", "labels"])
def test_images_that_are_a_payload_are_refused(run_main, part, kind, tmp_path, trap, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_file(wong_small().state_dict(), "weights")
    for name in ("identity", *CORRUPTIONS):
        (tmp_path / "set" / name).mkdir(parents=True)
        np.save(tmp_path / "set" / name / "test_images.npy", np.zeros((3, 28, 28), np.uint8))
        np.save(tmp_path / "set" / name / "test_labels.npy", np.arange(3))
    (tmp_path / "set/fog" / f"test_{part}.npy").write_bytes(trap(kind))
    words = ["--checkpoints", "weights", "--mnist-c", "set"]
    code, printed = run_main("evaluate_checkpoint", words)
    assert code == 2 and f"--mnist-c: set/fog/test_{part}.npy: " in printed
    assert "pickle, which is never loaded" in printed


@pytest.mark.parametrize("kind", ["pickle", "torch.save", "npy"])
def test_a_data_set_that_is_a_payload_is_refused(run_main, kind, tmp_path, trap, monkeypatch):
    monkeypatch.chdir(tmp_path)
    raw = tmp_path / "data/KMNIST/raw"
    raw.mkdir(parents=True)
    names = [f"{part}-{what}-ubyte" for part in ("train", "t10k")
             for what in ("images-idx3", "labels-idx1")]  # fmt: skip
    for name in (*names, "training.pt", "test.pt"):
        (raw / name).write_bytes(trap(kind))
        (raw.parent / name).write_bytes(trap(kind))
    words = ["--dataset", "kmnist", "--data-dir", "data"]
    code, printed = run_main("sigma_line_search", words)
    assert code == 2 and printed.count("not this IDX file") == 4


@pytest.mark.parametrize("kind", TRAPS)
@pytest.mark.parametrize("script", ["sigma_line_search", "joint_search", "evaluate_checkpoint"])
def test_options_that_are_a_payload_are_refused(
    run_main, script, kind, tmp_path, trap, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("options.yaml").write_bytes(trap(kind))
    code, printed = run_main(script, ["--config", "options.yaml"])
    assert code == 2 and "--config: " in printed


# ------------------------------------------------------------------------------ an earlier sweep


@pytest.mark.system
@pytest.mark.parametrize("kind", TRAPS)
def test_no_search_learns_from_a_payload(run_main, kind, given, trap):
    (given.folder / "sweep.json").write_bytes(trap(kind))
    words = ["--warm-start", "results/given"]
    code, printed = run_main("joint_search", words)
    assert code == 2 and "--warm-start: results/given: sweep.json cannot be read" in printed


@pytest.mark.system
def test_a_search_passes_over_trials_that_are_payloads(run_main, given, trap, caplog):
    other = given.trial(given.killed)
    shutil.copytree(given.trial(given.ended), other, dirs_exist_ok=True)
    (other / "result.json").write_bytes(trap())
    words = ["--warm-start", "results/given", "--dry-run", "--scale", "demo"]
    code, _ = run_main("joint_search", words)
    assert code == 0
    from sweeps import joint_search
    from sweeps.engine.planning import warm_start

    options = joint_search.Options(scale="demo", warm_start=("results/given",))
    _, words = warm_start.read(plan.make_plan(joint_search.spec(options), options))
    assert "; 1 others cannot be compared" in words and given.killed.trial_id in caplog.text
