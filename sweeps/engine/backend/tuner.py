"""Runs trials with Ray Tune, wherever resources are free. Keeps no state that matters.

Ray Tune asks the search for trials, starts them, restarts those whose process died, and lets ASHA
stop unpromising ones. Its own state goes to a scratch folder that is deleted: the state of a sweep
is in its records.
"""

import json
import logging
import os
import socket
import traceback
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayError
from ray.tune.execution import class_cache
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.search import Searcher

from gon_core.config import TrialConfig
from gon_core.formats import training_code
from gon_core.training import StoppedError
from sweeps.engine.backend.cluster import other_code, unshared
from sweeps.engine.backend.driver import Driver
from sweeps.engine.backend.preemption import sigterm_notice
from sweeps.engine.backend.protocol import Starts, own, weights_of
from sweeps.engine.backend.pruning import is_pruned
from sweeps.engine.backend.schedulers import NAME, TRIALS, make_scheduler
from sweeps.engine.planning.plan import Resources
from sweeps.engine.records import VALIDATION_METRIC, SweepRecords, TrialResult
from sweeps.engine.records.storage import Folder
from sweeps.engine.resources.cluster_check import UnsharedStorageError
from sweeps.engine.system.errors import StorageError
from sweeps.engine.trials.machine_load import Sample, Samples, sampled
from sweeps.engine.trials.measures import TrialData
from sweeps.engine.trials.together import PrunedError, Run, run_together
from sweeps.engine.trials.trial import cause, make_deterministic, run_trial

# The images in Ray's object store, where each machine fetches them once. In a tuple Ray passes the
# reference on as it is, and does not read it for every trial.
Shared = tuple[ray.ObjectRef]

ENTRY = "entry"
LOAD = "load"  # samples of how busy the machine is
EVALUATING = "evaluating"  # how far the evaluation of the final model is
ENDED = "ended"  # that one of several trials of a process has
UNRECORDED = "unrecorded"  # why a trial's record could not be written
UNSHARED = "unshared"  # why no trial's record can be written on its machine
MEMORY_IS_LOW = "running low on memory"  # Ray's words where its memory monitor ends a process
NOTHING = {"epoch": 0, VALIDATION_METRIC: 0.0}  # Tune takes a trial that reports none for failed

# An environment of their own would keep trials out of the processes that Ray starts in advance;
# this one is for PyTorch Lightning's forks.
class_cache.DEFAULT_ENV_VARS.pop("PL_DISABLE_FORK", None)
# It prints a traceback when a process dies; we print one line, and the record says why.
logging.getLogger("ray.tune.execution.tune_controller").setLevel(logging.CRITICAL)


def run(driver: Driver, images: Shared, starts: Starts | None, scratch: Path) -> None:
    """Run the trials that ``driver`` suggests on the Ray that has started; see ``Backend.run``.

    What Ray Tune keeps in the folder ``scratch`` is worth nothing afterwards.
    """
    resources = driver.plan.resources
    together = resources.trials_per_process
    trainable = tune.with_resources(
        tune.with_parameters(
            _trainable, images=images, starts=starts, folder=driver.records.folder,
            resources=resources, checkpoint_every=driver.plan.checkpoint_every,
            code=training_code(), function=driver.plan.spec.function,
            system_metrics=driver.show_load is not None,
        ),
        {"cpu": together * resources.all_cpus, "gpu": round(together * resources.gpus, 4)},
    )  # fmt: skip
    scheduler = make_scheduler(driver)
    # The autoscaler is to see all waiting trials at once, whatever Tune's default is.
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(resources.processes_at_once)
    tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            num_samples=-1,  # the search says when it is over; a cancelled trial may come again
            search_alg=_Searcher(driver),
            scheduler=scheduler,
            max_concurrent_trials=resources.processes_at_once,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name="trials" if starts is not None else "vanilla",
            storage_path=str(scratch),
            verbose=0,
            # The driver counts: it knows what a trial died of.
            failure_config=tune.FailureConfig(max_failures=-1),
            callbacks=[_Callback(driver, scheduler.abandoned), _Silence()],
            progress_reporter=_NoReport(),
        ),
    ).fit()
    if driver.lost is not None:
        raise driver.lost


@lru_cache(1)
def fetch(images: Shared, device: str) -> TrialData:
    """Return the images on a device: fetched once by a machine, and put there once by a process."""
    return ray.get(images[0]).to(device)


def _trainable(
    config: dict[str, dict[str, str]], images: Shared, starts: Starts | None, folder: Folder,
    resources: Resources, checkpoint_every: int, code: dict[str, int | str],
    function: Callable[..., None] | None = None, system_metrics: bool = False,
) -> None:  # fmt: skip
    trials = {name: TrialConfig.model_validate_json(text) for name, text in config[TRIALS].items()}
    kept = {name: SweepRecords(folder).trial(trial.trial_id) for name, trial in trials.items()}
    first = next(iter(kept.values())).folder
    if not first.exists("trial.json"):  # the driver wrote it
        return tune.report(NOTHING | {UNSHARED: unshared(first, socket.gethostname())})
    if problem := other_code(code, training_code()):
        return tune.report(NOTHING | {UNRECORDED: problem})
    node = ray.get_runtime_context().get_node_id()
    ids = ", ".join(trial.trial_id for trial in trials.values())
    try:
        make_deterministic(resources.device, resources.cpus)
        with sigterm_notice(ids, node) as stop, sampled(system_metrics) as samples:
            data = fetch(images, resources.device)
            runs = {
                name: partial(
                    run_trial, trial, data, weights_of(trial, starts), kept[name],
                    checkpoint_every, processes=resources.processes, node=node,
                    evaluates=starts is not None, function=own(trial, function),
                )
                for name, trial in trials.items()
            }  # fmt: skip
            if resources.trials_per_process > 1:
                return _run_together(runs, resources.device, stop, samples)
            ((name, run),) = runs.items()
            report = partial(_report, name, samples)
            result = run(report=report, show=report, stop=stop)
    except (StoppedError, RayError):  # to be resumed
        raise
    except Exception as error:  # such as a GPU without memory for the images
        return tune.report(NOTHING | {UNRECORDED: _why(error)})
    tune.report(_last(name, samples, result))


def _run_together(
    runs: Mapping[str, Run], device: str, stop: Callable[[], bool], samples: Samples
) -> None:
    """Run several trials at once; report for each that and how it ended, when it does."""
    stopped: list[BaseException] = []

    def reported(name: str, metrics: dict[str, float], words: str) -> None:
        _report(name, samples, metrics, words)
        if is_pruned(name):
            raise PrunedError

    def ended(name: str, end: TrialResult | BaseException) -> None:
        if isinstance(end, StoppedError | RayError):  # all of them are to end
            stopped.append(end)
        elif isinstance(end, PrunedError):
            tune.report(NOTHING | {NAME: name, ENDED: True})
        elif isinstance(end, BaseException):
            tune.report(NOTHING | {NAME: name, ENDED: True, UNRECORDED: _why(end)})
        else:
            tune.report(_last(name, samples, end) | {ENDED: True})

    run_together(runs, device, stop, reported, ended)
    if stopped:
        raise stopped[0]


def _why(error: BaseException) -> str:
    """Return why a trial has not even a record."""
    if isinstance(error, StorageError):
        return cause(error)
    return f"{cause(error)}\n{''.join(traceback.format_exception(error))}"


def _living_nodes() -> set[str]:
    return {node["NodeID"] for node in ray.nodes() if node["Alive"]}


def _report(name: str, samples: Samples, metrics: dict[str, float], words: str = "") -> None:
    """Report an epoch, or in words how far the evaluation is."""
    tune.report(_message(name, samples, metrics, words))


def _message(
    name: str, samples: Samples, metrics: dict[str, float], words: str = ""
) -> dict[str, Any]:
    # Tune adds entries of its own to what is reported; as text ours stay together.
    said = {NAME: name, ENTRY: json.dumps(metrics), LOAD: json.dumps(samples())}
    # Without an epoch no scheduler looks at it.
    said |= {EVALUATING: words} if words else {"epoch": metrics["epoch"]}
    return said | {VALIDATION_METRIC: metrics.get(VALIDATION_METRIC, 0.0)}


def _last(name: str, samples: Samples, result: TrialResult) -> dict[str, Any]:
    """Return what is reported last of a trial."""
    if not result.history:
        return NOTHING | {NAME: name}
    return _message(name, samples, result.history[-1])


def out_of_memory(errors: str) -> str:
    """Return why Ray ended a trial's last process, if for memory, from all that Tune wrote."""
    line = errors.rpartition("Failure # ")[2].partition("\n")[2].partition("\n")[0]
    return f"out of memory: {line}" if MEMORY_IS_LOW in line else ""


class _Searcher(Searcher):
    """Ray's view of the search."""

    def __init__(self, driver: Driver) -> None:
        super().__init__(metric=VALIDATION_METRIC, mode="max")
        self._driver = driver
        self._names: dict[str, tuple[str, ...]] = {}  # of the trials of each process

    def suggest(self, trial_id: str) -> Any:
        """Return the trials of a process, ``FINISHED``, or None while results are awaited."""
        if self._driver.is_over:
            return Searcher.FINISHED
        trials: dict[str, str] = {}
        for number in range(self._driver.plan.resources.trials_per_process):
            name = f"{trial_id}.{number}"
            if (config := self._driver.suggest(name)) is None:
                break
            trials[name] = config.model_dump_json()
        self._names[trial_id] = tuple(trials)
        return {TRIALS: trials} if trials else None

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        found = result or {}
        if UNSHARED in found:
            self._driver.lost = UnsharedStorageError(found[UNSHARED])
            return
        for name in self._names.pop(trial_id, ()):  # but those that ended before
            self._driver.ended(name, failed=error, reason=found.get(UNRECORDED, ""))

    def save(self, checkpoint_path: str) -> None:
        """Nothing to keep: the study is rebuilt from the records."""


class _Silence(TrialProgressCallback):
    """Instead of Tune's own, which prints a line for a trial that ends without a result."""

    def _print(self, msg: str) -> None:
        pass


class _NoReport(tune.ProgressReporter):
    """Instead of Tune's own, which in a notebook empties the cell before it shows anything."""

    def should_report(self, trials: list, done: bool = False) -> bool:
        return False

    def report(self, trials: list, done: bool, *sys_info: str) -> None:
        """Never called."""


class _Callback(tune.Callback):
    """Passes events on to the driver: a process of a trial begins or died, an epoch ended."""

    def __init__(self, driver: Driver, abandoned: list[Any]) -> None:
        self._driver, self._abandoned = driver, abandoned

    def on_trial_start(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        nodes = _living_nodes()
        for name in trial.config[TRIALS]:
            self._driver.began(name, nodes)

    def on_trial_recover(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        error = Path(trial.error_file).read_text() if trial.error_file else ""
        reason, names = out_of_memory(error), trial.config[TRIALS]
        running = [name for name in names if self._driver.has(name)]
        over = [name for name in running if self._driver.is_abandoned(name, _living_nodes, reason)]
        if len(over) == len(running):
            self._abandoned.append(trial)
            return
        for name in over:
            self._driver.ended(name, failed=True)
        for name in [name for name in names if not self._driver.has(name)]:
            del names[name]  # it does not run again

    def on_trial_result(
        self, iteration: int, trials: list, trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        name = result.get(NAME, "")
        if ENTRY in result:
            self._driver.reported(name, json.loads(result[ENTRY]))
        if samples := [Sample(*each) for each in json.loads(result.get(LOAD, "[]"))]:
            for each in trial.config[TRIALS]:  # they share it
                self._driver.sampled(each, samples)
        if EVALUATING in result:
            self._driver.evaluating(name, result[EVALUATING])
        if ENDED in result:
            self._driver.ended(name, failed=False, reason=result.get(UNRECORDED, ""))
