"""Killed at any epoch and resumed, every trainer ends with the bits of an undisturbed run."""

import random
import re

import numpy as np
import pytest
import torch

from gon_core.benchmarks.mnist import MNIST
from gon_core.config import (
    ANT,
    DataConfig,
    EvaluationConfig,
    StartConfig,
    TrainingConfig,
    TrialConfig,
)
from gon_core.data.splits import split
from gon_core.training import StoppedError
from sweeps.engine.planning import methods
from sweeps.engine.records import MODEL, NOISE, RIGHT, SweepRecords
from sweeps.engine.records.storage import Folder
from sweeps.engine.trials import trial
from sweeps.engine.trials.measures import prepare_data

pytestmark = [pytest.mark.usefixtures("small_model"), pytest.mark.system]
EPOCHS = 4
# The last batch of an epoch is smaller than the others.
DATA = DataConfig(training_images=40, validation_images=6, test_images=5)
# No loss falls by nine tenths: the learning rate decays after epoch 2, and epoch 4 is the last.
TRAINING = TrainingConfig(
    batch_size=16, learning_rate=0.02, max_epochs=EPOCHS + 2, patience=1, min_improvement=0.9
)
SHORT = {  # beyond the demo scale
    "ant": {"pretraining_steps": 1, "pretraining_learning_rate": 1e-2},
    "pgd": {"steps": 2},
    "ddn": {"steps": 2},
    "augmix": {"width": 2, "max_depth": 2},
}
# Epochs between checkpoints, and the epochs after which one run after another is killed.
ALONE = [(every, (epoch,)) for every in (1, 2) for epoch in range(1, EPOCHS + 1)]
IN_TURN = [(every, tuple(range(1, EPOCHS + 1))) for every in (1, 2)]


class Killed(BaseException):
    """Stands for a process that dies: no handler of ours may catch it."""


@pytest.fixture(scope="module")
def few(images):
    """Return the data of all trials."""
    return prepare_data(split(*images, DATA), EvaluationConfig())


@pytest.fixture
def trained(monkeypatch):
    """Return a list of the epochs that are trained from now on."""
    epochs = []
    real = trial.train

    def counting(*arguments):
        for metrics in real(*arguments):
            epochs.append(metrics.epoch)
            yield metrics

    monkeypatch.setattr(trial, "train", counting)
    return epochs


def configure(variant: str) -> TrialConfig:
    method = methods.at_scale(
        variant, "demo", MNIST, **SHORT.get(MNIST.methods[variant].method, {})
    )
    start = StartConfig(data=DATA, training=TRAINING)
    return TrialConfig(method=method, data=DATA, training=TRAINING, start=start, seed=3)


def run(config, data, weights, folder, every, killed_after, monkeypatch):
    """Run a trial in objects of its own; ``Killed`` once its epoch ``killed_after`` is over."""

    def report(metrics):
        if metrics["epoch"] == killed_after:
            raise Killed

    def measure(*arguments, **keywords):
        raise Killed

    # What a process finds there is another each time.
    torch.manual_seed(random.SystemRandom().getrandbits(32))
    np.random.seed(random.SystemRandom().getrandbits(32))
    random.seed()
    fresh = TrialConfig.model_validate_json(config.model_dump_json())
    records = SweepRecords(Folder(folder)).trial(fresh.trial_id)
    with monkeypatch.context() as patch:
        if killed_after == EPOCHS:  # the last epoch is reported with the result
            patch.setattr(trial, "measure", measure)
        return trial.run_trial(fresh, data, weights, records, checkpoint_every=every, report=report)


def outcome(config, result, folder):
    """Return all that a trial leaves, but for the time it took."""
    history = [
        {name: value for name, value in entry.items() if not name.endswith("seconds")}
        for entry in result.history
    ]
    kept = SweepRecords(Folder(folder)).trial(config.trial_id).folder
    files = {name: kept.read(name) for name in (MODEL, NOISE, RIGHT) if kept.exists(name)}
    what = (result.status, result.reason, result.measurements, result.objective, result.best_epoch)
    return history, what, files


def last_checkpoint(config, folder) -> int:
    names = (SweepRecords(Folder(folder)).trial(config.trial_id).folder / "checkpoints").names()
    return max((int(re.sub("[^0-9]", "", name)) for name in names), default=0)


@pytest.fixture(scope="module")
def undisturbed(few, start_weights, tmp_path_factory):
    """Return a function: what a method's trial leaves that nothing disturbs."""
    found = {}

    def get(variant):
        if variant not in found:
            folder, config = str(tmp_path_factory.mktemp(variant)), configure(variant)
            with pytest.MonkeyPatch.context() as patch:
                result = run(config, few, start_weights, folder, 1, None, patch)
            assert result.status == "converged", result.reason
            found[variant] = outcome(config, result, folder)
        return found[variant]

    return get


QUICK = ("gnt", "ant_1x1")  # the others take the same path, some seconds each


def all_and_the_quick_ones():
    """Yield every method with every pattern of kills; most of them are slow."""
    for variant in MNIST.methods:
        for every, kills in IN_TURN:
            is_quick = every == 1 and variant in QUICK
            yield pytest.param(variant, every, kills, marks=() if is_quick else pytest.mark.slow)
        for every, kills in ALONE:
            yield pytest.param(variant, every, kills, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("variant", "every", "kills"),
    all_and_the_quick_ones(),
    ids=lambda value: re.sub("[^0-9a-z_]", "", str(value)),
)
def test_a_trial_killed_at_any_epoch_ends_bit_identical(
    variant, every, kills, few, start_weights, undisturbed, trained, tmp_path, monkeypatch
):
    expected = undisturbed(variant)
    config, folder = configure(variant), str(tmp_path)
    arguments = (config, few, start_weights, folder, every)
    held = 0
    trained.clear()
    for killed_after in kills:
        with pytest.raises(Killed):
            run(*arguments, killed_after, monkeypatch)
        assert trained == list(range(held + 1, killed_after + 1)), "what a checkpoint holds"
        trained.clear()
        held = last_checkpoint(config, folder)
        assert 0 <= killed_after - held <= every, "at most one interval is lost"
        assert held == EPOCHS or killed_after < EPOCHS, "nothing, once the evaluation has begun"

    result = run(*arguments, None, monkeypatch)

    assert trained == list(range(held + 1, EPOCHS + 1))
    history, what, files = outcome(config, result, folder)
    assert history == expected[0]
    assert what == expected[1]
    assert files.keys() == expected[2].keys() >= {MODEL, RIGHT}
    assert all(content == expected[2][name] for name, content in files.items())


STEPS = EPOCHS * 3


class After:
    """Returns True at the given call."""

    def __init__(self, asked):
        self.left = asked

    def __call__(self):
        self.left -= 1
        return self.left == 0


@pytest.mark.parametrize(
    "variant",
    [
        name if name == "gnt" else pytest.param(name, marks=pytest.mark.slow)
        for name in MNIST.methods
    ],
)
def test_a_trial_stopped_after_each_step_ends_bit_identical(
    variant, few, start_weights, undisturbed, tmp_path
):
    config, records = configure(variant), SweepRecords(Folder(str(tmp_path)))
    kept = records.trial(config.trial_id)
    done = alone = 0
    while done < STEPS:
        with pytest.raises(StoppedError):
            trial.run_trial(config, few, start_weights, kept, checkpoint_every=2, stop=After(1))
        found, passed_over = kept.find_checkpoint()
        # An epoch whose steps are all done has not been reported yet.
        last, done = done, found.epoch * 3 + found.steps
        assert done - last in (0, 1) and found.epoch in (last // 3, (done - 1) // 3)
        alone += done == last  # a step of a generator alone
        assert not passed_over and len(found.history) == found.epoch
    with pytest.raises(StoppedError):  # in the middle of the evaluation
        trial.run_trial(config, few, start_weights, kept, checkpoint_every=2, stop=After(2))
    found, _ = kept.find_checkpoint()
    assert (found.epoch, found.steps) == (EPOCHS, 0)
    epochs = []
    result = trial.run_trial(
        config, few, start_weights, kept, report=lambda entry: epochs.append(entry["epoch"])
    )
    assert epochs == [1, 2, 3]  # the last one comes with the result
    stops = STEPS + alone + 1
    assert [attempt.stopped for attempt in kept.attempts()] == [True] * stops + [False]
    if isinstance(config.method, ANT):
        generators = 1 + result.history[-1]["resets"]
        assert alone == generators * config.method.pretraining_steps > 0
    else:
        assert alone == 0
    history, what, files = outcome(config, result, str(tmp_path))
    expected = undisturbed(variant)
    assert (history, what) == expected[:2]
    assert files.keys() == expected[2].keys()
    assert all(content == expected[2][name] for name, content in files.items())


@pytest.mark.slow
def test_the_trials_are_such_that_a_lost_state_would_show(undisturbed):
    """Every method ends elsewhere; rates decay; generators were replaced and have a past."""
    assert len({undisturbed(variant)[2][MODEL] for variant in MNIST.methods}) == len(MNIST.methods)
    for variant, method in MNIST.methods.items():
        history = undisturbed(variant)[0]
        assert len({entry["train_loss"] for entry in history}) == EPOCHS
        rates = [entry["learning_rate"] for entry in history]
        assert rates == pytest.approx([0.02, 0.02, 0.002, 0.002])
        if isinstance(method, ANT):
            assert all(entry["resets"] >= 1 for entry in history)
            assert NOISE in undisturbed(variant)[2]
