"""Ray Tune's schedulers: which trial runs next, and which is hopeless."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from ray.tune.schedulers import ASHAScheduler, FIFOScheduler

from sweeps.engine.planning.plan import Plan
from sweeps.engine.records import VALIDATION_METRIC, TrialResult


class _FIFO(FIFOScheduler):
    """Runs trials in their order.

    Args:
        withdraw: returns Tune's name of a waiting trial that is not to run after all; None if there
            is none.

    Attributes:
        given_up: trials that wait to be carried on and are not to be. Tune would give each a place
            once more, for which a cluster may have to start a machine.
    """

    def __init__(self, withdraw: Callable[[], str | None], **settings: Any) -> None:
        super().__init__(**settings)
        self._withdraw = withdraw
        self.given_up: list[Any] = []

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Ray pickles it into its scratch folder; nothing reads it

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """End those that are given up or withdrawn, before Tune looks for places."""
        while self.given_up:
            tune_controller.stop_trial(self.given_up.pop())
        while (name := self._withdraw()) is not None:
            for trial in tune_controller.get_trials():
                if trial.trial_id == name:
                    tune_controller.stop_trial(trial)
                    _leave_stage(tune_controller, trial)
        return super().choose_trial_to_run(tune_controller)


def _leave_stage(tune_controller: Any, trial: Any) -> None:
    # Else Tune goes on keeping a place for it: the next trial to end would not free its GPU.
    if trial in tune_controller._staged_trials:
        tune_controller._unstage_trial_with_resources(trial)


class _ASHA(_FIFO, ASHAScheduler):
    """Stops hopeless trials besides."""


Scheduler = _FIFO


def make_scheduler(
    plan: Plan, finished: Sequence[TrialResult], withdraw: Callable[[], str | None] = lambda: None
) -> Scheduler:
    """Return the scheduler by name; ASHA begins with the rungs of the trials already recorded.

    Args:
        plan: with the name.
        finished: what is recorded.
        withdraw: see ``Driver.withdraw``.
    """
    if plan.config.scheduler == "none":
        return _FIFO(withdraw)
    max_epochs = plan.config.training.max_epochs
    asha = _ASHA(
        withdraw,
        time_attr="epoch",
        metric=VALIDATION_METRIC,
        mode="max",
        max_t=max_epochs + 1,  # the budget is the trainer's to end: at max_t ASHA would prune
        grace_period=max(1, max_epochs // 27),
        reduction_factor=3 if max_epochs > 3 else 2,
    )
    for result in finished:
        trial: Any = SimpleNamespace(trial_id=result.trial_id)
        for entry in result.history:
            # Ray has no public way to rebuild rungs; without it a resumed sweep prunes less.
            asha._brackets[0].on_result(trial, int(entry["epoch"]), entry[VALIDATION_METRIC])
    return asha
