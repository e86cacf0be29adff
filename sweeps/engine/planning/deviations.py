"""What is smaller than in the paper, or in a benchmark's own recipe, in words."""

from gon_core.config import DataConfig, EvaluationConfig, StartConfig, TrainingConfig


def training_deviations(
    data: DataConfig, training: TrainingConfig, start: StartConfig | None,
    searches_models: bool = False,
) -> list[str]:  # fmt: skip
    """Return how trials are trained less, or otherwise, than in the paper, in words."""
    paper, source, deviations = data.benchmark.scales["paper"], data.benchmark.recipe, []
    available = data.benchmark.pool
    if data.training_images is not None and data.training_images < available:
        deviations.append(f"{data.training_images:,} of {available:,} training images")
    if training.max_epochs < paper.training.max_epochs:
        epochs = _plural(training.max_epochs, "epoch")
        whole = f"{paper.training.max_epochs}"
        if not paper.training.is_scheduled:
            whole = f"until convergence, {paper.usual_epochs}"
        deviations.append(f"at most {epochs} a trial ({source}: {whole})")
    if (rate := training.learning_rate) != paper.training.learning_rate:
        deviations.append(f"learning rate {rate:g} ({source}: {paper.training.learning_rate:g})")
    for name in ("batch_size", "decays"):
        ours, theirs = getattr(training, name), getattr(paper.training, name)
        if ours != theirs and not training.is_scheduled:
            deviations.append(f"{name.replace('_', ' ')} {ours} ({source}: {theirs})")
    network = paper.model or data.benchmark.model
    if start is not None and start.model != network and not searches_models:
        deviations.append(f"model {start.model} ({source}: {network})")
    if start is not None and start.weights is not None:
        deviations.append("trials start from given weights")
    elif start is not None and start.training.max_epochs < paper.start.max_epochs:
        deviations.append(f"at most {_plural(start.training.max_epochs, 'vanilla epoch')} to start")
    return deviations


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
