"""epsilon* under each kind of noise, two of them trained against the model, as in Table 2."""

import math
from functools import partial

from gon_core import evaluation
from gon_core.benchmarks import Benchmark
from gon_core.config import ANT, EvaluationConfig
from gon_core.evaluation import perturbed
from gon_core.evaluation.measure import Measure, Measured, Passes, Steps, Subject
from gon_core.evaluation.noise_directions import NOISES, Noise
from gon_core.evaluation.perturbation_size import share_non_monotone
from gon_core.measurement import Finding, Measurement
from gon_core.training import checkpoints
from gon_core.training.recordings import on_device

GENERATORS = ("ant_1x1", "ant_3x3")  # trained afresh against each final model
FORWARDS = 8  # of each image in the search for a median
PERTURBED = "perturbed"


def run(subject: Subject, steps: Steps) -> Measured:
    """Return epsilon* of each noise, and some images with noise of that size as a file."""
    noises = {name: (noise, True) for name, noise in NOISES.items()}
    most = subject.config.generator_steps * subject.config.generator_blocks
    for variant in GENERATORS:
        text = f"noise generator {variant}, trained until it converges"
        train = partial(_train_generator, subject, steps, variant)
        trained = steps.take(f"generator-{variant}", train, text, f"of at most {most:,} steps")
        method, device = _method(variant, subject), subject.test.clean.device
        channels = subject.benchmark.image_shape[0]
        noise = evaluation.restore_noise(trained.tensors, method, device, channels)
        noises[noise.name] = (noise, trained.converged)
    measured = Measured()
    for name, (noise, converged) in noises.items():
        text = f"epsilon* under {name} noise, {len(subject.images):,} images"
        find = partial(_find, subject, steps, noise, converged)
        measured.measurements += steps.take(f"epsilon-{name}", find, text).measurements
    sizes = {row.setting: row.value for row in measured.measurements}
    kinds = {name: noise for name, (noise, _) in noises.items()}
    clean = subject.images.batch(slice(0, perturbed.SAMPLES))
    shown = perturbed.perturb(clean, kinds, sizes, subject.stream("perturbed"))
    measured.files[PERTURBED] = perturbed.dump(shown)
    return measured


def _train_generator(subject: Subject, steps: Steps, variant: str) -> Finding:
    config = subject.config
    trained = evaluation.adversarial_noise(
        subject.model,
        subject.training,
        _method(variant, subject),
        config.corruption_seed,
        batch_size=config.generator_batch,
        block=config.generator_steps,
        max_blocks=config.generator_blocks,
        recordings=partial(on_device, passed=steps.passed),
    )
    weights = checkpoints.dump_model(trained.generator)
    return Finding(tensors=weights, converged=trained.converged)


def _method(variant: str, subject: Subject) -> ANT:
    learning_rate = subject.config.generator_learning_rate
    method = subject.benchmark.ant(variant)
    return method.model_copy(update={"pretraining_learning_rate": learning_rate})


def _find(subject: Subject, steps: Steps, noise: Noise, converged: bool) -> Finding:
    row = evaluation.median_perturbation_size(
        subject.model, subject.images, noise, subject.stream(f"noise {noise.name}"),
        converged=converged, recordings=partial(on_device, passed=steps.passed),
    )  # fmt: skip
    return Finding(measurements=[row])


def passes(config: EvaluationConfig, images: int, benchmark: Benchmark) -> Passes:
    """Return the cost: two generators that may not converge, and a search for each noise."""
    steps = config.generator_steps * config.generator_blocks
    noises = len(NOISES) + len(GENERATORS)
    return Passes(
        forward=FORWARDS * noises * images,
        generator=len(GENERATORS) * steps * config.generator_batch,
    )


def deviations(config: EvaluationConfig) -> list[str]:
    """Return whether generators are trained for fewer steps than they may need."""
    if config.generator_blocks >= EvaluationConfig().generator_blocks:
        return []
    most = config.generator_blocks * config.generator_steps
    return [f"generators against final models trained for at most {most:,} steps"]


def figures(row: Measurement) -> dict[str, float]:
    """Return whether the median is infinite, which a tracker may be unable to store, and more."""
    infinite = float(math.isinf(row.value))
    return {"infinite": infinite, "non_monotone": share_non_monotone(row)}


MEASURE = Measure(
    words="epsilon*",
    title="median perturbation size epsilon*",
    limits=(0.0, math.inf),
    unit="l2 norm on images in [0, 1]",
    setting="noise",
    run=run,
    passes=passes,
    deviations=deviations,
    note="epsilon*: the l2 size, on images in [0, 1], at which noise makes half of the test images "
    "misclassified; never: no size does.",
    figures=figures,
)
