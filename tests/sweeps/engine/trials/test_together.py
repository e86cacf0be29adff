"""Trials in threads of one process: the bits of each alone, and an end in order."""

import threading
import time
from functools import partial

import pytest

from gon_core.config import ANT
from gon_core.training import StoppedError
from gon_core.training.checkpoints import MODEL
from sweeps.engine.records import SweepRecords, TrialResult
from sweeps.engine.records.storage import Folder
from sweeps.engine.trials.together import Ended, Reported, run_together
from sweeps.engine.trials.trial import run_trial
from tests.eager import use_eager_kernels

pytestmark = pytest.mark.usefixtures("small_model")


def never():
    return False


def test_each_trial_has_the_bits_that_it_has_alone(
    config, data, start_weights, tmp_path, monkeypatch
):
    use_eager_kernels(monkeypatch)
    configs = {
        "gnt": config,
        "ant": config.model_copy(update={"method": ANT(epsilon=8.0, pretraining_steps=2)}),
    }
    alone, beside = (SweepRecords(Folder(str(tmp_path / name))) for name in ("alone", "beside"))

    def run(records, name):
        trial = records.trial(configs[name].trial_id)
        return partial(run_trial, configs[name], data, start_weights, trial)

    expected = {name: run(alone, name)() for name in configs}
    runs = {name: run(beside, name) for name in configs}
    events = list(run_together(runs, "cpu", never))
    for name, result in expected.items():
        *epochs, end = (
            event for event in events if event.name == name and not getattr(event, "words", "")
        )
        assert [event.metrics["epoch"] for event in epochs] == [1, 2]
        assert isinstance(end.result, TrialResult)
        assert end.result.measurements == result.measurements
        weights = [records.trial(result.trial_id).folder.read(MODEL) for records in (alone, beside)]
        assert weights[0] == weights[1]


def runs_of(**work):
    """Return trials that do such work, given what says whether to stop."""

    def run(work, report, show, stop):
        report({"epoch": 1.0})
        return work(stop)

    return {name: partial(run, each) for name, each in work.items()}


def until_stopped(stop):
    while not stop():
        time.sleep(0.001)
    raise StoppedError


def test_an_error_of_one_trial_ends_no_other():
    failed, others = threading.Event(), []

    def fail(stop):
        failed.set()
        raise OSError("no space")

    def go_on(stop):
        assert failed.wait(10)
        others.append(stop())
        return "whole"

    events = list(run_together(runs_of(bad=fail, good=go_on), "cpu", never))
    assert events[0] in (Reported("bad", {"epoch": 1.0}), Reported("good", {"epoch": 1.0}))
    ends = {event.name: event.result for event in events if isinstance(event, Ended)}
    assert isinstance(ends["bad"], OSError) and ends["good"] == "whole" and others == [False]


def test_a_stop_ends_all():
    events = list(run_together(runs_of(a=until_stopped, b=until_stopped), "cpu", lambda: True))
    ends = [event for event in events if isinstance(event, Ended)]
    assert sorted(end.name for end in ends) == ["a", "b"]
    assert all(isinstance(end.result, StoppedError) for end in ends)


def test_no_thread_is_left_when_nobody_listens_any_more():
    before = threading.active_count()
    events = run_together(runs_of(a=until_stopped, b=until_stopped), "cpu", never)
    next(events)
    assert threading.active_count() == before + 2
    events.close()
    assert threading.active_count() == before
