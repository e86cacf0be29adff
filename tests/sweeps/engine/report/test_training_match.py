"""Which epsilon of 3x3 kernels trains as ANT 1x1 does: its reference, and how it is found."""

import math
from types import SimpleNamespace

import pytest

from gon_core.benchmarks.mnist import MNIST
from gon_core.intervals import Interval
from sweeps import epsilon_sphere
from sweeps.engine.planning.baselines import baseline_problem
from sweeps.engine.planning.plan import make_plan
from sweeps.engine.report.summary.training_match import Training, TrainingMatch, match_training

KINDS = ("train_loss", "train_accuracy")


def planned(**given):
    options = epsilon_sphere.Options(scale="demo", seeds=2, **given)
    return make_plan(epsilon_sphere.spec(options), options)


@pytest.mark.parametrize("given", [{"kernel_size": "3"}, {"method": ["ant_3x3"]}])
def test_3x3_kernels_are_searched_beside_ant_1x1_with_the_same_options(given):
    plan = planned(pretraining_steps=3, **given)
    (reference,) = plan.spec.baselines.values()
    assert reference.kernel_size == 1 and reference.pretraining_steps == 3
    assert reference.epsilon == MNIST.ant("ant_1x1").epsilon
    assert baseline_problem(plan.spec) == "" and planned().spec.baselines == {}


def training(epsilon, loss=0.0, accuracy=0.0):
    values = {
        kind: Interval(value, math.nan, math.nan)
        for kind, value in zip(KINDS, (loss, accuracy), strict=True)
    }
    return Training(SimpleNamespace(point=(epsilon,)), values, values)


def test_the_nearest_and_where_the_line_crosses():
    points = (training(4.0, -0.3, 6.0), training(6.0, -0.1, 2.0), training(8.0, 0.3, 1.0))
    found = TrainingMatch(training("ant_1x1"), points)
    assert found.nearest("train_loss").point.point == (6.0,)
    assert found.nearest("train_accuracy").point.point == (8.0,)
    assert found.crossing("train_loss") == pytest.approx(6.5)
    assert found.crossing("train_accuracy") is None


def point(name, epochs):
    """Return a point with one trial a seed, whose last epoch has this loss and accuracy."""
    trials = [
        SimpleNamespace(
            config=SimpleNamespace(seed=seed), is_measured=True,
            history=[dict.fromkeys(KINDS, 9.0), dict(zip(KINDS, last, strict=True))],
        )
        for seed, last in enumerate(epochs)
    ]  # fmt: skip
    return SimpleNamespace(point=(name,), trials=trials)


def test_differences_are_paired_by_seed_and_of_the_last_epoch():
    plan = planned(kernel_size="3")
    description = SimpleNamespace(
        config=plan.config.model_dump(mode="json"), baselines=plan.config.baselines
    )
    summary = SimpleNamespace(
        names=("epsilon",), description=description,
        points=(point(5.0, [(1.0, 60.0), (2.0, 50.0)]),),
        baselines=(point("ant_1x1", [(0.9, 61.0), (1.7, 53.0), (5.0, 5.0)]),),
    )  # fmt: skip
    found = match_training(summary)
    assert found.points[0].differences["train_loss"].estimate == pytest.approx(0.2)
    assert found.points[0].differences["train_accuracy"].estimate == pytest.approx(-2)
    assert found.points[0].values["train_loss"].estimate == pytest.approx(1.5)
    summary.names = ("depth",)
    assert match_training(summary) is None
