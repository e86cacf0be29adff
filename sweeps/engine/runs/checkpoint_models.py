"""The checkpoints that are evaluated: found, read, and what the paper says beside them."""

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from torch import nn

from gon_core import architectures, paper
from gon_core.config import (
    Given,
    TrialConfig,
)
from gon_core.models import weights
from gon_core.models.weights import WeightsError
from sweeps.engine.planning import methods, plan
from sweeps.engine.records import MANIFEST, MODEL, OtherFormatError, SweepRecords
from sweeps.engine.records.storage import Folder
from sweeps.engine.runs.checkpoint_options import CheckpointOptions


@dataclass(frozen=True)
class LoadedModel:
    """A checkpoint that was read and fits its architecture.

    Attributes:
        given: what it is.
        model: with its weights.
        source: the file or folder that it was read from.
        trial: how it was trained, where the source is the folder of a trial that has ended.
    """

    given: Given
    model: nn.Module
    source: Path
    trial: TrialConfig | None = None

    @property
    def published_row(self) -> str | None:
        """The row of the paper's Table 6 that it stands beside: by its name, else its training."""
        if self.given.name in _table_6():
            return self.given.name
        if self.trial is None or isinstance(self.trial.method, Given):
            return None
        return methods.published_row(self.trial.method, self.trial.data.benchmark)

    @property
    def deviations(self) -> str:
        """What of its training is smaller than in the paper, in words; empty if nothing is."""
        trial = self.trial
        if trial is None or isinstance(trial.method, Given):
            return ""
        found = plan.training_deviations(trial.data, trial.training, trial.start)
        return ", ".join(
            [*found, *methods.changes(trial.method.variant, trial.method, trial.data.benchmark)]
        )


def load_models(options: CheckpointOptions) -> tuple[list[LoadedModel], list[str]]:
    """Return the checkpoints, and what is wrong with the others, a line each."""
    models, problems = [], []
    for index, path in enumerate(options.checkpoints):
        try:
            refuse_another_version(path)
            file = find_weights(path)
            state = weights.read_state(file)
            architecture = options.architecture or weights.guess_architecture(state) or "madry_cnn"
            refuse_another_kind(architecture, options, file)
            model = weights.build(state, architecture, str(file))
        except WeightsError as error:
            problems.append(f"--checkpoints: {error}")
            continue
        name = options.names[index] if options.names else name_of(path)
        sha256 = weights.digest(state)
        given = Given.model_validate({"name": name, "architecture": architecture, "sha256": sha256})
        models.append(LoadedModel(given, model, path, trial_of(path)))
    names = [loaded.given.name for loaded in models]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        problems.append(f"--names: two checkpoints would be called {', '.join(twice)}: name them")
    return models, problems


def refuse_another_kind(architecture: str, options: CheckpointOptions, file: Path) -> None:
    """Raise WeightsError unless the architecture is for the images that are evaluated on.

    Grey images would go through an ImageNet model, and its answers would mean nothing.
    """
    if (architecture in architectures.OF_IMAGENET) != options.on_imagenet:
        raise WeightsError(f"{file}: a {architecture} is for ImageNet: give --imagenet-c FOLDER")


def refuse_another_version(path: Path) -> None:
    """Raise WeightsError if the sweep of a trial, or of its checkpoint, is of another version.

    What its trial.json says may mean something else there; the weights alone can be evaluated.
    """
    for trial in (path, path.parent.parent):
        if path.is_dir() and (trial / "trial.json").exists():
            try:
                SweepRecords(Folder(str(trial.resolve().parent.parent))).read_sweep()
            except OtherFormatError as error:
                raise WeightsError(f"{path}: {error}; give its {MODEL} alone") from None
            except (OSError, ValueError):  # of a sweep that is damaged: the trial speaks for itself
                pass


def find_weights(path: Path) -> Path:
    """Return the weights' file of a checkpoint; a training checkpoint's must match its manifest.

    Raises:
        WeightsError: a folder without one, or one that is damaged.
    """
    if not path.is_dir():
        return path
    file, manifest = path / MODEL, path / MANIFEST
    if not file.exists():
        raise WeightsError(f"{path}: a folder without {MODEL}: not a trial that has ended")
    if manifest.exists():
        try:
            expected = json.loads(manifest.read_text())["sha256"][MODEL]
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise WeightsError(f"{manifest}: damaged ({error!r})") from error
        if hashlib.sha256(weights.read_bytes(file)).hexdigest() != expected:
            raise WeightsError(f"{file}: damaged, its SHA-256 is not the manifest's")
    return file


def name_of(path: Path) -> str:
    """Return what to call a checkpoint: a trial by its method and id, a file by its name."""
    if not path.is_dir():
        return re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem)[:100] or "checkpoint"
    for folder, suffix in ((path, ""), (path.parent.parent, f"-{path.name}")):
        if (config := trial_of(folder)) is None:
            continue
        return f"{config.method.variant}-{config.trial_id[:6]}{suffix}"
    return re.sub(r"[^A-Za-z0-9._-]+", "-", path.name)[:100] or "checkpoint"


def trial_of(path: Path) -> TrialConfig | None:
    """Return how a model was trained, from the folder of its trial; None for any other path.

    A checkpoint that was taken in the middle of a training stands beside nothing.
    """
    try:
        return TrialConfig.model_validate_json((path / "trial.json").read_bytes())
    except (OSError, ValueError):
        return None


@cache
def _table_6() -> tuple[str, ...]:
    return tuple(row["model"] for row in paper.load("mnist_c_top1").to_pylist())
