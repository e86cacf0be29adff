"""Two scales: minutes on two cores, or the paper's."""

from dataclasses import dataclass

from gon_core.config import HELD_OUT, TrainingConfig
from sweeps.engine.cli.options import SweepOptions
from sweeps.engine.resources import capacity


@dataclass(frozen=True)
class Scale:
    """How much is run: data, budgets and points.

    Attributes:
        data: how many images of each kind (None: all).
        start: training of the vanilla model that all trials start from.
        training: training of a trial.
        checkpoint_every: epochs between checkpoints.
        ant: what adversarial noise training does otherwise than in the paper, by field.
        methods: what the other methods do otherwise than their authors', by method and field.
        evaluation: how thoroughly a final model is measured, by field.
    """

    training_images: int | None
    validation_images: int
    test_images: int
    start: TrainingConfig
    training: TrainingConfig
    checkpoint_every: int
    ant: dict[str, float | int]
    methods: dict[str, dict[str, float | int]]
    evaluation: dict[str, float | int]


SCALES = {
    # The paper's 1e-3 needs hundreds of epochs; these rates show the same curve after two.
    "demo": Scale(
        training_images=10_000,
        validation_images=500,
        test_images=1_000,
        start=TrainingConfig(learning_rate=0.03, max_epochs=3),
        training=TrainingConfig(learning_rate=0.06, max_epochs=2),
        checkpoint_every=1,
        ant={"pretraining_steps": 10},
        # With an epsilon of 0.3 adversarial training does not learn within two epochs; fewer steps
        # have to be larger ones.
        methods={
            "pgd": {"epsilon": 0.2, "step_size": 0.1, "steps": 3},
            "ddn": {"init_norm": 1.5, "gamma": 0.2, "steps": 3},
        },
        evaluation={
            "images": 300,
            "generator_steps": 50,
            "generator_blocks": 5,
            "generator_batch": 100,
            "generator_learning_rate": 1e-2,
        },
    ),
    "paper": Scale(
        training_images=None,
        validation_images=HELD_OUT,
        test_images=10_000,
        start=TrainingConfig(learning_rate=0.01, max_epochs=200),
        training=TrainingConfig(learning_rate=1e-3, max_epochs=600),
        checkpoint_every=10,
        ant={},
        methods={},
        evaluation={},
    ),
}


def scale_name(options: SweepOptions) -> str:
    """Return the scale that was asked for: by default the paper's where there is a GPU."""
    on_gpus = capacity.of(options).gpus or (options.address and options.gpus_per_trial)
    return options.scale or ("paper" if on_gpus else "demo")
