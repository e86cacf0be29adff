import pytest

import sweeps.sigma_line_search as script
from sweeps.engine.backend.driver import Driver
from sweeps.engine.planning.plan import make_plan
from sweeps.engine.planning.strength import line_spec
from sweeps.engine.records import VALIDATION_METRIC, Attempt, TrialResult
from sweeps.engine.system.errors import StorageError


class Listening:
    def __init__(self):
        self.heard = []

    def started(self, config):
        self.heard.append(("started", config.trial_id))

    def reported(self, config, metrics):
        self.heard.append(("reported", metrics["epoch"]))

    def ended(self, result):
        self.heard.append(("ended", result.status))


def metrics(epoch):
    return {
        "epoch": epoch, "train_loss": 1.0, "seconds": 2.0, VALIDATION_METRIC: 50.0,
    }  # fmt: skip


@pytest.fixture
def drive(records):
    def make(scheduler, failures=2, seeds=1):
        options = script.Options(
            scale="demo",
            sigmas=(0.5,),
            seeds=seeds,
            num_trials=0,
            scheduler=scheduler,
            max_failures=failures,
            max_node_losses=3,
        )
        plan = make_plan(line_spec(options, options.sigmas), options)
        search = plan.search({})
        listener = Listening()
        return Driver(plan, search, records, [listener]), search, listener

    return make


def test_a_recorded_trial_is_reported_to_the_search_and_to_listeners(drive, records):
    driver, search, listener = drive("none")
    config = driver.suggest("t1")
    driver.reported("t1", metrics(1.0))
    driver.reported("t1", metrics(1.0))
    done = TrialResult(trial_id=config.trial_id, config=config, status="max_epochs", objective=80.0)
    records.trial(config.trial_id).write_result(done)
    driver.ended("t1", failed=False)
    assert search.ledger.mean((0.5,)) == (80.0,) and search.is_exhausted
    assert listener.heard == [
        ("started", config.trial_id), ("reported", 1.0), ("ended", "max_epochs"),
    ]  # fmt: skip


def test_a_trial_that_asha_stopped_is_recorded_as_pruned_with_its_history(drive, records):
    driver, search, _ = drive("asha")
    config = driver.suggest("t1")
    for epoch in (1.0, 2.0, 2.0):
        driver.reported("t1", metrics(epoch))
    driver.ended("t1", failed=False)
    result = records.trial(config.trial_id).result()
    assert result.status == "pruned" and result.is_final and not result.is_measured
    assert [entry["epoch"] for entry in result.history] == [1.0, 2.0]
    assert result.seconds == {"training": 4.0}
    assert search.ledger.mean((0.5,)) is None and search.is_exhausted


def attempt(records, config, node="here", stopped=False):
    kept = records.trial(config.trial_id)
    kept.write_attempt(Attempt("host", 1, "", 0, [], node))
    if stopped:
        kept.write_stop()


def test_a_trial_whose_process_died_too_often_is_recorded_as_failed(drive, records):
    driver, _, listener = drive("none")
    config = driver.suggest("t1")
    for _ in range(2):
        attempt(records, config)
        assert not driver.is_abandoned("t1", lambda: ["here"])
        assert records.trial(config.trial_id).result() is None
    driver.began("t1", ["here", "another"])
    assert not driver.is_abandoned("t1", lambda: ["here"]), "another machine may have been its own"
    driver.began("t1", ["here"])
    assert driver.is_abandoned("t1", lambda: ["here"]), "it died before it came to an attempt"
    driver.ended("t1", failed=False)
    result = records.trial(config.trial_id).result()
    assert result.status == "failed" and "died 3 times" in result.reason
    assert listener.heard[-1] == ("ended", "failed")


@pytest.mark.system
def test_a_machine_that_is_still_seen_when_it_takes_its_process_with_it_is_lost(
    drive, records, monkeypatch
):
    driver, _, _ = drive("none")
    config = driver.suggest("t1")
    for has_begun in (True, False):
        seen = iter([["here", "other"]] * 3 + [["here"]] * 9)
        driver.began("t1", ["here", "other"])
        if has_begun:
            attempt(records, config, "other")
        assert not driver.is_abandoned("t1", lambda seen=seen: next(seen))
    monkeypatch.setattr("sweeps.engine.backend.driver.PATIENCE", 0.3)
    for last in (False, False, True):
        driver.began("t1", ["here", "other"])
        attempt(records, config, "here")
        assert driver.is_abandoned("t1", lambda: ["here", "other"]) == last
    assert "process died 3 times" in records.trial(config.trial_id).result().reason


@pytest.mark.system
def test_a_machine_that_is_lost_while_a_first_process_starts_is_no_failure(
    drive, records, monkeypatch
):
    monkeypatch.setattr("sweeps.engine.backend.driver.PATIENCE", 0.3)
    driver, _, _ = drive("none", failures=0, seeds=2)
    first, second = driver.suggest("t1"), driver.suggest("t2")
    driver.began("t1", ["here", "gone"])
    assert not driver.is_abandoned("t2", lambda: ["here"])  # before it began
    assert records.trial(second.trial_id).result() is None
    assert driver.is_abandoned("t1", lambda: ["here", "gone"])
    assert "process died once" in records.trial(first.trial_id).result().reason


def test_a_process_that_dies_when_its_record_is_written_loses_nothing(drive, records):
    driver, _, listener = drive("none", failures=0)
    config = driver.suggest("t1")
    driver.began("t1", ["here"])
    attempt(records, config)
    done = TrialResult(trial_id=config.trial_id, config=config, status="converged", objective=80.0)
    records.trial(config.trial_id).write_result(done)
    assert not driver.is_abandoned("t1", lambda: ["here"])
    driver.ended("t1", failed=False)  # the next process finds the record
    assert listener.heard[-1] == ("ended", "converged")
    assert records.trial(config.trial_id).result().objective == 80.0


def test_why_a_trial_could_not_write_its_record_wins_over_an_older_reason(drive, records):
    driver, _, _ = drive("none")
    config = driver.suggest("t1")
    old = TrialResult(trial_id=config.trial_id, config=config, status="failed", reason="old")
    records.trial(config.trial_id).write_result(old)
    driver.ended("t1", failed=False, reason="other training code")
    assert records.trial(config.trial_id).result().reason == "other training code"


@pytest.mark.parametrize(
    "word", [{"failed": True}, {"failed": False, "reason": "StorageError: silent"}]
)
def test_a_trial_that_came_to_its_end_stays_ended_whatever_its_process_says(word, drive, records):
    driver, search, listener = drive("none")
    config = driver.suggest("t1")
    done = TrialResult(trial_id=config.trial_id, config=config, status="converged", objective=80.0)
    records.trial(config.trial_id).write_result(done)
    driver.ended("t1", **word)
    assert records.trial(config.trial_id).result().status == "converged"
    assert listener.heard[-1] == ("ended", "converged") and search.ledger.mean((0.5,)) == (80.0,)


def test_a_process_that_would_die_again_is_not_started_again(drive, records):
    driver, _, listener = drive("none")
    config = driver.suggest("t1")
    driver.began("t1", ["here"])
    attempt(records, config)
    assert driver.is_abandoned("t1", lambda: ["here"], "out of memory: 2 GB used")
    driver.ended("t1", failed=False)
    assert records.trial(config.trial_id).result().reason == "out of memory: 2 GB used"
    assert listener.heard[-1] == ("ended", "failed")


def test_alone_on_one_machine_nothing_is_waited_for(drive, records):
    driver, _, _ = drive("none")
    config = driver.suggest("t1")
    driver.began("t1", ["here"])
    attempt(records, config, "here")
    asked = []
    driver.is_abandoned("t1", lambda: asked.append(1) or ["here"])
    assert len(asked) == 1


@pytest.mark.parametrize("stopped", [True, False])
def test_lost_machines_use_up_no_failures_and_have_a_limit_of_their_own(stopped, drive, records):
    driver, _, _ = drive("none")
    config = driver.suggest("t1")
    for lost in (True, False, True, False, True):  # three machines, two failures of its own
        attempt(records, config, "gone" if lost and not stopped else "here", lost and stopped)
        assert not driver.is_abandoned("t1", lambda: ["here", "another"])
    attempt(records, config, "gone" if not stopped else "here", stopped)
    assert driver.is_abandoned("t1", lambda: ["here"])
    driver.ended("t1", failed=False)
    assert "machine was lost 4 times" in records.trial(config.trial_id).result().reason


def test_a_trial_that_ends_without_a_record_and_without_asha_is_a_failure(drive, records):
    driver, _, _ = drive("none")
    config = driver.suggest("t1")
    driver.ended("t1", failed=False)
    assert records.trial(config.trial_id).result().status == "failed"


def test_a_trial_that_ended_is_reported_once(drive):
    driver, _, listener = drive("asha")
    driver.suggest("t1")
    driver.ended("t1", failed=False)
    driver.ended("t1", failed=False)
    assert [event for event, _ in listener.heard] == ["started", "ended"]


def test_a_trial_that_could_not_write_its_record_is_recorded_by_the_driver(drive, records):
    driver, search, listener = drive("asha")
    config = driver.suggest("t1")
    driver.ended("t1", failed=False, reason="OSError: no space")
    written = records.trial(config.trial_id).result()
    assert (written.status, written.reason) == ("failed", "OSError: no space")
    assert search.is_exhausted and listener.heard[-1] == ("ended", "failed")


def test_a_driver_that_cannot_write_suggests_nothing_more(drive, monkeypatch):
    def full(*_):
        raise StorageError("/disk", "No space left on device")

    driver, _, listener = drive("none")
    driver.suggest("t1")
    monkeypatch.setattr("sweeps.engine.records.storage.Folder.write", full)
    driver.ended("t1", failed=True)
    assert "No space left" in str(driver.lost)
    assert driver.suggest("t2") is None
    assert listener.heard[-1][0] == "started"  # no listener hears of a record that is not there


def test_a_driver_that_cannot_read_a_result_ends_instead_of_waiting_for_it(
    drive, records, monkeypatch
):
    error = StorageError("s3://bucket", "silent")

    def silent(*_):
        raise error

    driver, _, listener = drive("none")
    driver.suggest("t1")
    monkeypatch.setattr("sweeps.engine.records.storage.Folder.read", silent)
    assert not driver.is_abandoned("t1", lambda: ["here"])
    assert driver.lost is error
    driver.lost = None
    driver.ended("t1", failed=False)  # Ray Tune swallows what is raised here
    assert driver.lost is error and driver.is_over and driver.suggest("t2") is None
    assert listener.heard[-1][0] == "started"


def test_a_trial_whose_configuration_cannot_be_written_is_not_started(drive, monkeypatch):
    def full(*_):
        raise StorageError("/disk", "No space left on device")

    driver, _, listener = drive("none")
    monkeypatch.setattr("sweeps.engine.records.storage.Folder.write", full)
    assert driver.suggest("t1") is None
    assert driver.lost is not None and listener.heard == []
