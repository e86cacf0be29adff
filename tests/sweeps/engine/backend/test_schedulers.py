"""What is cancelled before Ray Tune looks for resources leaves nothing behind in Ray Tune."""

from types import SimpleNamespace
from typing import Any

from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial

from sweeps.engine.backend import schedulers
from sweeps.engine.backend.schedulers import _FIFO, NAME, TRIALS
from sweeps.engine.records import VALIDATION_METRIC


class Controller:
    """Ray Tune's, of which only what is staged is real."""

    _unstage_trial_with_resources = TuneController._unstage_trial_with_resources

    def __init__(self, trials):
        self._trials, self._staged_trials, self.places = trials, set(trials), len(trials)
        self._actor_cache = SimpleNamespace(decrease_max=self._one_less)
        self._pending_trials = trials

    def _one_less(self, resources):
        self.places -= 1

    def get_trials(self):
        return self._trials

    def get_live_trials(self):
        return self._trials

    def stop_trial(self, trial):
        trial.status = Trial.TERMINATED


def test_no_resources_are_held_for_a_trial_that_is_cancelled():
    trials = [
        Trial("trainable", stub=True, trial_id=name, config={TRIALS: {f"{name}.0": "", name: ""}})
        for name in "abc"
    ]
    withdrawn, cancelled = iter(["c", "b.0", None]), []
    driver = SimpleNamespace(cancel_waiting=lambda: next(withdrawn), cancel=cancelled.append)
    controller = Controller(trials)
    chosen = _FIFO(driver).choose_trial_to_run(controller)
    assert chosen is trials[0] and controller.places == 1
    assert cancelled == ["c", "c.0", "b", "b.0"]  # the trials of a process together
    assert controller._staged_trials == {trials[0]}
    assert [trial.status for trial in trials[1:]] == [Trial.TERMINATED] * 2


def test_asha_tells_a_process_which_of_its_trials_is_unpromising(monkeypatch):
    told = []
    monkeypatch.setattr(schedulers, "prune", told.append)
    config = SimpleNamespace(scheduler="asha", training=SimpleNamespace(max_epochs=3))
    resources = SimpleNamespace(trials_per_process=4)
    driver: Any = SimpleNamespace(
        plan=SimpleNamespace(config=config, resources=resources),
        records=SimpleNamespace(results=list),
    )
    asha = schedulers.make_scheduler(driver)
    process = SimpleNamespace(trial_id="p")
    asha.on_trial_add(None, process)
    for name, accuracy in (("p.0", 50.0), ("p.1", 80.0), ("p.2", 20.0), ("p.3", 90.0)):
        result = {NAME: name, "epoch": 1, VALIDATION_METRIC: accuracy}
        assert asha.on_trial_result(None, process, result) == asha.CONTINUE
    assert told == ["p.2"]
    asha.on_trial_complete(None, process, result)
    assert len(asha._brackets[0]._rungs[-1][1]) == 4  # the process itself is no trial
