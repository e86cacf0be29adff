"""A trial that a user's own function trains."""

import pytest
import torch
from torch import nn, optim

from gon_core.config import OwnFunction
from gon_core.training import StoppedError
from sweeps.engine.trials.trial import VALIDATION_METRIC, run_trial

pytestmark = pytest.mark.usefixtures("small_model")


@pytest.fixture
def own(config):
    method = OwnFunction(name="mine", sha256="0" * 64, values={"rate": 0.05, "epochs": 2})
    return config.model_copy(update={"method": method})


def train(trial, seed, report):
    """Train with plain gradient descent, for a number of epochs that is searched."""
    optimizer = optim.SGD(trial.model.parameters(), lr=trial["rate"])
    loss = torch.zeros(())
    for _ in range(trial["epochs"]):
        for images, labels in trial.batches():
            noisy = images + 0.01 * torch.randn(images.shape)
            loss = nn.functional.cross_entropy(trial.model(noisy), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        report(loss.item(), seed=seed)


def run(config, data, weights, records, function=train, **keywords):
    kept = records.trial(config.trial_id)
    return run_trial(config, data, weights, kept, function=function, **keywords)


def test_it_is_validated_measured_and_recorded_as_any_other(own, data, start_weights, records):
    seen = []
    result = run(own, data, start_weights, records, report=seen.append)
    assert result.status == "converged" and len(result.measurements) == 2 * 16
    assert [entry["epoch"] for entry in result.history] == [1, 2]
    assert seen == result.history[:1] and seen[0]["seed"] == 0
    assert 0 < result.history[-1][VALIDATION_METRIC] <= 100
    assert records.trials() == {own.trial_id: own}


def test_the_end_of_its_training_is_kept_while_it_is_evaluated(own, data, start_weights, records):
    calls = []

    def stop():
        calls.append(1)
        return len(calls) > 2 * (3 + 1)  # the batches and the report of two epochs

    with pytest.raises(StoppedError):
        run(own, data, start_weights, records, stop=stop)

    def never(trial, seed, report):
        raise AssertionError

    result = run(own, data, start_weights, records, never)
    assert result.status == "converged" and len(result.history) == 2 and result.measurements


@pytest.mark.system
def test_two_runs_give_the_same_bits(own, data, start_weights, records):
    first = run(own, data, start_weights, records)
    torch.randn(3)
    records.trial(own.trial_id).forget_result()
    second = run(own, data, start_weights, records)
    losses = [[entry["train_loss"] for entry in each.history] for each in (first, second)]
    assert losses[0] == losses[1] and first.measurements == second.measurements


def test_the_limit_of_epochs_ends_it(own, data, start_weights, records):
    method = own.method.model_copy(update={"values": {"rate": 0.05, "epochs": 50}})
    result = run(own.model_copy(update={"method": method}), data, start_weights, records)
    assert result.status == "max_epochs" and len(result.history) == own.training.max_epochs


@pytest.mark.parametrize(
    ("losses", "status", "reason"),
    [
        ([1.0, float("nan"), 0.5], "diverged", "not finite"),
        ([], "failed", "mine reported no epoch"),
        (["x"], "failed", "could not convert"),
    ],
)
def test_how_else_it_ends(own, data, start_weights, records, losses, status, reason):
    def report_all(trial, seed, report):
        for loss in losses:
            report(loss)

    result = run(own, data, start_weights, records, report_all)
    assert result.status == status and reason in result.reason


@pytest.mark.system
def test_a_stop_begins_it_again(own, data, start_weights, records):
    calls = []

    def stop():
        calls.append(1)
        return len(calls) == 5

    with pytest.raises(StoppedError):
        run(own, data, start_weights, records, stop=stop)
    result = run(own, data, start_weights, records)
    assert [entry["epoch"] for entry in result.history] == [1, 2]
    assert [attempt.from_epoch for attempt in records.trial(own.trial_id).attempts()] == [0, 0]


def test_batches_are_each_image_once_in_another_order_each_epoch(own, data, start_weights, records):
    epochs = []

    def look(trial, seed, report):
        assert dict(trial) == own.method.values and len(trial) == 2
        for _ in range(2):
            batches = list(trial.batches(batch_size=128))
            assert [len(labels) for _, labels in batches] == [128, 128, 44]
            epochs.append(torch.cat([images for images, _ in batches]))
            report(1.0)

    run(own, data, start_weights, records, look)
    first, second = (epoch.flatten(1).sum(1) for epoch in epochs)
    assert not torch.equal(first, second)
    assert torch.equal(first.sort().values, second.sort().values)
    assert epochs[0].min() >= 0 and epochs[0].max() == 1
