"""The only door to MLflow: a view of the records, filled while trials run, never on their path.

One thread takes events from an outbox and tells MLflow; a slow or absent server costs the sweep
nothing. What was missed is sent when the sweep ends, or later by
``python -m sweeps.engine.tracking replay <sweep folder>``: both compare MLflow with the records and
add what is not there, so that doing it twice changes nothing.

Experiment ``gon/<question>``; one parent run per sweep; one child run per trial, exactly one.
"""

import contextlib
import fcntl
import json
import logging
import math
import os
import queue
import shlex
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gon_core.config import Given, TrialConfig
from gon_core.rows import CLEAN
from sweeps.engine.provenance import redact
from sweeps.engine.records import NOISE, SweepRecords, TrialResult
from sweeps.engine.storage import Folder

DRAIN_SECONDS = 60  # how long the end of a sweep waits for MLflow before leaving it to a replay
# A sweep must not find itself in an experiment or run that the surrounding shell had in mind.
SCRUBBED = (
    "MLFLOW_EXPERIMENT_ID",
    "MLFLOW_EXPERIMENT_NAME",
    "MLFLOW_RUN_ID",
    "MLFLOW_TRACKING_URI",
)
RUN_STATUS = {
    "converged": "FINISHED",
    "max_epochs": "FINISHED",
    "pruned": "KILLED",
    "diverged": "FAILED",
    "failed": "FAILED",
    "evaluated": "FINISHED",
}

log = logging.getLogger(__name__)


def default_uri(storage: str) -> str:
    """Return the store beside the sweeps: sqlite, in ``storage`` or, if that is remote, here."""
    folder = Path("results") if "://" in storage else Path(storage)
    return f"sqlite:///{folder.expanduser().absolute() / 'mlflow.db'}"


def ui_command(uri: str) -> str:
    """Return the command that opens the MLflow UI, on loopback; without any password."""
    store = shlex.quote(redact(uri))
    return f"uv run mlflow ui --backend-store-uri {store} --host 127.0.0.1 --port 5000"


class Store:
    """MLflow, as far as a sweep needs it. Every call may raise whatever MLflow raises.

    Args:
        uri: tracking URI.
        description: what ``sweep.json`` says.
        records: of the sweep, for artifacts.
    """

    def __init__(self, uri: str, description: dict[str, Any], records: SweepRecords) -> None:
        for name in SCRUBBED:
            os.environ.pop(name, None)
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        from mlflow import MlflowClient  # slow: three seconds, in the tracking thread

        logging.getLogger("alembic").setLevel(logging.WARNING)
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        self._description = description
        self._records = records
        self._children: dict[str, str] = {}
        self._epochs: dict[str, set[int]] = {}
        with _creation_lock(uri):
            self._client = MlflowClient(uri)
            self._experiment = self._ensure_experiment(uri)
        self.parent = self._ensure_run(None, description["name"], {})

    def _ensure_experiment(self, uri: str) -> str:
        name = f"gon/{self._description['question']}"
        if (found := self._client.get_experiment_by_name(name)) is not None:
            return found.experiment_id
        location = None
        if (path := _sqlite_path(uri)) is not None:
            location = (path.parent / "mlartifacts" / name).absolute().as_uri()
        kind = {"mlflow.experimentKind": "custom_model_development"}  # the UI's training side
        return self._client.create_experiment(name, artifact_location=location, tags=kind)

    def _ensure_run(self, trial: TrialConfig | None, name: str, parameters: dict[str, Any]) -> str:
        tags = {
            "sweep": self._description["name"],
            "sweep_folder": self._records.folder.uri,
            "git_sha": self._description["code"]["git_sha"],
            "mlflow.source.git.commit": self._description["code"]["git_sha"],
            "mlflow.source.name": f"sweeps.{self._description['question']}",
            "data_digest": self._description["data_digest"],
            "kind": "sweep" if trial is None else "trial",
        }
        # The folder alone tells two sweeps of one name apart.
        wanted = {key: tags[key] for key in ("kind", "sweep", "sweep_folder")}
        if trial is not None:
            wanted["trial"] = trial.trial_id
            tags |= {"trial": trial.trial_id, "seed": str(trial.seed), "status": "running"}
            tags["mlflow.parentRunId"] = self.parent
        query = " and ".join(f"tags.{key} = {_quoted(value)}" for key, value in wanted.items())
        found = self._client.search_runs([self._experiment], query, max_results=1)
        if found:
            return found[0].info.run_id
        run = self._client.create_run(self._experiment, tags=tags, run_name=name).info.run_id
        for key, value in parameters.items():
            self._client.log_param(run, key, value)
        return run

    def begin_sweep(self) -> None:
        """Let the parent run be running, also that of a sweep that is carried on."""
        self._revive(self.parent)

    def child(self, config: TrialConfig) -> str:
        """Return the run of a trial, made if there is none; its configuration is an artifact."""
        if config.trial_id not in self._children:
            name = f"{self._named(config)} seed={config.seed}"
            parameters = config.method.model_dump()
            if not isinstance(config.method, Given):  # whose training is not ours to tell
                parameters |= config.training.model_dump()
            parameters |= {"seed": config.seed, "dataset": config.data.dataset}
            run = self._ensure_run(config, name, parameters)
            if not self._client.list_artifacts(run):
                self._client.log_dict(run, config.model_dump(mode="json"), "config.json")
            self._children[config.trial_id] = run
        return self._children[config.trial_id]

    def _named(self, config: TrialConfig) -> str:
        fields = config.method.model_dump(mode="json")
        for name, baseline in (self._description.get("baselines") or {}).items():
            if fields == baseline:
                return f"baseline {name}"
        searched = [parameter["name"] for parameter in self._description["parameters"]]
        return " ".join(f"{name}={getattr(config.method, name)}" for name in searched)

    def begin(self, config: TrialConfig) -> None:
        """Make the run of a trial that runs now; one that was interrupted runs again."""
        self._revive(self.child(config))

    def _revive(self, run: str) -> None:
        if self._client.get_run(run).info.status != "RUNNING":
            self._client.update_run(run, status="RUNNING")

    def log_epoch(self, config: TrialConfig, metrics: dict[str, float]) -> None:
        """Log one epoch's metrics, with the epoch as step."""
        run, epoch = self.child(config), int(metrics["epoch"])
        if epoch not in self._known_epochs(run):  # a trial carried on tells its first epochs again
            self._log(run, metrics, epoch)
            self._epochs[run].add(epoch)

    def finish(self, result: TrialResult) -> None:
        """Log what is missing of an ended trial, and end its run."""
        run = self.child(result.config)
        recorded = self._client.get_run(run)
        if recorded.data.tags.get("status") == result.status and recorded.info.status != "RUNNING":
            return
        for metrics in result.history:
            self.log_epoch(result.config, metrics)
        self._log(run, final_metrics(result), len(result.history))
        self._log_learned_noise(run, result)
        if result.reason:
            self._client.log_text(run, result.reason, "reason.txt")
        self._client.set_tag(run, "status", result.status)
        self._client.set_terminated(run, RUN_STATUS[result.status])

    def _log_learned_noise(self, run: str, result: TrialResult) -> None:
        folder = self._records.trial(result.trial_id).folder
        if not folder.exists(NOISE):
            return
        from sweeps.engine.report.learned_noise import render_trial

        with tempfile.TemporaryDirectory() as target:
            for name, content in render_trial(result, folder.read(NOISE)).items():
                (Path(target) / name).write_bytes(content)
            self._client.log_artifacts(run, target, "learned_noise")

    def _known_epochs(self, run: str) -> set[int]:
        if run not in self._epochs:
            history = self._client.get_metric_history(run, "train_loss")
            self._epochs[run] = {metric.step for metric in history}
        return self._epochs[run]

    def interrupt(self, config: TrialConfig) -> None:
        """End the run of a trial that was interrupted; carrying it on goes on in the same run."""
        run = self.child(config)
        self._client.set_tag(run, "status", "interrupted")
        self._client.set_terminated(run, "KILLED")

    def finish_sweep(self, summary: dict[str, float], failed: bool, interrupted: bool) -> None:
        """Log the sweep's answer and its report, and end the parent run."""
        self._log(self.parent, summary, 0)
        report = self._records.folder / "report"
        with tempfile.TemporaryDirectory() as folder:
            for name in report.names():
                (Path(folder) / name).write_bytes(report.read(name))
            if any(Path(folder).iterdir()):
                self._client.log_artifacts(self.parent, folder, "report")
        self._client.log_dict(self.parent, self._description, "sweep.json")
        status = "KILLED" if interrupted else "FAILED" if failed else "FINISHED"
        self._client.set_terminated(self.parent, status)

    def _log(self, run: str, metrics: dict[str, float], step: int) -> None:
        from mlflow.entities import Metric

        stamp = int(time.time() * 1000)
        batch = [
            Metric(name, value, stamp, step)
            for name, value in metrics.items()
            if name != "epoch" and not math.isinf(value)  # MLflow stores infinity as 1.8e308
        ]
        self._client.log_batch(run, metrics=batch)


def final_metrics(result: TrialResult) -> dict[str, float]:
    """Return the figures of a trial's final model by MLflow name: accuracies in percent, sizes."""
    metrics: dict[str, float] = {}
    name = "imagenet_c" if result.config.data.dataset == "imagenet_c" else "mnist_c"
    for split, prefix in (("test", ""), ("validation", "validation/")):
        rows = [row for row in result.rows if row.split == split]
        corrupted = [row for row in rows if row.corruption != CLEAN]
        means = {  # over severities, of which MNIST-C has one
            corruption: statistics.fmean(r.top1 for r in corrupted if r.corruption == corruption)
            for corruption in dict.fromkeys(row.corruption for row in corrupted)
        }
        metrics |= {f"{prefix}{name}/{corruption}": value for corruption, value in means.items()}
        metrics |= {f"{prefix}clean/top1": row.top1 for row in rows if row.corruption == CLEAN}
        if corrupted:
            mean = sum(row.top1 for row in corrupted) / len(corrupted)
            metrics[f"{prefix}{name}/mean"] = mean
        metrics |= {
            f"{prefix}clean/top5": row.top5
            for row in rows
            if row.corruption == CLEAN and row.top5 is not None
        }
    for severity in sorted({row.severity for row in result.severity_rows}):
        top1 = [row.top1 for row in result.severity_rows if row.severity == severity]
        metrics[f"mnist_c_severities/{severity}/mean"] = sum(top1) / len(top1)
    metrics |= {f"attack/{row.attack}_{row.norm}_{row.size:g}": row.top1 for row in result.attacks}
    metrics |= {f"epsilon_star/{row.noise}": row.median for row in result.perturbation_sizes}
    return metrics | {f"seconds/{part}": seconds for part, seconds in result.seconds.items()}


class Tracker:
    """Listens to trials and passes everything on to MLflow from a thread of its own."""

    def __init__(self, uri: str, description: dict[str, Any], records: SweepRecords) -> None:
        self._uri = uri
        self._description = description
        self._records = records
        self._outbox: queue.SimpleQueue[Callable[[Store], object] | None] = queue.SimpleQueue()
        self._store: Store | None = None
        self._problem: Exception | None = None
        self._running: dict[str, TrialConfig] = {}
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)
        self._thread.start()

    def started(self, config: TrialConfig) -> None:
        """Listen: make the trial's run."""
        self._running[config.trial_id] = config
        self._outbox.put(lambda store: store.begin(config))

    def reported(self, config: TrialConfig, metrics: dict[str, float]) -> None:
        """Listen: log the epoch."""
        self._outbox.put(lambda store: store.log_epoch(config, metrics))

    def ended(self, result: TrialResult) -> None:
        """Listen: log the final metrics and end the run."""
        self._running.pop(result.trial_id, None)
        self._outbox.put(lambda store: store.finish(result))

    def close(self, summary: dict[str, float], failed: bool, interrupted: bool) -> str:
        """Send what MLflow has missed, end all runs, and wait for it, but not for ever.

        Returns:
            "" if MLflow holds everything, else why not, with the command that makes up for it.
        """
        for config in self._running.values():
            self._outbox.put(lambda store, config=config: store.interrupt(config))
        results = self._records.results()

        def complete(store: Store) -> None:
            for result in results:
                store.finish(result)
            store.finish_sweep(summary, failed, interrupted)

        self._outbox.put(complete)  # whatever failed before is sent again, so its outcome counts
        self._outbox.put(None)
        self._thread.join(DRAIN_SECONDS)
        if not self._thread.is_alive() and self._problem is None:
            return ""
        reason = self._problem or f"no answer within {DRAIN_SECONDS} s"
        folder = self._records.folder.uri
        return (
            f"MLflow misses a part ({redact(str(reason)).splitlines()[0]}); nothing is lost, "
            f"send it with:\n  uv run python -m sweeps.engine.tracking replay {folder}"
        )

    def _work(self) -> None:
        while (send := self._outbox.get()) is not None:
            try:
                if self._store is None:
                    self._store = Store(self._uri, self._description, self._records)
                    self._store.begin_sweep()
                send(self._store)
                self._problem = None
            except Exception as error:  # the records hold it; close() or a replay sends it again
                log.debug("MLflow: %s", error)
                self._problem = error


def replay(records: SweepRecords, uri: str) -> int:
    """Bring MLflow up to the records of a sweep; return how many trials it now holds."""
    description = records.read_sweep()
    if description is None:
        raise ValueError(f"{records.folder.uri} holds no sweep.json")
    store = Store(uri, description, records)
    results = records.results()
    for result in results:
        store.finish(result)
    failed = any(result.status == "failed" for result in results)
    points = [*description.get("grid", []), *description.get("baselines", {})]
    planned = len(points) * len(description.get("seeds", []))
    begun = len(records.trials())
    from sweeps.engine.report.aggregate import headline, summarise  # slow: it loads torch

    summary = headline(summarise(records))
    store.finish_sweep(summary, failed, interrupted=len(results) < max(planned, begun))
    return len(results)


def _quoted(value: str) -> str:
    # MLflow's filters know no escapes: a folder's name may hold either quote, hardly both.
    return f'"{value}"' if "'" in value else f"'{value}'"


def _sqlite_path(uri: str) -> Path | None:
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


@contextlib.contextmanager
def _creation_lock(uri: str) -> Iterator[None]:
    """Let one process at a time create a sqlite store: several at once break it for ever."""
    path = _sqlite_path(uri)
    if path is None:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{path}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main(arguments: list[str]) -> int:
    """Run ``replay <sweep folder> [tracking uri]``."""
    if len(arguments) not in (2, 3) or arguments[0] != "replay":
        print(
            "usage: python -m sweeps.engine.tracking replay <sweep folder> [tracking uri]",
            file=sys.stderr,
        )
        return 2
    records = SweepRecords(Folder(arguments[1]))
    try:
        description = records.read_sweep()
    except (OSError, ValueError, json.JSONDecodeError) as error:
        print(f"{arguments[1]}: sweep.json cannot be read ({error})", file=sys.stderr)
        return 2
    if description is None:
        print(f"{arguments[1]}: no sweep there (sweep.json is missing)", file=sys.stderr)
        return 2
    uri = arguments[2] if len(arguments) == 3 else description["tracking_uri"]
    if ":***@" in uri:
        print(f"{uri}: the password is not recorded, give the whole URI", file=sys.stderr)
        return 2
    count = replay(records, uri)
    print(f"MLflow holds {count} trials of sweep {description['name']}. {ui_command(uri)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
