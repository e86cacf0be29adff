"""The vanilla model that all trials start from: a sweep of one trial, which is only trained."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from gon_core.config import StartConfig, TrialConfig
from sweeps.engine.backend.budget import Meter, OutOfBudgetError
from sweeps.engine.backend.driver import Driver
from sweeps.engine.backend.protocol import Backend
from sweeps.engine.planning.plan import Plan
from sweeps.engine.records import MODEL, TrialRecords, TrialResult, starting_models
from sweeps.engine.records.starting_models import DivergedStartError
from sweeps.engine.records.storage import Folder
from sweeps.engine.resources.cluster_check import ClusterError
from sweeps.engine.search.ledger import Ledger
from sweeps.engine.search.search import GridSearch
from sweeps.engine.system.errors import StorageError
from sweeps.engine.trials.measures import TrialData

POINT = ("vanilla",)


def start_weights(
    plan: Plan,
    start: StartConfig,
    kept: Folder,
    backend: Backend,
    data: TrialData,
    meter: Meter,
    show: Callable[[dict[str, float]], None] = lambda metrics: None,
) -> bytes:
    """Return the weights of the vanilla model; train and keep it if there is none yet.

    Args:
        plan: of the sweep.
        start: how the model is trained.
        kept: where the model is, or will be; see ``starting_models.folder``.
        backend: trains it.
        data: of the sweep.
        meter: of the budget, which the training is charged to.
        show: called with the metrics of each epoch.

    Raises:
        DivergedStartError: its training loss was not finite.
        ClusterError: its process died, or its machine was lost, too often; or its training failed.
        UnsharedStorageError: a machine does not see the records.
        OutOfBudgetError: the budget has no room for a trial any more.
    """
    resources = plan.resources
    config = starting_models.trial_config(start)
    training = starting_models.training_records(kept, plan.name)
    trial = training.trial(config.trial_id)
    if (weights := starting_models.stored(kept)) is None:
        # One process in any case, so that all sweeps share the same bits.
        of_one = replace(
            plan,
            config=plan.config.model_copy(update={"scheduler": "none"}),
            resources=replace(
                resources,
                gpus=resources.start_gpus,
                max_concurrent=1,
                processes=1,
                trials_per_process=1,
            ),
        )
        search = GridSearch(Ledger([POINT], [config.seed], lambda point, seed: config))
        listeners, room = [meter, _Listener(trial, meter, show)], meter.has_room
        driver = Driver(of_one, search, training, listeners, room, room, [meter])
        backend.run(driver, data, None)
        weights, history = _read(trial)
        starting_models.keep(kept, start, weights, history)
    with suppress(StorageError):  # nothing reads them any more
        training.folder.delete()
    return weights


def _read(trial: TrialRecords) -> tuple[bytes, list[dict[str, float]]]:
    """Return the weights and the history of the model; raise why there is none."""
    result = trial.result()
    if result is None:
        raise OutOfBudgetError
    if result.status == "diverged":
        raise DivergedStartError("the training loss of the vanilla starting model is not finite")
    if not result.is_final:
        reason = result.reason.splitlines()[0]
        raise ClusterError(f"the vanilla model could not be trained: {reason}")
    weights = trial.folder.read(MODEL)
    if hashlib.sha256(weights).hexdigest() != result.files[MODEL]:
        trial.forget_result()
        raise ClusterError(f"the weights in {trial.folder.uri} are damaged")
    return weights, result.history


@dataclass
class _Listener:
    """Shows the training; ends it when the budget has no room for a trial any more."""

    trial: TrialRecords
    meter: Meter
    show: Callable[[dict[str, float]], None]

    def started(self, config: TrialConfig) -> None:
        """There is nothing to show yet."""

    def reported(self, config: TrialConfig, metrics: dict[str, float]) -> None:
        self.show(metrics)
        # One that has a result is complete, for a larger budget.
        if not self.meter.has_room() and self.trial.result() is None:
            raise OutOfBudgetError

    def ended(self, result: TrialResult) -> None:
        """The caller looks at it."""
