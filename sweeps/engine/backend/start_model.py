"""The vanilla model that all trials start from: a sweep of one trial, which is only trained."""

import hashlib
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace

from gon_core.config import TrialConfig
from sweeps.engine.backend.budget import Meter, OutOfBudgetError
from sweeps.engine.backend.driver import Driver, Limits
from sweeps.engine.backend.protocol import Backend
from sweeps.engine.planning.plan import Plan
from sweeps.engine.records import MODEL, SweepRecords, TrialRecords, TrialResult, starting_models
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
    kept: Folder,
    backend: Backend,
    data: TrialData,
    limits: Limits,
    meter: Meter,
    show: Callable[[dict[str, float]], None] = lambda metrics: None,
) -> bytes:
    """Return the weights of the vanilla model; train and keep it if there is none yet.

    Args:
        plan: of the sweep.
        kept: where the model is, or will be; see ``starting_models.folder``.
        backend: trains it.
        data: whose training images it is trained on.
        limits: how often its training is resumed.
        meter: of the budget, which the training is charged to.
        show: called with the metrics of each epoch.

    Raises:
        DivergedStartError: its training loss was not finite.
        ClusterError: its process died, or its machine was lost, too often; or its training failed.
        UnsharedStorageError: a machine does not see the records.
        OutOfBudgetError: the budget has no room for a trial any more.
    """
    weights = starting_models.stored(kept)
    training = starting_models.training_records(kept, plan.name)
    if weights is None:
        weights = _train(plan, kept, training, backend, data, limits, meter, show)
    with suppress(StorageError):  # nothing reads them any more
        training.folder.delete()
    return weights


def _train(
    plan: Plan, kept: Folder, training: SweepRecords, backend: Backend, data: TrialData,
    limits: Limits, meter: Meter, show: Callable[[dict[str, float]], None],
) -> bytes:  # fmt: skip
    start, resources = plan.config.start, plan.resources
    config = starting_models.trial_config(start)
    trial = training.trial(config.trial_id)
    # One process in any case, so that all sweeps share the same bits.
    of_one = replace(
        plan,
        config=plan.config.model_copy(update={"scheduler": "none"}),
        resources=replace(resources, gpus=resources.start_gpus, slots=1, processes=1),
    )
    search = GridSearch(Ledger([POINT], [config.seed], lambda point, seed: config))
    with ExitStack() as charged:
        listener = _Listener(trial, meter, show, charged)
        driver = Driver(
            of_one, search, training, [listener], limits, meter.has_room, meter.has_room,
            [listener],
        )  # fmt: skip
        backend.run(driver, data, None, evaluates=False)
    result = trial.result()
    if result is None:
        raise OutOfBudgetError
    if result.status == "diverged":
        raise DivergedStartError("the training loss of the vanilla starting model is not finite")
    if not result.is_final:
        raise ClusterError(
            f"the vanilla model could not be trained: {result.reason.splitlines()[0]}"
        )
    weights = trial.folder.read(MODEL)
    if hashlib.sha256(weights).hexdigest() != result.files[MODEL]:
        trial.forget_result()
        raise ClusterError(f"the weights in {trial.folder.uri} are damaged")
    starting_models.keep(kept, start, weights, result.history)
    return weights


@dataclass
class _Listener:
    """Shows and charges the training; ends it when the budget has no room for a trial any more.

    It is charged for as long as a process of it is allocated, as a trial is.
    """

    trial: TrialRecords
    meter: Meter
    show: Callable[[dict[str, float]], None]
    charged: ExitStack

    def started(self, config: TrialConfig) -> None:
        """It costs nothing before it is placed."""

    def allocated(self, config: TrialConfig) -> None:
        self.charged.enter_context(self.meter.start_model())

    def deallocated(self, config: TrialConfig) -> None:
        self.charged.close()

    def cancelled(self, config: TrialConfig) -> None:
        """It was never placed."""

    def reported(self, config: TrialConfig, metrics: dict[str, float]) -> None:
        self.show(metrics)
        if self.trial.result() is None:  # else it is complete, for a larger budget
            self.meter.raise_if_spent()

    def ended(self, result: TrialResult) -> None:
        self.charged.close()
