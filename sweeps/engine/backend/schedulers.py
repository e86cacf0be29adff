"""Ray Tune's schedulers: which trial runs next, and which is unpromising."""

from types import SimpleNamespace
from typing import Any

from ray.tune.schedulers import ASHAScheduler, FIFOScheduler

from sweeps.engine.backend.driver import Driver
from sweeps.engine.backend.pruning import prune
from sweeps.engine.records import VALIDATION_METRIC

TRIALS = "trials"
"""Where a trial of Tune's, which is a process, has the configurations of its trials, by name."""

NAME = "name"
"""Where a result of Tune's has the name of the trial that it is about."""


class _FIFO(FIFOScheduler):
    """Runs trials in their order.

    Args:
        driver: says which trials that wait will not run.

    Attributes:
        abandoned: trials that wait to be resumed and will not be. Tune would allocate resources
            to each once more, for which a cluster may have to start a machine.
    """

    def __init__(self, driver: Driver, **settings: Any) -> None:
        super().__init__(**settings)
        self._driver = driver
        self.abandoned: list[Any] = []

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Ray pickles it into its scratch folder; nothing reads it

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """End the abandoned and cancelled ones, before Tune allocates resources."""
        while self.abandoned:
            tune_controller.stop_trial(self.abandoned.pop())
        while (name := self._driver.cancel_waiting()) is not None:
            for trial in tune_controller.get_trials():
                if name in trial.config[TRIALS]:
                    for other in reversed(trial.config[TRIALS]):  # the rest of its process
                        self._driver.cancel(other)
                    tune_controller.stop_trial(trial)
                    # Otherwise Tune keeps resources for it: the next to end would free no GPU.
                    if trial in tune_controller._staged_trials:
                        tune_controller._unstage_trial_with_resources(trial)
        return super().choose_trial_to_run(tune_controller)


class _ASHA(_FIFO, ASHAScheduler):
    """Also stops unpromising trials, of several in a process each by itself."""

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Look at an epoch of a trial; end its process, or leave word to it."""
        if self._driver.plan.resources.trials_per_process == 1:
            return super().on_trial_result(tune_controller, trial, result)
        one: Any = SimpleNamespace(trial_id=result.get(NAME, ""))
        self._trial_info[one.trial_id] = self._brackets[0]
        if super().on_trial_result(tune_controller, one, result) == self.STOP:
            prune(one.trial_id)
        return self.CONTINUE

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Look at the last epoch, unless that is known."""
        if self._driver.plan.resources.trials_per_process == 1:
            super().on_trial_complete(tune_controller, trial, result)


def make_scheduler(driver: Driver) -> _FIFO:
    """Return the plan's scheduler; ASHA begins with the rungs of the trials already recorded."""
    if driver.plan.config.scheduler == "none":
        return _FIFO(driver)
    max_epochs = driver.plan.config.training.max_epochs
    asha = _ASHA(
        driver,
        time_attr="epoch",
        metric=VALIDATION_METRIC,
        mode="max",
        max_t=max_epochs + 1,  # the trainer ends at the limit of epochs: at max_t ASHA would prune
        grace_period=max(1, max_epochs // 27),
        reduction_factor=3 if max_epochs > 3 else 2,
    )
    for result in driver.records.results():
        trial: Any = SimpleNamespace(trial_id=result.trial_id)
        for entry in result.history:
            # Ray has no public way to rebuild rungs; without it a resumed sweep prunes less.
            asha._brackets[0].on_result(trial, int(entry["epoch"]), entry[VALIDATION_METRIC])
    return asha
