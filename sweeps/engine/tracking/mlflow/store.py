"""MLflow's side of a sweep: its runs, points and artifacts, each exactly once.

A request whose answer is lost may have been carried out, or may be later. So a store looks first:
when it is opened it reads all runs of the sweep, before it adds points it reads those that are
there. After an error another store is opened, since what this one knew may be wrong. Should one run
have been made twice all the same, the later one is removed.
"""

import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gon_core.config import TrialConfig
from search_spaces.parameter import Point
from sweeps.engine.records import (
    VALIDATION_METRIC,
    SweepDescription,
    SweepRecords,
    TrialResult,
)
from sweeps.engine.system.provenance import redact
from sweeps.engine.tracking.mlflow import notes, points, runs, view
from sweeps.engine.tracking.mlflow.environment import settle_environment
from sweeps.engine.tracking.mlflow.files import Files
from sweeps.engine.tracking.mlflow.points import Epoch
from sweeps.engine.tracking.mlflow.runs import KILLED, PARENT_TAG, RUNNING, KnownRun
from sweeps.engine.tracking.mlflow.sqlite_store import ARTIFACTS, ensure_store
from sweeps.engine.tracking.mlflow.uris import sqlite_path
from sweeps.engine.tracking.protocol import ANSWER, FIGURE, Artifacts

if TYPE_CHECKING:
    from mlflow.entities import Run as RecordedRun

    from sweeps.engine.trials.machine_load import Sample

PARENT = ""  # its key among the runs, whose others are trial ids
RUNS_PER_REQUEST = 1000
PARAMETERS_PER_REQUEST = 100
LONGEST_TAG = 5000  # that every server takes whole
MODEL_TAG = "logged_model"  # says that --log-models has done its work


class DeletedError(RuntimeError):
    """Somebody deleted the experiment of the sweep; says how to restore it."""


class Store:
    """MLflow, as far as a sweep needs it; see ``Outbox`` for the arguments.

    Every call may raise whatever MLflow raises.
    """

    def __init__(
        self,
        uri: str,
        description: SweepDescription,
        records: SweepRecords,
        artifacts: Artifacts | None = None,
        logs_models: bool = False,
    ) -> None:
        settle_environment()
        from mlflow import MlflowClient  # slow: seconds, in the tracking thread

        for name in ("mlflow", "alembic"):  # the caller reports errors
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._uri, self._description, self._records = uri, description, records
        self._folder, self._logs_models = redact(records.folder.uri), logs_models
        # Folders move, and several sweeps have one name. A path is never part of a query.
        self._id = description.id or hashlib.sha256(self._folder.encode()).hexdigest()[:16]
        if (path := sqlite_path(uri)) is not None:
            ensure_store(path)
        self._client = MlflowClient(uri)
        self._files = Files(self._client, records, artifacts, logs_models)
        self._experiment = self._ensure_experiment(path)
        self._save_view()
        self._runs = self._find_runs()
        self._numbers: dict[Point, int] | None = None  # of a joint search's points; None: not read
        self._parent = self._runs.get(PARENT) or self._create(PARENT, description.name, {})
        for key, run in self._runs.items():
            if key != PARENT:  # of a parent that was made twice, or deleted in the UI
                self._tag(run, {PARENT_TAG: self._parent.id})

    def _ensure_experiment(self, path: Path | None) -> str:
        from mlflow.exceptions import MlflowException

        name = f"gon/{self._description.experiment}"
        if (found := self._client.get_experiment_by_name(name)) is not None:
            if found.lifecycle_stage == "deleted":
                number = found.experiment_id
                raise DeletedError(
                    f"experiment {name} was deleted there; restore it with: uv run mlflow "
                    f"experiments restore --experiment-id {number}, with MLFLOW_TRACKING_URI set"
                )
            return found.experiment_id
        location = None
        if path is not None:
            location = (path.parent / ARTIFACTS / name).absolute().as_uri()
        kind = {"mlflow.experimentKind": "custom_model_development"}  # the UI's training side
        try:
            return self._client.create_experiment(name, artifact_location=location, tags=kind)
        except MlflowException:
            # Another process may have made it in between; names are unique.
            if (found := self._client.get_experiment_by_name(name)) is None:
                raise
            return found.experiment_id

    def _save_view(self) -> None:
        """Keep the comparison of this sweep, unless it is there: somebody may have changed it."""
        name, text = view.saved_view(self._description, self._id)
        if name not in self._client.get_experiment(self._experiment).tags:
            self._client.set_experiment_tag(self._experiment, name, text)

    def _find_runs(self) -> dict[str, KnownRun]:
        """Return the sweep's runs, the parent's and by trial id; remove those made twice."""
        query = f"tags.sweep_id = '{self._id}'"
        found: dict[str, KnownRun] = {}
        twice: list[str] = []
        for run in self._search(query):
            is_parent = run.data.tags.get("kind") == "sweep"
            key = PARENT if is_parent else run.data.tags.get("trial")
            if key in found:  # the first one is kept: what it lacks is sent again
                twice.append(run.info.run_id)
            elif key is not None:
                found[key] = known = runs.known_run(run)
                if self._logs_models and MODEL_TAG not in known.tags:
                    known.tags.pop("status", None)  # it lacks a part
                known.forget()
        for run_id in twice:  # only now: it would shift the pages of the search
            self._client.set_terminated(run_id, KILLED)
            self._client.delete_run(run_id)
        return found

    @property
    def link(self) -> str:
        """To the comparison of the sweep's runs in the UI."""
        return view.link(self._uri, self._experiment, self._id)

    @property
    def complete(self) -> set[str]:
        """The trials that ended for good and of which MLflow holds everything."""
        return {trial_id for trial_id, run in self._runs.items() if run.is_complete}

    def _search(self, query: str) -> "Iterator[RecordedRun]":
        token = None
        while True:
            page = self._client.search_runs(
                [self._experiment], query, max_results=RUNS_PER_REQUEST,
                order_by=["attributes.start_time ASC"], page_token=token,
            )  # fmt: skip
            yield from page
            if not (token := page.token):
                return

    def _create(
        self, key: str, name: str, tags: dict[str, str], started: int | None = None
    ) -> KnownRun:
        description = self._description
        sha = str(description.code.get("git_sha", "unknown"))
        tags = {
            "sweep": description.name,
            "sweep_id": self._id,
            "sweep_folder": self._folder,
            "git_sha": sha,
            "mlflow.source.git.commit": sha,
            "mlflow.source.name": f"sweeps.{description.experiment}",
            "data_digest": description.data_digest,
            "kind": "trial" if key else "sweep",
        } | tags
        run = self._client.create_run(self._experiment, started, tags, name)
        self._runs[key] = KnownRun(run.info.run_id, RUNNING, tags, {}, {}, set())
        return self._runs[key]

    def begin_sweep(self) -> None:
        """Set the parent run to running, also that of a sweep that is resumed."""
        self._describe()
        self._set_running(self._parent)
        self._tag_stop()

    def _describe(self, answer: str = "", image: str = "") -> None:
        """Log what the sweep's run says of all of it, at its start and at its end."""
        description = self._records.read_sweep() or self._description
        pages = view.pages_of(self._experiment, self._id, self._parent.id) if answer else None
        note = notes.of_sweep(description, self._records, answer, image, pages)
        self._log_parameters(self._parent, notes.settings(description))
        tags = {"sweep_folder": self._folder, notes.NOTE: note}
        self._tag(self._parent, notes.growing_settings(description) | tags)

    def _set_running(self, run: KnownRun) -> None:
        if run.status != RUNNING:
            self._client.update_run(run.id, status=RUNNING)
            run.status = RUNNING

    def _tag_stop(self) -> None:
        """Tag the parent run with the budget that stopped the sweep; a larger one removes it."""
        if (stop := self._records.usage.stopped()) is not None:
            self._tag(self._parent, {runs.STOPPED_BY: stop.budget})
        elif self._parent.tags.pop(runs.STOPPED_BY, None) is not None:
            self._client.delete_tag(self._parent.id, runs.STOPPED_BY)

    def begin(self, config: TrialConfig) -> None:
        """Set the run of a trial to running, also that of one that was interrupted."""
        run = self._child(config)
        self._set_running(run)
        self._tag(run, {"status": "running"})

    def _child(self, config: TrialConfig, epochs: Sequence[Epoch] = ()) -> KnownRun:
        """Return the run of a trial, made if there is none, with all parameters."""
        run = self._runs.get(config.trial_id)
        if run is None:
            tags = {
                "trial": config.trial_id, "seed": str(config.seed), "status": "running",
                PARENT_TAG: self._parent.id,
            }  # fmt: skip
            started = epochs[0].time if epochs else None
            run = self._create(config.trial_id, self._name(config), tags, started)
        elif run.is_complete:  # and is run again: its record was lost
            run = self._runs[config.trial_id] = runs.known_run(self._client.get_run(run.id))
        self._log_parameters(run, points.parameters_of(config))
        if not run.has_images:
            images = notes.images_of(config, self._description.data_digest)
            self._client.log_inputs(run.id, datasets=images)
            run.has_images = True
        return run

    def _log_parameters(self, run: KnownRun, parameters: Mapping[str, str]) -> None:
        """Log those that are not there: MLflow refuses another value of one that is."""
        from mlflow.entities import Param

        missing = {key: text for key, text in parameters.items() if key not in run.parameters}
        params = [Param(key, text) for key, text in missing.items()]
        for first in range(0, len(params), PARAMETERS_PER_REQUEST):
            some = params[first : first + PARAMETERS_PER_REQUEST]
            self._client.log_batch(run.id, params=some)
        run.parameters |= missing

    def _name(self, config: TrialConfig) -> str:
        description, number = self._description, None
        if description.search == "joint":
            if self._numbers is None:
                self._numbers = description.numbers(self._records.trials().values())
            # Later ones come in the order of the search.
            number = self._numbers.setdefault(description.point_of(config), len(self._numbers) + 1)
        return description.trial_name(config, number)

    def log_epochs(self, config: TrialConfig, epochs: Sequence[Epoch]) -> None:
        """Log the metrics of epochs that are not there yet, with the epoch as step.

        A trial that is resumed reports its first epochs again.
        """
        run = self._child(config, epochs)
        if run.epochs is None:
            run.epochs = set(self._steps(run, VALIDATION_METRIC))
        missing = {epoch.number: epoch for epoch in epochs if epoch.number not in run.epochs}
        metrics = [point for epoch in missing.values() for point in points.of_epoch(epoch)]
        self._client.log_batch(run.id, metrics=metrics)
        run.epochs |= missing.keys()

    def log_samples(
        self, config: TrialConfig, samples: "Iterable[Sample]", epochs: Sequence[Epoch]
    ) -> None:
        """Log how busy a trial's machine was; ``epochs`` say when the trial began."""
        if found := [p for each in samples for p in points.of_sample(each, self._description)]:
            self._client.log_batch(self._child(config, epochs).id, metrics=found)

    def finish(self, result: TrialResult, epochs: Sequence[Epoch]) -> None:
        """Log what is missing of an ended trial and its epochs, and end its run."""
        before = self._runs.get(result.trial_id)
        if before is not None and before.is_complete and before.tags["status"] == result.status:
            return
        run = self._child(result.config, epochs)
        self.log_epochs(result.config, epochs)
        ended = points.end_of(result)
        metrics = points.final_metrics(result)
        self._log_changed(run, metrics, len(result.history), ended)
        self._tag(run, {notes.NOTE: notes.of_trial(self._name(result.config), result, metrics)})
        self._end(run, runs.RUN_STATUS[result.status], ended)
        # Last, the artifacts: their store may be broken while that of the runs is not.
        self._files.log_trial(run.id, result)
        if result.reused_from:
            self._tag(run, {"reused_from": result.reused_from})
        if self._logs_models:
            self._tag(run, {MODEL_TAG: "yes"})
        self._tag(run, {"status": result.status})  # at the end: it says that everything is there
        run.forget()

    def interrupt(self, config: TrialConfig, epochs: Sequence[Epoch], time: int) -> None:
        """Log what is missing of a trial that did not end, and end its run, at ``time`` in ms.

        A trial that is resumed continues in the same run.
        """
        run = self._child(config, epochs)
        self.log_epochs(config, epochs)
        if run.tags.get("status") != runs.INTERRUPTED or run.status == RUNNING:
            self._end(run, KILLED, time)
            self._client.log_dict(run.id, config.model_dump(mode="json"), "config.json")
            self._tag(run, {"status": runs.INTERRUPTED})

    def finish_sweep(
        self, summary: dict[str, str], failed: bool, interrupted: bool, time: int
    ) -> None:
        """Log the sweep's answer and its report, and end the parent run; see ``Tracker.close``."""
        summary = dict(summary)
        answer, figure = summary.pop(ANSWER, ""), summary.pop(FIGURE, "")
        self._tag(self._parent, summary)  # as metrics they would fill the charts of the trials
        status = KILLED if interrupted else "FAILED" if failed else "FINISHED"
        self._tag_stop()
        self._end(self._parent, status, time)
        description = self._records.read_sweep() or self._description
        self._client.log_dict(self._parent.id, description.model_dump(mode="json"), "sweep.json")
        report = self._records.folder / "report"
        files = {name: report.read(name) for name in report.names()}
        self._files.log(self._parent.id, files, notes.REPORT)
        picture = f"{figure}.svg"  # the UI shows it at its own size, a PNG larger than the page
        image = notes.image_address(self._parent.id, f"{notes.REPORT}/{picture}")
        self._describe(answer, image if picture in files else "")

    def _log_changed(self, run: KnownRun, metrics: dict[str, float], step: int, time: int) -> None:
        """Log the metrics that are not there with the same value; a new one comes a step later."""
        changed = {
            name: value
            for name, value in points.loggable(metrics).items()
            if not points.same(run.metrics.get(name), value)
        }
        if not changed:
            return
        if before := changed.keys() & run.metrics.keys():
            step = max([step, *(1 + at for name in before for at in self._steps(run, name))])
        self._client.log_batch(run.id, metrics=points.to_points(changed, time, step))
        run.metrics |= changed

    def _steps(self, run: KnownRun, name: str) -> list[int]:
        if name not in run.metrics:
            return []
        return [metric.step for metric in self._client.get_metric_history(run.id, name)]

    def _tag(self, run: KnownRun, tags: dict[str, str]) -> None:
        from mlflow.entities import RunTag

        short = {name: text[:LONGEST_TAG] for name, text in tags.items()}
        changed = {name: text for name, text in short.items() if run.tags.get(name) != text}
        if changed:
            self._client.log_batch(run.id, tags=[RunTag(*each) for each in changed.items()])
            run.tags |= changed

    def _end(self, run: KnownRun, status: str, time: int) -> None:
        self._client.set_terminated(run.id, status, time)
        run.status = status
