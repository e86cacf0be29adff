"""Deviations from the paper on ImageNet, whose trainings start from published weights."""

import pytest
from safetensors.torch import save_file

from gon_core import architectures
from gon_core.config import DataConfig, FolderConfig, StartConfig, TrainingConfig
from sweeps.engine.planning.deviations import sweep_deviations, training_deviations
from sweeps.engine.planning.given_weights import _read

DATA = DataConfig(
    dataset="imagenet",
    folder=FolderConfig(
        image_size=224, classes=1000, training_images=1_281_167, test_images=50_000, digest="d"
    ),
)
PAPER = DATA.benchmark.scales["paper"]
TRAINED = "trials start from 120 vanilla epochs trained here (the paper: IMAGENET1K_V1)"


def start(model="resnet50", weights=None):
    return StartConfig(data=DATA, training=PAPER.start, model=model, weights=weights)


@pytest.mark.parametrize(
    ("variant", "model", "weights", "found"),
    [
        ("gnt", "resnet50", "sha", []),
        ("gnt", "resnet50", None, [TRAINED]),
        ("uat", "alexnet", "sha", []),
        ("uat", "resnet50", "sha", ["model resnet50 (its published row: alexnet)"]),
        ("ant_1x1", "densenet121", "sha", []),
        ("vanilla", "resnet152", "sha", []),
        ("pgd", "alexnet", "sha", ["model alexnet (the paper: resnet50)"]),
        ("free", "resnet50", "sha", ["starts from trained weights (its authors: random ones)"]),
    ],
)
def test_given_weights_and_the_network_of_the_published_row_are_the_papers(
    variant, model, weights, found
):
    training = PAPER.recipes.get(variant, PAPER.training)
    assert training_deviations(DATA, training, start(model, weights), variant) == found


def test_a_recipe_is_compared_with_its_authors_own():
    ours = PAPER.recipes["free"].model_copy(update={"batch_size": 64, "max_epochs": 2})
    assert training_deviations(DATA, ours, None, "free") == [
        "at most 2 epochs a trial (its authors: 23)", "batch size 64 (its authors: 256)",
    ]  # fmt: skip
    assert training_deviations(DATA, PAPER.recipes["free"], None, "free") == []
    eighty = PAPER.training.model_copy(update={"max_epochs": 80})
    assert training_deviations(DATA, eighty, None, "ant_1x1") == []
    assert training_deviations(DATA, TrainingConfig(learning_rate=0.3), None, "ford") == []


def test_of_several_methods_what_all_plain_ones_share_is_said_without_names():
    trained = {"gnt": PAPER.training, "uat": PAPER.training, "free": PAPER.recipes["free"]}
    found = sweep_deviations(DATA, trained, start(), ("free",), "resnet50", "paper")
    assert found[:2] == [TRAINED, "uat: model resnet50 (its published row: alexnet)"]


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        (None, ()),
        ({"recipe": "ResNet50_Weights.IMAGENET1K_V1"}, ()),
        (
            {"recipe": "ResNet50_Weights.IMAGENET1K_V2"},
            (
                "resnet9_small starts from ResNet50_Weights.IMAGENET1K_V2 "
                "(the paper: IMAGENET1K_V1)",
            ),
        ),
    ],
)
def test_weights_of_another_recipe_are_named(metadata, said, tmp_path):
    model = architectures.make("resnet9_small", 10, (3, 64, 64))
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(state, tmp_path / "w.safetensors", metadata)
    given = _read(
        tmp_path / "w.safetensors", None, "resnet9_small", 10, (3, 64, 64), PAPER.start_weights
    )
    assert given.deviations == said
