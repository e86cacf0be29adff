"""A recorded sweep in Python: ``sweeps.load``."""

import math
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from matplotlib.figure import Figure
from safetensors.torch import load as load_tensors
from torch import nn

from gon_core.models import weights
from gon_core.names import nearest
from sweeps.engine.records import MODEL, SweepRecords, TrialResult
from sweeps.engine.records.storage import Folder
from sweeps.engine.report import drawings, sentences
from sweeps.engine.report.figures.catalogue import Drawing
from sweeps.engine.report.figures.style import in_style
from sweeps.engine.report.summary.aggregate import PointSummary, SweepSummary, summarise
from sweeps.engine.report.summary.estimates import clean_rows, corrupted_rows
from sweeps.engine.report.summary.importance import measure_importances
from sweeps.engine.report.summary.parquet import render_parquet, trial_columns
from sweeps.engine.search.study import Recorded, recorded_study

if TYPE_CHECKING:
    from sweeps.engine.search.study import Study


def load(folder: str) -> "LoadedSweep":
    """Return a sweep that is recorded in a folder, finished or not.

    Args:
        folder: of the sweep: a local path such as ``results/sigma-demo``, or s3://... or gs://...

    Raises:
        FileNotFoundError: the folder holds no sweep.json.
        ValueError: sweep.json or a result is not what it should be.
    """
    records = SweepRecords(Folder(str(folder)))
    return LoadedSweep(records, summarise(records))


class LoadedSweep:
    """What was recorded of a sweep when it was loaded: tables, figures, models, and a study.

    It is never changed, and changes no record.
    """

    def __init__(self, records: SweepRecords, summary: SweepSummary) -> None:
        self._records, self._summary = records, summary

    def __repr__(self) -> str:
        trials, title = len(self._summary.trials), self._summary.description.title
        return f"<sweep {self.name}, {trials} trials: {title}>"

    @property
    def name(self) -> str:
        """The sweep's name."""
        return self._summary.description.name

    @cached_property
    def answer(self) -> tuple[str, ...]:
        """What was found, in sentences, the most important first."""
        importances = measure_importances(self._summary)
        return tuple(sentences.answer(self._summary, importances))

    @cached_property
    def trials(self) -> pd.DataFrame:
        """A row for each trial that ended, by its id.

        Columns: the searched parameters, ``seed``, ``status``, ``method``, ``baseline`` (the name
        of a method that was trained beside the search), ``epochs``, ``objective`` (what the search
        maximises, of validation images), ``seconds_training``, ``seconds_evaluation``, ``device``,
        ``ended``; ``clean`` and ``corrupted``, the mean over corruptions, of test images.
        Accuracies are in percent, and NaN where nothing was measured.
        """
        rows = [
            trial_columns(self._summary, trial)
            | {"clean": _mean(clean_rows(trial)), "corrupted": _mean(corrupted_rows(trial))}
            for trial in self._summary.trials
        ]
        return pd.DataFrame(rows).set_index("trial_id") if rows else pd.DataFrame()

    @property
    def has_failed(self) -> bool:
        """Whether a trial has failed."""
        return any(trial.status == "failed" for trial in self._summary.trials)

    @cached_property
    def measurements(self) -> pd.DataFrame:
        """A row for each measurement of a trial: the columns of results.parquet."""
        return pq.read_table(pa.BufferReader(render_parquet(self._summary))).to_pandas()

    @cached_property
    def history(self) -> pd.DataFrame:
        """A row for each epoch of a trial: ``trial_id``, ``epoch`` and the metrics of training."""
        rows = [
            {"trial_id": trial.trial_id} | metrics
            for trial in self._summary.trials
            for metrics in trial.history
        ]
        return pd.DataFrame(rows)

    @property
    def figures(self) -> tuple[str, ...]:
        """The names of the figures of its report."""
        return tuple(self._drawings)

    @cached_property
    def _drawings(self) -> dict[str, Drawing]:
        importances = measure_importances(self._summary)
        return {each.name: each for each in drawings(self._summary, self._records, importances)}

    def figure(self, name: str) -> Figure:
        """Return a figure of the report; its ``axes`` are matplotlib's, to be changed at will.

        Raises:
            ValueError: there is none of that name.
        """
        if name not in self._drawings:
            legal, hint = ", ".join(self._drawings), nearest(name, self._drawings)
            raise ValueError(f"figure must be one of {legal}, got {name!r} (nearest: {hint})")
        with in_style():
            return self._drawings[name].draw()

    def model(self, trial_id: str) -> nn.Module:
        """Return the final model of a trial, in evaluation mode on the CPU.

        It takes images [batch, channel, height, width] in [0, 1] to logits [batch, class].

        Raises:
            ValueError: there is no such trial, it has no final model, or that is damaged.
        """
        trial = next((t for t in self._summary.trials if t.trial_id == trial_id), None)
        if trial is None:
            raise ValueError(f"no trial {trial_id!r} has ended; see trials.index")
        folder = self._records.trial(trial_id).folder
        source = f"{folder.uri}/{MODEL}"
        if not trial.may_have(MODEL) or not folder.exists(MODEL):
            raise ValueError(f"{source}: no such file; the trial is {trial.status}")
        data, config = trial.config.data.benchmark, trial.config
        state = load_tensors(folder.read(MODEL))
        architecture = config.model or data.model
        return weights.build(state, architecture, source, data.classes, data.image_shape)

    def study(self, storage: str | None = None, name: str | None = None) -> "Study":
        """Return a study of Optuna with every point of the search, for its plots and dashboard.

        A point is one trial of the study; its values are the objectives' means over seeds, and its
        attributes name the sweep's trials. A study that was stored does not follow the sweep.

        Args:
            storage: Optuna's URL of a database, such as ``sqlite:///study.db``; None for memory.
            name: of the study; None for the sweep's.

        Raises:
            ValueError: the storage has a study of that name.
        """
        points = sorted(self._summary.points, key=lambda point: point.number)
        missing = {point for point, _ in self._summary.missing}
        return recorded_study(
            name or self.name,
            self._summary.parameters,
            self._summary.objectives,
            (_recorded(point, point.point in missing) for point in points),
            storage,
        )


def _mean(rows: list[Any]) -> float:
    return sum(row.value for row in rows) / len(rows) if rows else math.nan


def _recorded(point: PointSummary, is_missing: bool) -> Recorded:
    states = {trial.status for trial in point.trials}
    begun, ended = zip(*map(_times, point.trials), strict=True)
    attributes: dict[str, Any] = {
        f"seed {trial.config.seed}": f"{trial.trial_id}, {trial.status}" for trial in point.trials
    }
    if point.test is not None:
        attributes["test accuracy under corruptions (%)"] = round(point.test.mean, 3)
    if point.is_complete:
        state = "COMPLETE"
    elif is_missing:
        state = "RUNNING"
    else:
        state = "FAIL" if "failed" in states else "PRUNED"
    means = point.means if point.is_complete else None
    return Recorded(point.point, state, means, min(begun), max(ended), attributes)


def _times(trial: TrialResult) -> tuple[datetime, datetime]:
    """Return when a trial began and ended, in the local time that Optuna expects."""
    ended = datetime.fromisoformat(trial.ended) if trial.ended else datetime.now().astimezone()
    ended = ended.astimezone().replace(tzinfo=None)
    return ended - timedelta(seconds=sum(trial.seconds.values())), ended
