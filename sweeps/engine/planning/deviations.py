"""What is smaller than in the paper, or in a benchmark's own recipe, in words."""

from collections.abc import Callable, Collection, Mapping

from gon_core.benchmarks import Benchmark, Scale, ScaleName
from gon_core.config import DataConfig, EvaluationConfig, StartConfig, TrainingConfig
from gon_core.paper.imagenet import networks_of

STEPS = ("batch_size", "decays")


def sweep_deviations(
    data: DataConfig, trained: Mapping[str, TrainingConfig], start: StartConfig,
    random: Collection[str], model: str, scale: ScaleName,
    varied: Callable[[str], Collection[str]] = lambda variant: (),
) -> list[str]:  # fmt: skip
    """Return ``training_deviations`` of all methods of a sweep: what most share is said once.

    Args:
        data: of the sweep.
        trained: by variant of a method its training.
        start: what trials start from.
        random: the variants that start from random weights instead.
        model: what is trained; "" where networks are compared.
        scale: a name in ``Benchmark.scales``; what of its recipes is not their authors' is said.
        varied: by variant, the fields of its training that are searched, or not known.
    """
    by_text: dict[str, list[str]] = {}
    notes, own = data.benchmark.scales[scale].notes, data.benchmark.scales["paper"].recipes
    usual = {name for name in trained if name not in random and name not in own}
    for variant, training in trained.items():
        begins = None if variant in random else start
        found = training_deviations(data, training, begins, variant, model, varied(variant))
        for text in found + ([notes[variant]] if variant in notes else []):
            by_text.setdefault(text, []).append(variant)
    return [
        text if usual and usual <= set(names) else f"{', '.join(names)}: {text}"
        for text, names in by_text.items()
    ]


def training_deviations(
    data: DataConfig, training: TrainingConfig, start: StartConfig | None, variant: str = "",
    model: str | None = None, varied: Collection[str] = (),
) -> list[str]:  # fmt: skip
    """Return how trials are trained less, or otherwise, than in the paper, in words.

    Args:
        data: what they are trained on.
        training: how.
        start: from what; None for random weights.
        variant: of the method; "" if it is not known, which is then taken for one without a recipe
            of its own.
        model: what is trained; None for that of the start, "" if it is no deviation.
        varied: fields of the training that are no deviation: they vary by intention.
    """
    paper, deviations = data.benchmark.scales["paper"], []
    own, available = paper.recipes.get(variant), data.benchmark.pool
    whole, source = own or paper.training, "its authors" if own else data.benchmark.recipe
    if data.training_images is not None and data.training_images < available:
        deviations.append(f"{data.training_images:,} of {available:,} training images")
    if variant not in paper.open_recipes or start is not None:
        most = min(whole.max_epochs, paper.epochs.get(variant, whole.max_epochs))
        if training.max_epochs < most:
            usual = f"{whole.max_epochs}"
            if not whole.is_scheduled:
                usual = f"until convergence, {paper.usual_epochs}"
            epochs = _plural(training.max_epochs, "epoch")
            deviations.append(f"at most {epochs} a trial ({source}: {usual})")
        rate = training.learning_rate
        if rate != whole.learning_rate and "learning_rate" not in varied:
            deviations.append(f"learning rate {rate:g} ({source}: {whole.learning_rate:g})")
        for name in ("batch_size",) if own else () if training.is_scheduled else STEPS:
            ours, theirs = getattr(training, name), getattr(whole, name)
            if ours != theirs and name not in varied:
                deviations.append(f"{name.replace('_', ' ')} {ours} ({source}: {theirs})")
    if model is None and start is not None:
        model = start.model
    if model:
        deviations += _of_network(model, variant, data.benchmark)
    return deviations + _of_start(start, variant, paper)


def _of_network(model: str, variant: str, benchmark: Benchmark) -> list[str]:
    """Return whether a method has another network than in the paper: than in its own row there."""
    usual = benchmark.scales["paper"].model or benchmark.model
    is_imagenet = benchmark.suites["test"].reference_errors is not None
    if is_imagenet and (rows := networks_of(variant)):
        published = f"its published row: {' or '.join(rows)}"
        return [] if model in rows else [f"model {model} ({published})"]
    return [] if model == usual else [f"model {model} ({benchmark.recipe}: {usual})"]


def _of_start(start: StartConfig | None, variant: str, paper: Scale) -> list[str]:
    if start is None:
        return []
    if variant in paper.random_starts:
        return ["starts from trained weights (its authors: random ones)"]
    vanilla = _plural(start.training.max_epochs, "vanilla epoch")
    if paper.start_weights:
        if start.weights is not None:
            return []
        return [f"trials start from {vanilla} trained here (the paper: {paper.start_weights})"]
    if start.weights is not None:
        return ["trials start from given weights"]
    is_less = start.training.max_epochs < paper.start.max_epochs
    return [f"at most {vanilla} to start"] if is_less else []


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" + "s" * (count != 1)


def evaluation_deviations(evaluation: EvaluationConfig, data: DataConfig) -> list[str]:
    """Return what is measured less thoroughly, or on fewer images, than in the paper, in words."""
    benchmark = data.benchmark.without(evaluation.left_out)
    counts = (
        (data.validation_images, benchmark.held_out, "validation"),
        (data.test_images, benchmark.test_images, "test"),
    )
    deviations = [
        f"{few:,} of {whole:,} {kind} images" for few, whole, kind in counts if few < whole
    ]
    suite = benchmark.suites["test"]
    if suite.left_out:
        deviations.append(f"{suite.mean} (without {', '.join(suite.left_out)})")
    if not evaluation.measures:
        return deviations
    from gon_core.evaluation import measure  # slow: it loads torch

    found = [measure.get(name) for name in evaluation.measures]
    if evaluation.images is not None and evaluation.images < data.test_images:
        measured = ", ".join(each.words for each in found)
        deviations.append(f"{measured} on {evaluation.images:,} of the test images")
    return deviations + [text for each in found for text in each.deviations(evaluation)]
