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
from sweeps.engine.trials.together import PrunedError, run_together
from sweeps.engine.trials.trial import run_trial

pytestmark = pytest.mark.usefixtures("small_model")


def never():
    return False


class Heard:
    """What is reported of trials, in the thread that asked for them."""

    def __init__(self):
        self.thread, self.epochs, self.ends = threading.get_ident(), [], {}

    def reported(self, name, metrics, words):
        assert threading.get_ident() == self.thread and name not in self.ends
        if not words:
            self.epochs.append((name, metrics["epoch"]))

    def ended(self, name, end):
        assert threading.get_ident() == self.thread and name not in self.ends
        self.ends[name] = end

    def run(self, runs, stop=never):
        before = set(threading.enumerate())
        try:
            run_together(runs, "cpu", stop, self.reported, self.ended)
        finally:
            assert set(threading.enumerate()) <= before


@pytest.mark.slow
def test_each_trial_has_the_bits_that_it_has_alone(config, data, start_weights, tmp_path):
    configs = {
        "gnt": config,
        "ant": config.model_copy(update={"method": ANT(epsilon=8.0, pretraining_steps=2)}),
    }
    alone, beside = (SweepRecords(Folder(str(tmp_path / name))) for name in ("alone", "beside"))

    def run(records, name):
        trial = records.trial(configs[name].trial_id)
        return partial(run_trial, configs[name], data, start_weights, trial)

    expected, heard = {name: run(alone, name)() for name in configs}, Heard()
    heard.run({name: run(beside, name) for name in configs})
    for name, result in expected.items():
        assert [epoch for named, epoch in heard.epochs if named == name] == [1, 2]
        found = heard.ends[name]
        assert isinstance(found, TrialResult) and found.measurements == result.measurements
        weights = [records.trial(result.trial_id).folder.read(MODEL) for records in (alone, beside)]
        assert weights[0] == weights[1]


def runs_of(**work):
    """Return trials that do such work, given what reports an epoch and what says to stop."""

    def run(work, report, show, stop):
        return work(lambda epoch: report({"epoch": epoch}), stop)

    return {name: partial(run, each) for name, each in work.items()}


def until_stopped(report, stop):
    report(1.0)
    while not stop():
        time.sleep(0.001)
    raise StoppedError


def test_an_error_of_one_trial_ends_no_other():
    failed, heard = threading.Event(), Heard()

    def fail(report, stop):
        failed.set()
        raise OSError("no space")

    def go_on(report, stop):
        assert failed.wait(10) and not stop()
        report(1.0)
        return "whole"

    heard.run(runs_of(bad=fail, good=go_on))
    assert isinstance(heard.ends["bad"], OSError) and heard.ends["good"] == "whole"
    assert heard.epochs == [("good", 1.0)]


def test_one_trial_is_pruned_where_it_reports():
    def go_on(report, stop):
        for epoch in (1.0, 2.0, 3.0):
            report(epoch)
        return "whole"

    class Pruning(Heard):
        def reported(self, name, metrics, words):
            super().reported(name, metrics, words)
            if (name, metrics["epoch"]) == ("bad", 2.0):
                raise PrunedError

    heard = Pruning()
    heard.run(runs_of(bad=go_on, good=go_on))
    assert isinstance(heard.ends["bad"], PrunedError) and heard.ends["good"] == "whole"
    assert ("bad", 3.0) not in heard.epochs and ("good", 3.0) in heard.epochs


def test_a_stop_ends_all():
    heard = Heard()
    heard.run(runs_of(a=until_stopped, b=until_stopped), stop=lambda: True)
    assert sorted(heard.ends) == ["a", "b"]
    assert all(isinstance(end, StoppedError) for end in heard.ends.values())


def test_no_trial_goes_on_when_nobody_listens_any_more():
    class Gone(Heard):
        def reported(self, name, metrics, words):
            raise SystemExit  # as Tune's own report does

    heard = Gone()
    with pytest.raises(SystemExit):
        heard.run(runs_of(a=until_stopped, b=until_stopped))
    assert not heard.ends
