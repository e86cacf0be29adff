"""Several trials in a process of Ray Tune's: what the search and the driver hear of each."""

import json
from types import SimpleNamespace

import pytest

import sweeps.sigma_line_search as script
from gon_core.formats import training_code
from gon_core.training import StoppedError
from sweeps.engine.backend import tuner
from sweeps.engine.backend.driver import Driver
from sweeps.engine.backend.schedulers import TRIALS
from sweeps.engine.planning.plan import make_plan
from sweeps.engine.planning.strength import line_spec
from sweeps.engine.records import VALIDATION_METRIC, TrialResult
from sweeps.engine.resources.resources import Resources
from sweeps.engine.system import machine

THREE = (0.1, 0.2, 0.5)
NODES = {"here"}


class Heard:
    """What the listeners of a driver hear."""

    def __init__(self):
        self.epochs, self.ends, self.cancels = [], [], []

    def started(self, config):
        pass

    def reported(self, config, metrics):
        self.epochs.append((config.method.sigma, metrics["epoch"]))

    def ended(self, result):
        self.ends.append((result.config.method.sigma, result.status))

    def allocated(self, config):
        pass

    def deallocated(self, config):
        pass

    def cancelled(self, config):
        self.cancels.append(config.method.sigma)


@pytest.fixture
def drive(records, monkeypatch):
    """Return a function: a driver of three trials, two a process, and what is heard of it."""
    monkeypatch.setattr(machine, "cpu_count", lambda: 4)
    monkeypatch.setattr(tuner, "_living_nodes", lambda: NODES)

    def make():
        options = script.Options(
            scale="demo", sigmas=THREE, seeds=1, num_trials=0, trials_per_process=2,
            max_failures=0,
        )  # fmt: skip
        plan, heard = make_plan(line_spec(options, options.sigmas), options), Heard()
        driver = Driver(plan, plan.search({}), records, [heard], allocation_listeners=[heard])
        return driver, tuner._Searcher(driver), tuner._Callback(driver, []), heard

    return make


def tune_trial(searcher, name):
    """Return what Tune makes of what the search suggests."""
    return SimpleNamespace(trial_id=name, config=searcher.suggest(name), error_file=None)


def metrics(epoch):
    return {"epoch": epoch, "train_loss": 1.0, "seconds": 2.0, VALIDATION_METRIC: 50.0}


def finish(driver, name, status="max_epochs"):
    """Write the record of a trial of a process, as the process does."""
    config = driver._trials[name].config
    objective = 80.0 if status == "max_epochs" else None
    result = TrialResult(
        trial_id=config.trial_id, config=config, status=status, objective=objective
    )
    driver.records.trial(config.trial_id).write_result(result)


def test_a_process_gets_as_many_trials_as_it_may_have(drive):
    _, searcher, _, _ = drive()
    first, second = tune_trial(searcher, "p1"), tune_trial(searcher, "p2")
    assert list(first.config[TRIALS]) == ["p1.0", "p1.1"]
    assert list(second.config[TRIALS]) == ["p2.0"]
    sigmas = [
        json.loads(text)["method"]["sigma"]
        for trial in (first, second)
        for text in trial.config[TRIALS].values()
    ]
    assert sigmas == list(THREE)
    assert searcher.suggest("p3") is None


def test_each_trial_is_heard_of_by_its_own_name(drive):
    driver, searcher, callback, heard = drive()
    trial = tune_trial(searcher, "p1")
    callback.on_trial_start(0, [], trial)
    for name in ("p1.1", "p1.0"):
        said = tuner._message(name, list, metrics(1.0))
        callback.on_trial_result(0, [], trial, said)
    assert heard.epochs == [(0.2, 1.0), (0.1, 1.0)]
    finish(driver, "p1.1")
    callback.on_trial_result(0, [], trial, {tuner.NAME: "p1.1", tuner.ENDED: True})
    assert heard.ends == [(0.2, "max_epochs")] and driver.has("p1.0")
    searcher.on_trial_complete("p1", {tuner.UNRECORDED: "no space"})
    assert heard.ends[1:] == [(0.1, "failed")]


def test_a_process_that_died_resumes_only_the_trials_that_had_not_ended(drive):
    driver, searcher, callback, _ = drive()
    trial = tune_trial(searcher, "p1")
    callback.on_trial_start(0, [], trial)
    finish(driver, "p1.0", status="failed")
    callback.on_trial_result(0, [], trial, {tuner.NAME: "p1.0", tuner.ENDED: True})
    finish(driver, "p1.1")  # it ended, and could not say so
    callback.on_trial_recover(0, [], trial)
    assert list(trial.config[TRIALS]) == ["p1.1"] and not callback._abandoned


def test_a_process_that_died_too_often_ends_all_of_its_trials(drive):
    _, searcher, callback, heard = drive()
    trial = tune_trial(searcher, "p1")
    callback.on_trial_start(0, [], trial)
    callback.on_trial_recover(0, [], trial)
    assert callback._abandoned == [trial]
    searcher.on_trial_complete("p1")
    assert heard.ends == [(0.1, "failed"), (0.2, "failed")]


def test_what_is_cancelled_of_a_process_comes_again_in_order(drive):
    driver, searcher, callback, heard = drive()
    running, waiting = tune_trial(searcher, "p1"), tune_trial(searcher, "p2")
    callback.on_trial_start(0, [], waiting)  # the machines decide on the order
    for name in reversed(running.config[TRIALS]):
        driver.cancel(name)
    assert heard.cancels == [0.2, 0.1]
    driver.cancel("p1.0")  # it is cancelled already
    assert [driver.suggest(name).method.sigma for name in "ab"] == [0.1, 0.2]


@pytest.fixture
def trainable(records, config, monkeypatch):
    """Return a function: run what Tune runs, with two trials that do such work."""
    said, pruned = [], set()
    monkeypatch.setattr(tuner.tune, "report", said.append)
    monkeypatch.setattr(tuner, "is_pruned", lambda name: name in pruned)
    monkeypatch.setattr(tuner, "fetch", lambda images, device: None)
    context = SimpleNamespace(get_node_id=lambda: "here")
    monkeypatch.setattr(tuner.ray, "get_runtime_context", lambda: context)
    configs = {"p.0": config, "p.1": config.model_copy(update={"seed": 1})}

    def run(*works):
        by_seed = dict(enumerate(works))
        monkeypatch.setattr(
            tuner, "run_trial", lambda trial, *_, **keywords: by_seed[trial.seed](trial, **keywords)
        )
        monkeypatch.setattr(tuner, "weights_of", lambda trial, starts: None)
        for each in configs.values():
            records.trial(each.trial_id).write_config(each)
        texts = {name: each.model_dump_json() for name, each in configs.items()}
        resources = Resources(1, 0.0, 2, trials_per_process=2)
        tuner._trainable({TRIALS: texts}, (), {}, records.folder, resources, 1, training_code())

    return run, said, pruned


def whole(trial, report, **_):
    report(metrics(1.0))
    return SimpleNamespace(history=[metrics(1.0), metrics(2.0)])


def test_the_end_of_each_is_reported_with_its_last_epoch(trainable):
    run, said, _ = trainable

    def broken(trial, **_):
        raise OSError(28, "No space left on device")

    run(whole, broken)
    ends = {each[tuner.NAME]: each for each in said if tuner.ENDED in each}
    assert json.loads(ends["p.0"][tuner.ENTRY])["epoch"] == 2.0
    assert "No space left" in ends["p.1"][tuner.UNRECORDED] and len(said) == 3


def test_a_stop_is_raised_when_all_have_stopped(trainable):
    run, said, _ = trainable

    def stopped(trial, **_):
        raise StoppedError

    with pytest.raises(StoppedError):
        run(whole, stopped)
    assert sum(tuner.ENDED in each for each in said) == 1


def test_a_pruned_one_ends_where_it_reports(trainable):
    run, said, pruned = trainable
    pruned.add("p.0")
    run(whole, whole)
    ends = {each[tuner.NAME]: each for each in said if tuner.ENDED in each}
    assert tuner.ENTRY not in ends["p.0"] and tuner.UNRECORDED not in ends["p.0"]
    assert json.loads(ends["p.1"][tuner.ENTRY])["epoch"] == 2.0
