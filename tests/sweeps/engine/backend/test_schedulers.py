"""What is cancelled before Ray Tune looks for resources leaves nothing behind in Ray Tune."""

from types import SimpleNamespace

from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial

from sweeps.engine.backend.schedulers import _FIFO, TRIALS


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
