"""A trial on a GPU, with everything that is measured of its final model."""

import os
import subprocess
import sys

import pytest
import torch

from gon_core.config import ANT, GNT, DataConfig, EvaluationConfig, TrainingConfig, TrialConfig
from gon_core.data.splits import split
from gon_core.models import MadryCNN
from gon_core.seeding import generator
from gon_core.training import StoppedError, Vanilla, checkpoints, new_state, train
from gon_core.training.checkpoints import MODEL
from sweeps.engine.backend import cluster
from sweeps.engine.records import SweepRecords
from sweeps.engine.records.storage import Folder
from sweeps.engine.trials.measures import measure, prepare_data
from sweeps.engine.trials.trial import run_trial
from tests.sweeps.engine.trials.test_trial import timeless

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]
DATA = DataConfig(training_images=1000, validation_images=100, test_images=200)
EVALUATION = EvaluationConfig(
    measures=("attacks", "epsilon_star", "severities"), images=100, generator_steps=10,
    generator_blocks=2, generator_batch=50,
)  # fmt: skip
TRAINING = TrainingConfig(batch_size=100, learning_rate=0.05, max_epochs=2)
METHODS = pytest.mark.parametrize(
    "method", [GNT(sigma=0.4), ANT(epsilon=8, pretraining_steps=5)], ids=lambda m: m.method
)


@pytest.fixture(scope="module")
def data(images):
    return prepare_data(split(*images, DATA), EVALUATION).to("cuda")


def run(method, data, folder, **keywords):
    config = TrialConfig(
        method=method, data=DATA, training=TRAINING, start=None, evaluation=EVALUATION
    )
    trial = SweepRecords(Folder(str(folder))).trial(config.trial_id)
    return run_trial(config, data, None, trial, **keywords), trial.folder.read(MODEL)


def figures(result):
    return result.measurements


@METHODS
def test_it_ends_with_the_same_bits_wherever_it_was_stopped(method, data, tmp_path):
    result, weights = run(method, data, tmp_path / "undisturbed")
    assert result.status == "max_epochs", result.reason
    assert torch.cuda.get_device_name() in result.device
    asked = iter(range(10**6))
    ended = None
    stops = 0
    while ended is None:
        allowed = next(asked) + 4  # steps until the next stop
        left = iter(range(allowed))
        try:
            ended = run(method, data, tmp_path / "stopped",
                        stop=lambda left=left: next(left, None) is None)  # fmt: skip
        except StoppedError:
            stops += 1
    assert stops > 3
    again, others = ended
    assert timeless(again) == timeless(result) and others == weights
    assert figures(again) == figures(result)


def test_it_measures_what_a_cpu_measures(data):
    """Of the same weights: the figures differ by what rounding can turn over."""
    training = data.training
    model = MadryCNN(generator(0, "initial weights")).to("cuda")
    config = TRAINING.model_copy(update={"max_epochs": 4})
    list(train(new_state(model, config, 0), training, Vanilla(), config))
    weights = checkpoints.dump_model(model)
    on_cpu = MadryCNN()
    checkpoints.restore_model(on_cpu, weights)
    found = measure(model, data, EVALUATION), measure(on_cpu, data.to("cpu"), EVALUATION)

    def both(name):
        rows = ([row for row in each.measurements if row.measure == name] for each in found)
        return zip(*rows, strict=True)

    for ours, theirs in both("top1"):
        names = [(row.split, row.setting, row.severity) for row in (ours, theirs)]
        assert names[0] == names[1]
        assert abs(ours.extra["correct"] - theirs.extra["correct"]) <= 1
    for ours, theirs in both("attacks"):
        assert abs(ours.value - theirs.value) <= 5
    for ours, theirs in both("epsilon_star"):
        assert ours.setting == theirs.setting
        assert ours.value == pytest.approx(theirs.value, rel=0.15)


def test_too_little_memory_is_named(data, tmp_path):
    torch.cuda.empty_cache()
    _, whole = torch.cuda.mem_get_info()
    torch.cuda.set_per_process_memory_fraction(64 * 2**20 / whole)
    try:
        with pytest.raises(FileNotFoundError):  # a failed trial leaves no weights
            run(GNT(sigma=0.4), data, tmp_path)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    (result,) = SweepRecords(Folder(str(tmp_path))).results()
    assert result.status == "failed" and result.reason.startswith("out of memory: CUDA out of")


def test_a_worker_that_imported_in_advance_still_sees_the_gpus_it_is_given_then():
    code = f"""
import {cluster.PRELOADED}, {cluster.COMPILER}, os
os.environ["CUDA_VISIBLE_DEVICES"] = ""
print(torch.cuda.device_count(), torch.cuda.is_available())
"""
    visible = os.environ | {"CUDA_VISIBLE_DEVICES": "0"}
    done = subprocess.run([sys.executable, "-c", code], env=visible, capture_output=True, text=True)
    assert done.stdout.split() == ["0", "False"], done.stderr
