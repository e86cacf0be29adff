"""What is measured of a final model: the accuracies of every trial, and what else is asked for.

Measures take the model as it is and return rows and files; the caller writes them.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from jaxtyping import Bool
from torch import Tensor, nn

from gon_core import evaluation
from gon_core.config import VARIANTS, EvaluationConfig
from gon_core.data.imagenet_c_folder import ImageNetC
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
from gon_core.evaluation.accuracy import BATCH_SIZE
from gon_core.rows import CLEAN
from gon_core.seeding import generator
from sweeps.engine.heartbeat import Heartbeat, Tell, silent
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
        severities: test images at five severities of each corruption, and without any as
            (``clean``, 0), if they are measured.
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
        shown = splits.test.first(config.images)
        made = evaluation.build_severities(shown, seed)
        severities = SeveritySets({(CLEAN, 0): shown.images} | made.images, made.labels)
    return TrialData(
        training=splits.training,
        validation=evaluation.build(splits.validation, "validation", seed),
        test=evaluation.build(splits.test, "test", seed),
        severities=severities,
    )


def write_examples(
    folder: Folder, splits: Splits, config: EvaluationConfig, given: EvaluationSet | None = None
) -> None:
    """Keep some test images, clean and corrupted, for the figures of the report.

    Args:
        folder: of the sweep.
        splits: whose test images are corrupted.
        config: with which seed, and at which severities.
        given: corrupted images that are evaluated instead of ours.
    """
    if folder.exists(EXAMPLES):
        return
    if given is not None:
        shown = examples.of_set(given.images, given.labels)
    else:
        shown = examples.make(splits.test, config.corruption_seed, "severities" in config.measures)
    folder.write(EXAMPLES, examples.dump(shown))


class Accuracies(Protocol):
    """What measures accuracies: ``gon_core.evaluation``, or the machines of a cluster."""

    def evaluate(
        self, model: nn.Module, evaluation_set: EvaluationSet, bf16: bool = False
    ) -> Iterator[AccuracyRow]:
        """See ``gon_core.evaluation``."""
        ...

    def evaluate_images(
        self, model: nn.Module, evaluation_set: EvaluationSet, bf16: bool = False
    ) -> Iterator[tuple[AccuracyRow, Bool[Tensor, " image"]]]:
        """See ``gon_core.evaluation``."""
        ...

    def evaluate_severities(
        self, model: nn.Module, sets: SeveritySets, bf16: bool = False
    ) -> Iterator[AccuracyRow]:
        """See ``gon_core.evaluation``."""
        ...

    def evaluate_imagenet_c(self, model: nn.Module, images: ImageNetC) -> Iterator[AccuracyRow]:
        """See ``gon_core.evaluation``."""
        ...


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
    model: nn.Module,
    data: TrialData,
    config: EvaluationConfig,
    bf16: bool = False,
    tell: Tell = silent,
    accuracies: Accuracies = evaluation,
) -> Measured:
    """Return every figure that ``config`` asks for.

    Attacks and sizes are in fp32 in any case: gradients and the last bits decide there. All that is
    random follows from ``config.corruption_seed``, so that every model meets the same noise.

    Args:
        model: the final one, on the data's device.
        data: see there.
        config: what to measure.
        bf16: whether accuracies are measured in bfloat16.
        tell: takes lines that say how far it is, for a person who waits.
        accuracies: measures them, here or elsewhere.
    """
    heart = Heartbeat(tell)
    with heart.listening(model):
        return _measure(model, data, config, bf16, heart, accuracies)


def _measure(
    model: nn.Module, data: TrialData, config: EvaluationConfig, bf16: bool, heart: Heartbeat,
    accuracies: Accuracies,
) -> Measured:  # fmt: skip
    found = Measured()
    _begin_accuracies(heart, data)
    found.rows += accuracies.evaluate(model, data.validation, bf16)
    right = {}
    for row, images in accuracies.evaluate_images(model, data.test, bf16):
        found.rows.append(row)
        right[row.corruption] = images
    found.files[RIGHT] = right_images.dump(right)
    clean = LabelledImages(data.test.images[CLEAN], data.test.labels)[: config.images]
    if "severities" in config.measures:
        assert data.severities is not None, "severities are measured but were not made"
        heart.begin(f"five severities of each corruption, {len(data.severities.labels):,} images")
        found.rows += accuracies.evaluate_severities(model, data.severities, bf16)
    if "attacks" in config.measures:
        for attack in ATTACKS:
            heart.begin(f"attack {attack.name.upper()}, {len(clean):,} images")
            stream = _stream(config, f"attack {attack.name}", clean)
            found.attacks.append(evaluation.attack_accuracy(model, clean, attack, stream))
    if "epsilon_star" in config.measures:
        _measure_sizes(found, model, data, clean, config, heart)
    return found


def _begin_accuracies(heart: Heartbeat, data: TrialData) -> None:
    sets = (data.validation, data.test)
    counts = [len(each.labels) for each in sets]
    batches = sum(
        len(each.images) * math.ceil(count / BATCH_SIZE)
        for each, count in zip(sets, counts, strict=True)
    )
    images = f"{counts[0]:,} validation and {counts[1]:,} test images"
    heart.begin(f"accuracy on {images}, clean and corrupted", f"of {batches:,} batches")


def _measure_sizes(
    found: Measured,
    model: nn.Module,
    data: TrialData,
    clean: LabelledImages,
    config: EvaluationConfig,
    heart: Heartbeat,
) -> None:
    noises: dict[str, tuple[Noise, bool]] = {
        name: (noise, True) for name, noise in evaluation.NOISES.items()
    }
    for variant in GENERATORS:
        most = config.generator_steps * config.generator_blocks
        heart.begin(
            f"noise generator {variant}, trained until it converges", f"of at most {most:,} steps"
        )
        trained = _train_generator(model, data, variant, config)
        noises[trained.noise.name] = (trained.noise, trained.converged)
    for name, (noise, converged) in noises.items():
        heart.begin(f"epsilon* under {name} noise, {len(clean):,} images")
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
