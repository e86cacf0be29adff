"""What is smaller than in the paper, or in a benchmark's own recipe, in words."""

from gon_core.config import DataConfig, EvaluationConfig, StartConfig, TrainingConfig
from search_spaces.backbones import MODEL
from sweeps.engine.planning.spec import SweepSpec


def training_deviations(
    data: DataConfig, training: TrainingConfig, start: StartConfig | None,
    spec: SweepSpec | None = None,
) -> list[str]:  # fmt: skip
    """Return how trials are trained less, or otherwise, than in the paper, in words.

    What a sweep searches deviates by intention. A user's own function has no learning rate that
    is known here; the methods beside it have.

    Args:
        data: of all trials.
        training: of all trials, but for what is searched.
        start: what they start from.
        spec: what the sweep searches; None of a single trial.
    """
    varied, whose = set(), ""
    if spec is not None and spec.function is None:
        varied = {parameter.name for parameter in spec.space}
    elif spec is not None:
        varied = set() if spec.baselines else {"learning_rate", "decays"}
        whose = f" of {', '.join(spec.baselines)}"
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
    for name in ("learning_rate", "batch_size", "decays"):
        ours, theirs = getattr(training, name), getattr(paper.training, name)
        is_fixed = name == "learning_rate" or not training.is_scheduled
        if ours != theirs and is_fixed and name not in varied:
            of = whose if name != "batch_size" else ""  # which `OwnTrial.batches` has
            deviations.append(f"{name.replace('_', ' ')} {ours:g}{of} ({source}: {theirs:g})")
    network = paper.model or data.benchmark.model
    if start is not None and start.model != network and MODEL not in varied:
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
