"""What is measured of a final model: the accuracies of every trial, and what else is asked for.

Measures take the model as it is and return rows and files; the caller writes them.
"""

from dataclasses import dataclass, field

from torch import nn

from gon_core import evaluation
from gon_core.config import VARIANTS, EvaluationConfig
from gon_core.data.splits import LabelledImages, Splits
from gon_core.evaluation import (
    AccuracyRow,
    AttackRow,
    DDNAttack,
    EvaluationSet,
    Noise,
    PerturbationSizeRow,
    PGDAttack,
    SeveritySets,
    examples,
    perturbed,
    right_images,
)
from gon_core.rows import CLEAN
from gon_core.seeding import generator
from sweeps.engine.records import EXAMPLES, PERTURBED, RIGHT
from sweeps.engine.storage import Folder

ATTACKS = (PGDAttack(), DDNAttack())  # of Table 7
GENERATORS = ("ant_1x1", "ant_3x3")  # trained afresh against each final model


@dataclass(frozen=True)
class TrialData:
    """What all trials of a sweep share: made once, read-only.

    Attributes:
        training: the images to train on.
        validation: held-out images, clean and corrupted; model selection looks at these alone.
        test: test images, clean and corrupted; reported, never searched on.
        severities: test images at five severities of each corruption, if they are measured.
    """

    training: LabelledImages
    validation: EvaluationSet
    test: EvaluationSet
    severities: SeveritySets | None = None

    def to(self, device: str) -> "TrialData":
        """Return the same data on ``device``."""
        return TrialData(
            self.training.to(device),
            self.validation.to(device),
            self.test.to(device),
            self.severities.to(device) if self.severities is not None else None,
        )


def prepare_data(splits: Splits, config: EvaluationConfig) -> TrialData:
    """Return the data of all trials, with the corrupted images made."""
    seed = config.corruption_seed
    severities = None
    if "severities" in config.measures:
        severities = evaluation.build_severities(splits.test[: config.images], seed)
    return TrialData(
        training=splits.training,
        validation=evaluation.build(splits.validation, "validation", seed),
        test=evaluation.build(splits.test, "test", seed),
        severities=severities,
    )


def write_examples(folder: Folder, splits: Splits, config: EvaluationConfig) -> None:
    """Keep some test images, clean and corrupted, for the figures of the report."""
    if not folder.exists(EXAMPLES):
        shown = examples.make(splits.test, config.corruption_seed, "severities" in config.measures)
        folder.write(EXAMPLES, examples.dump(shown))


@dataclass
class Measured:
    """The figures of one model.

    Attributes:
        rows: accuracies on validation and test images.
        attacks: accuracies under attack.
        perturbation_sizes: epsilon* by noise.
        files: content by name, for the trial's folder.
    """

    rows: list[AccuracyRow] = field(default_factory=list)
    attacks: list[AttackRow] = field(default_factory=list)
    perturbation_sizes: list[PerturbationSizeRow] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)


def measure(
    model: nn.Module, data: TrialData, config: EvaluationConfig, bf16: bool = False
) -> Measured:
    """Return every figure that ``config`` asks for.

    Attacks and sizes are in fp32 in any case: gradients and the last bits decide there. All that is
    random follows from ``config.corruption_seed``, so that every model meets the same noise.

    Args:
        model: the final one, on the data's device.
        data: see there.
        config: what to measure.
        bf16: whether accuracies are measured in bfloat16.
    """
    found = Measured()
    found.rows += evaluation.evaluate(model, data.validation, bf16)
    right = {}
    for row, images in evaluation.evaluate_images(model, data.test, bf16):
        found.rows.append(row)
        right[row.corruption] = images
    found.files[RIGHT] = right_images.dump(right)
    clean = LabelledImages(data.test.images[CLEAN], data.test.labels)[: config.images]
    if "severities" in config.measures:
        assert data.severities is not None, "severities are measured but were not made"
        found.rows += evaluation.evaluate_severities(model, data.severities, bf16)
    if "attacks" in config.measures:
        for attack in ATTACKS:
            stream = _stream(config, f"attack {attack.name}", clean)
            found.attacks.append(evaluation.attack_accuracy(model, clean, attack, stream))
    if "epsilon_star" in config.measures:
        _measure_sizes(found, model, data, clean, config)
    return found


def _measure_sizes(
    found: Measured,
    model: nn.Module,
    data: TrialData,
    clean: LabelledImages,
    config: EvaluationConfig,
) -> None:
    noises: dict[str, tuple[Noise, bool]] = {
        name: (noise, True) for name, noise in evaluation.NOISES.items()
    }
    for variant in GENERATORS:
        trained = _train_generator(model, data, variant, config)
        noises[trained.noise.name] = (trained.noise, trained.converged)
    for name, (noise, converged) in noises.items():
        stream = _stream(config, f"noise {name}", clean)
        row = evaluation.median_perturbation_size(model, clean, noise, stream, converged=converged)
        found.perturbation_sizes.append(row)
    sizes = {row.noise: row.median for row in found.perturbation_sizes}
    kinds = {name: noise for name, (noise, _) in noises.items()}
    stream = _stream(config, "perturbed", clean)
    shown = perturbed.perturb(clean.images, kinds, sizes, stream)
    found.files[PERTURBED] = perturbed.dump(shown)


def _train_generator(
    model: nn.Module, data: TrialData, variant: str, config: EvaluationConfig
) -> evaluation.AdversarialNoise:
    method = VARIANTS[variant].model_copy(
        update={"pretraining_learning_rate": config.generator_learning_rate}
    )
    return evaluation.adversarial_noise(
        model,
        data.training,
        method,  # pyright: ignore[reportArgumentType]  (GENERATORS are ANT)
        config.corruption_seed,
        batch_size=config.generator_batch,
        block=config.generator_steps,
        max_blocks=config.generator_blocks,
    )


def _stream(config: EvaluationConfig, name: str, images: LabelledImages):
    return generator(config.corruption_seed, name, device=images.labels.device)
