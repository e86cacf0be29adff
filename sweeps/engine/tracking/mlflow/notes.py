"""What the MLflow UI says in words of a sweep and of each trial, and which settings it lists."""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from gon_core.config import (
    DataConfig,
    EvaluationConfig,
    StartConfig,
    TrainingConfig,
    TrialConfig,
    whole,
)
from sweeps.engine.records import SweepDescription, SweepRecords, TrialResult
from sweeps.engine.system.text import plural
from sweeps.engine.tracking.mlflow.points import CLEAN_METRIC, corrupted_mean

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

NOTE = "mlflow.note.content"  # Markdown, above everything else of a run
REPORT = "report"  # the folder of artifacts
LONGEST_DIGEST = 36  # that MLflow takes
GROWING = ("grid", "seeds", "proposals", "baselines", "trials")
"""Settings that a resumed sweep may add to: tags, since a parameter of MLflow never changes."""
KINDS = {
    "data": DataConfig, "start": StartConfig, "training": TrainingConfig,
    "evaluation": EvaluationConfig,
}  # fmt: skip


def settings(description: SweepDescription) -> dict[str, str]:
    """Return all settings of a sweep that stay as they are, by dotted name."""
    config = {key: each for key, each in description.config.items() if key not in GROWING}
    for trial in description.config.get("trials", [])[:1]:  # given weights: what all have
        config |= {key: each for key, each in trial.items() if key not in ("method", "seed")}
    for key, kind in KINDS.items():  # a record leaves out what has its default
        if config.get(key) is not None:
            config[key] = whole(kind.model_validate(config[key]))
    facts = {
        "scale": description.scale, "search": description.search,
        "searched": " ".join(parameter.name for parameter in description.parameters),
        "objectives": description.objectives, "deviations": description.deviations,
        **{f"packages.{name}": version for name, version in description.packages.items()},
    }  # fmt: skip
    return {name: _text(value) for name, value in _leaves(config | facts)}


def growing_settings(description: SweepDescription) -> dict[str, str]:
    """Return the settings that change when a sweep grows."""
    points = [" ".join(map(str, point)) for point in description.points]
    return {
        "seeds": " ".join(map(str, description.seeds)), "points": ", ".join(points),
        "proposals": str(description.proposals),
    }  # fmt: skip


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        yield path, value
        return
    for name, each in value.items():
        yield from _leaves(each, f"{path}.{name}" if path else name)


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def of_sweep(
    description: SweepDescription, records: SweepRecords, answer: str = "", image: str = "",
    pages: Mapping[str, str] | None = None,
) -> str:  # fmt: skip
    """Return the question, the answer, its figure, and the command that repeats the sweep.

    Args:
        description: what ``sweep.json`` says.
        records: of the sweep.
        answer: in words; empty while it is not known.
        image: address of the figure, see ``image_address``; empty for none.
        pages: addresses by name, that are linked below the answer.
    """
    command = description.command
    if command:
        command = records.command_here(command, description.name)
    parts = [
        f"**{description.title}**",
        answer or "It has not ended yet.",
        f"![what was found]({image})" if image else "",
        ", ".join(f"[{name}]({address})" for name, address in (pages or {}).items()),
        f"Repeat or resume it:\n\n```sh\n{command}\n```" if command else "",
    ]
    return "\n\n".join(part for part in parts if part)


def image_address(run_id: str, path: str) -> str:
    """Return where the UI finds an artifact, from its own address on."""
    return f"get-artifact?{urlencode({'path': path, 'run_uuid': run_id})}"


def of_trial(name: str, result: TrialResult, metrics: Mapping[str, float]) -> str:
    """Return a trial in one line: what it is, how it ended, and its accuracies.

    Args:
        name: what a person calls it.
        result: of the trial.
        metrics: of its final model, see ``points.final_metrics``.
    """
    benchmark = result.config.data.benchmark
    suite = benchmark.suites["test"]
    ended = "given weights" if result.status == "evaluated" else result.status.replace("_", " ")
    if result.history:
        ended += f" after {plural(len(result.history), 'epoch')}"
    found = {suite.title: metrics.get(corrupted_mean(suite)), "clean": metrics.get(CLEAN_METRIC)}
    accuracies = [f"{title} {value:.1f} %" for title, value in found.items() if value is not None]
    line = f"{result.config.method.variant} on {benchmark.title}, {name}: {ended}"
    return "; ".join([line, *accuracies])


def images_of(config: TrialConfig, digest: str) -> "list[DatasetInput]":
    """Return the images that a trial is trained on and tested on, as MLflow lists them.

    Args:
        config: of the trial.
        digest: SHA-256 of the data set; "" where it is not known, as of a folder that is gone.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    data, benchmark = config.data, config.data.benchmark
    counts = {"training": data.images_of_an_epoch, "test": data.test_images}
    if config.model is None:  # given weights
        del counts["training"]
    source = json.dumps({"benchmark": data.dataset, "sha256": digest})
    return [
        DatasetInput(
            Dataset(
                name=f"{benchmark.title} {part}",
                # The same files are another data set where another number of images is taken.
                digest=f"{digest[:24] or 'unknown'}-{count}"[:LONGEST_DIGEST],
                source_type="gon_core.benchmarks",
                source=source,
                profile=json.dumps({"num_rows": count}),
            ),
            [InputTag("mlflow.data.context", part)],
        )
        for part, count in counts.items()
    ]
