"""Stored figures of every training method and every measure: a change of them raises a format.

They are compared to a thousandth, since processors differ by rounding, and shares of images to one
image. If a test fails after a change that is meant to alter results, raise the format that it
names and store the figures anew: ``python -m tests.gon_core.test_formats``.
"""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.utils import parameters_to_vector

from gon_core import benchmarks, evaluation
from gon_core.benchmarks.mnist import MNIST
from gon_core.config import ANT, DDN, PGD, TrainingConfig
from gon_core.data import idx
from gon_core.evaluation import DDNAttack, PGDAttack
from gon_core.formats import EVALUATION_FORMAT, TRAINING_FORMAT
from gon_core.measurement import CLEAN, SEVERITIES_SPLIT
from gon_core.seeding import generator
from gon_core.training import new_state, train

HERE = Path(__file__).parent
STORED, WEIGHTS = HERE / "formats.json", HERE / "tiny_model.safetensors"
TOLERANCE = 1e-3
CHEAP = {
    PGD: {"steps": 3},
    DDN: {"steps": 3},
    ANT: {"pretraining_steps": 1, "reset_interval": 0.5, "pretraining_learning_rate": 0.05},
}
CONFIG = TrainingConfig(batch_size=20, learning_rate=0.05, max_epochs=1)
IMAGES = 40


def tiny_model():
    """Return a small classifier that was trained on 5,000 digits."""
    model = nn.Sequential(
        nn.Conv2d(1, 6, 5, stride=3), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 8 * 8, 10)
    )
    model.load_state_dict(load_file(WEIGHTS))
    return model.eval()


def training_figures(variant, digits):
    """Return the loss of two steps of a method, and by how much they moved its weights."""
    method = MNIST.methods[variant]
    method = method.model_copy(update=CHEAP.get(type(method), {}))
    model = tiny_model()
    before = parameters_to_vector(model.parameters()).detach().clone()
    state = new_state(model, CONFIG, 0, method)
    (metrics,) = train(state, digits[0][:IMAGES], method, CONFIG)
    moved = (parameters_to_vector(model.parameters()) - before).norm().item()
    return {"loss": metrics.train_loss, "moved": moved, **metrics.extra}


def evaluation_figures(digits):
    """Return every measure of the tiny model on a few digits, by name."""
    model, data = tiny_model(), digits[1][:IMAGES]
    suites = benchmarks.get("mnist").suites
    rows = [*evaluation.evaluate(model, evaluation.build(data, "test", suites["test"], 0))]
    severe = evaluation.build(data[:10], SEVERITIES_SPLIT, suites["severities"], 0)
    rows += [row for row in evaluation.evaluate(model, severe) if row.setting != CLEAN]
    for attack in (PGDAttack(steps=10), DDNAttack(steps=10)):
        rows.append(evaluation.attack_accuracy(model, data, attack, generator(0, attack.name)))
    method = ANT(epsilon=4)
    trained = evaluation.adversarial_noise(
        model, digits[0][:100], method, 0, batch_size=50, block=2, max_blocks=2
    )
    for noise in (*evaluation.NOISES.values(), trained.noise):
        stream = generator(0, noise.name)
        rows.append(evaluation.median_perturbation_size(model, data, noise, stream))
    named = {f"{r.measure} {r.split} {r.setting} {r.severity}": r.value for r in rows}
    return named | {f"generator loss {i}": loss for i, loss in enumerate(trained.losses)}


@pytest.mark.parametrize("variant", MNIST.methods)
def test_a_method_takes_the_steps_of_its_format(variant, mnist):
    stored = json.loads(STORED.read_text())["training"]
    assert stored["format"] == TRAINING_FORMAT, "store the figures of the new format"
    found = training_figures(variant, mnist)
    assert found == pytest.approx(stored[variant], rel=TOLERANCE), "raise TRAINING_FORMAT"


@pytest.mark.system
def test_a_measure_finds_the_figures_of_its_format(mnist):
    stored = json.loads(STORED.read_text())["evaluation"]
    assert stored.pop("format") == EVALUATION_FORMAT, "store the figures of the new format"
    found = evaluation_figures(mnist)
    assert found.keys() == stored.keys()
    for name, value in found.items():
        one_image = 100 / IMAGES if name.startswith(("top", "attack")) else 0
        expected = pytest.approx(stored[name], rel=TOLERANCE, abs=max(TOLERANCE, one_image))
        assert value == expected, f"raise EVALUATION_FORMAT: {name}"


if __name__ == "__main__":
    torch.set_num_threads(1)
    mnist = idx.load("mnist")
    training = {variant: training_figures(variant, mnist) for variant in MNIST.methods}
    figures = {
        "training": {"format": TRAINING_FORMAT} | training,
        "evaluation": {"format": EVALUATION_FORMAT} | evaluation_figures(mnist),
    }
    STORED.write_text(json.dumps(figures, indent=1) + "\n")
