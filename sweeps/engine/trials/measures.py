"""What is measured of a final model: the accuracies of every trial, and what else is asked for.

Measures take the model as it is and return rows and files; the caller writes them.
"""

import math
from dataclasses import dataclass, field
from functools import partial

from torch import Generator, nn

from gon_core import evaluation
from gon_core.config import ANT, VARIANTS, EvaluationConfig
from gon_core.data.splits import LabelledImages, Splits
from gon_core.evaluation import (
    DDNAttack,
    EvaluationSet,
    Noise,
    PGDAttack,
    SeveritySets,
    examples,
    perturbed,
    right_images,
)
from gon_core.evaluation.accuracy import BATCH_SIZE
from gon_core.evaluation.attacks import Attack
from gon_core.measurement import CLEAN, Measurement, select
from gon_core.seeding import generator
from gon_core.training import checkpoints
from sweeps.engine.records import EXAMPLES, PERTURBED, RIGHT, Finding
from sweeps.engine.records.storage import Folder
from sweeps.engine.trials import accuracy_steps
from sweeps.engine.trials.accuracy_steps import Accuracies
from sweeps.engine.trials.evaluation_steps import Steps
from sweeps.engine.trials.heartbeat import Heartbeat, Tell, silent

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


@dataclass
class Measured:
    """The figures of one model.

    Attributes:
        measurements: of all measures.
        files: content by name, for the trial's folder.
    """

    measurements: list[Measurement] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)


def measure(
    model: nn.Module,
    data: TrialData,
    config: EvaluationConfig,
    bf16: bool = False,
    tell: Tell = silent,
    accuracies: Accuracies = evaluation,
    steps: Steps | None = None,
) -> Measured:
    """Return every figure that ``config`` asks for.

    Attacks and sizes are in fp32 in any case: gradients and the last bits decide there. All that is
    random follows from ``config.corruption_seed``, so that every model meets the same noise, and
    each step finds the same whatever was done before it.

    Args:
        model: the final one, on the data's device.
        data: see there.
        config: what to measure.
        bf16: whether accuracies are measured in bfloat16.
        tell: takes lines that say how far it is, for a person who waits.
        accuracies: measures them, here or elsewhere.
        steps: of the evaluation: a corruption of a split, an attack, a noise generator, epsilon* of
            a noise. Those that are done are not done again.
    """
    heart = Heartbeat(tell)
    with heart.listening(model):
        return _measure(model, data, config, bf16, heart, accuracies, steps or Steps())


def _measure(
    model: nn.Module, data: TrialData, config: EvaluationConfig, bf16: bool, heart: Heartbeat,
    accuracies: Accuracies, steps: Steps,
) -> Measured:  # fmt: skip
    found = Measured()
    _begin_accuracies(heart, data)
    rows = found.measurements
    rows += accuracy_steps.validation_rows(steps, model, data.validation, bf16, accuracies)
    test, right = accuracy_steps.test_rows(steps, model, data.test, bf16, accuracies)
    rows += test
    found.files[RIGHT] = right_images.dump(right)
    clean = LabelledImages(data.test.images[CLEAN], data.test.labels)[: config.images]
    if "severities" in config.measures:
        assert data.severities is not None, "severities are measured but were not made"
        heart.begin(f"five severities of each corruption, {len(data.severities.labels):,} images")
        rows += accuracy_steps.severity_rows(steps, model, data.severities, bf16, accuracies)
    if "attacks" in config.measures:
        for attack in ATTACKS:
            measure_it = partial(_attack, model, clean, config, attack, heart)
            rows += steps.take(f"attack-{attack.name}", measure_it).measurements
    if "epsilon_star" in config.measures:
        _measure_sizes(found, steps, model, data, clean, config, heart)
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


def _attack(
    model: nn.Module, clean: LabelledImages, config: EvaluationConfig, attack: Attack,
    heart: Heartbeat,
) -> Finding:  # fmt: skip
    heart.begin(f"attack {attack.name.upper()}, {len(clean):,} images")
    stream = _stream(config, f"attack {attack.name}", clean)
    return Finding(measurements=[evaluation.attack_accuracy(model, clean, attack, stream)])


def _measure_sizes(
    found: Measured,
    steps: Steps,
    model: nn.Module,
    data: TrialData,
    clean: LabelledImages,
    config: EvaluationConfig,
    heart: Heartbeat,
) -> None:
    device = clean.labels.device
    noises: dict[str, tuple[Noise, bool]] = {
        name: (noise, True) for name, noise in evaluation.NOISES.items()
    }
    for variant in GENERATORS:
        train = partial(_train_generator, model, data, variant, config, heart)
        trained = steps.take(f"generator-{variant}", train)
        noise = evaluation.restore_noise(trained.tensors, _method(variant, config), device)
        noises[noise.name] = (noise, trained.converged)
    for name, (noise, converged) in noises.items():
        measure_size = partial(_measure_size, model, clean, noise, converged, config, heart)
        found.measurements += steps.take(f"epsilon-{name}", measure_size).measurements
    sizes = {row.setting: row.value for row in select(found.measurements, "epsilon_star")}
    kinds = {name: noise for name, (noise, _) in noises.items()}
    stream = _stream(config, "perturbed", clean)
    shown = perturbed.perturb(clean.images, kinds, sizes, stream)
    found.files[PERTURBED] = perturbed.dump(shown)


def _train_generator(
    model: nn.Module, data: TrialData, variant: str, config: EvaluationConfig, heart: Heartbeat
) -> Finding:
    most = config.generator_steps * config.generator_blocks
    heart.begin(
        f"noise generator {variant}, trained until it converges", f"of at most {most:,} steps"
    )
    trained = evaluation.adversarial_noise(
        model,
        data.training,
        _method(variant, config),
        config.corruption_seed,
        batch_size=config.generator_batch,
        block=config.generator_steps,
        max_blocks=config.generator_blocks,
    )
    weights = checkpoints.dump_model(trained.generator)
    return Finding(tensors=weights, converged=trained.converged)


def _method(variant: str, config: EvaluationConfig) -> ANT:
    method = VARIANTS[variant]
    assert isinstance(method, ANT), "a noise generator is trained"
    return method.model_copy(update={"pretraining_learning_rate": config.generator_learning_rate})


def _measure_size(
    model: nn.Module, clean: LabelledImages, noise: Noise, converged: bool,
    config: EvaluationConfig, heart: Heartbeat,
) -> Finding:  # fmt: skip
    heart.begin(f"epsilon* under {noise.name} noise, {len(clean):,} images")
    stream = _stream(config, f"noise {noise.name}", clean)
    row = evaluation.median_perturbation_size(model, clean, noise, stream, converged=converged)
    return Finding(measurements=[row])


def _stream(config: EvaluationConfig, name: str, images: LabelledImages) -> Generator:
    return generator(config.corruption_seed, name, device=images.labels.device)
