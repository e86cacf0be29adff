"""What a sweep asks of its storage, study and memory for a trial does not grow with the trials.

Counts, not times: a count is the same on any machine.
"""

import io
import itertools
import time
from collections import Counter
from statistics import fmean

import pytest
from rich.console import Console

import sweeps.sigma_line_search as script
from sweeps import joint_search
from sweeps.engine.backend.driver import Driver
from sweeps.engine.planning.plan import make_plan
from sweeps.engine.planning.strength import line_spec
from sweeps.engine.planning.warm_start import rebuild_search
from sweeps.engine.records import TrialRecords, TrialResult
from sweeps.engine.records.storage import Folder
from sweeps.engine.runs import progress as progresses
from sweeps.engine.runs.progress import SHOWN_ENDED, SHOWN_RUNNING, Progress
from sweeps.engine.search.ledger import Ledger
from sweeps.engine.search.search import GridSearch
from sweeps.engine.tracking import make_tracker
from sweeps.engine.tracking.mlflow.outbox import Outbox
from tests.sweeps.engine.descriptions import describe
from tests.sweeps.engine.tracking.tracked_sweeps import (
    all_points,
    assert_whole,
    ended,
    runs,
)

TRIALS = 40


@pytest.fixture
def asked(monkeypatch):
    """Return how often each operation of a folder was called so far."""
    counts = Counter()
    for name in ("exists", "names", "read", "write", "remove", "delete"):
        monkeypatch.setattr(Folder, name, _counted(counts, name, getattr(Folder, name)))
    return counts


def _counted(counts, name, original):
    def counted(self, *args):
        counts[name] += 1
        return original(self, *args)

    return counted


def plan_of(search):
    if search == "line":
        sigmas = tuple(0.05 * step for step in range(TRIALS // 2))
        options = script.Options(scale="demo", sigmas=sigmas, seeds=2, num_trials=0)
        return make_plan(line_spec(options, options.sigmas), options)
    options = joint_search.Options(scale="demo", num_trials=TRIALS, sampler=search)
    return make_plan(joint_search.spec(options), options)


def run_one(driver, name):
    """Run a trial; its worker writes its result."""
    config = driver.suggest(name)
    value = 50 + int(config.trial_id[:4], 16) % 40
    result = TrialResult(
        trial_id=config.trial_id, config=config, status="max_epochs", objective=value
    )
    driver.records.trial(config.trial_id).write_result(result)
    driver.ended(name, failed=False)


@pytest.mark.system
@pytest.mark.parametrize("search", ["line", "random", "tpe"])
def test_the_last_trial_asks_no_more_of_the_storage_than_the_first(search, records, asked):
    plan = plan_of(search)
    driver, spent = Driver(plan, plan.search({}), records, []), []
    while not driver.search.is_exhausted:
        asked.clear()
        run_one(driver, f"t{len(spent)}")
        spent.append(dict(asked))
    assert len(spent) == TRIALS
    assert spent[-1] == spent[0] and spent[0]["read"] <= 4 and "names" not in spent[0]


def test_a_search_is_rebuilt_with_the_same_few_reads_a_trial(records, asked):
    plan, reads = plan_of("line"), []
    driver = Driver(plan, plan.search({}), records, [])
    for count in range(1, TRIALS + 1):
        run_one(driver, f"t{count}")
        if count % 20 == 0:
            asked.clear()
            search, finished = rebuild_search(plan, records, {})
            Driver(plan, search, records, [])
            assert finished == count and asked["names"] == 2
            reads.append(asked["read"] / count)
    assert search.is_exhausted and reads == [3.0, 3.0]  # configuration, ask index and result


class Compared:
    """A seed that counts how often it is compared with another."""

    count = 0

    def __init__(self, number):
        self.number = number

    def __hash__(self):
        return hash(self.number)

    def __eq__(self, other):
        Compared.count += 1
        return self.number == other.number


def test_a_ledger_looks_at_one_trial_and_not_at_all(monkeypatch):
    seeds = [Compared(number) for number in range(200)]
    search = GridSearch(Ledger([(0.5,), (0.6,)], seeds, lambda *_: None))
    spent = []
    for point, seed in itertools.product([(0.5,), (0.6,)], seeds):
        monkeypatch.setattr(Compared, "count", 0)
        search.ledger.record(point, seed, "max_epochs", (80.0,))
        assert search.is_exhausted == (point == (0.6,) and seed is seeds[-1])
        spent.append(Compared.count)
    assert max(spent) <= 8
    assert search.ledger.mean((0.6,)) == (80.0,) and search.ledger.is_grid_settled


def test_the_live_table_keeps_the_last_trials_and_shows_so_many_running():
    plan = plan_of("line")
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    progress = Progress(plan, console, done=0)
    for config in plan.known_trials[:10]:
        progress.started(config)
        progress.ended(TrialResult(trial_id=config.trial_id, config=config, status="max_epochs"))
    running = plan.known_trials[10:]
    for config in running:
        progress.started(config)
        progress.allocated(config)
    console.file.truncate(console.file.seek(0))
    console.print(progress._render())
    text = console.file.getvalue()
    assert text.count("max_epochs") == SHOWN_ENDED
    assert sum(config.trial_id in text for config in running) == SHOWN_RUNNING
    more = f"and {len(running) - SHOWN_RUNNING} more: {len(running)} running in all"
    assert more in text
    assert "10 of 40 trials" in text


def test_the_best_so_far_is_found_without_a_look_at_all_points(monkeypatch):
    plan = plan_of("line")
    search = plan.search({})
    progress = Progress(plan, Console(file=io.StringIO()), done=0, ledger=search.ledger)
    means = []
    monkeypatch.setattr(progresses, "fmean", lambda each: means.append(1) or fmean(each))
    accuracies = {point: 80.0 - place for place, point in enumerate(search.ledger.entries)}
    first, *_ = accuracies
    while (trial := search.next_trial()) is not None:
        progress.started(trial.config)
        # Its second seed makes the first point worse than the second one.
        found = accuracies[trial.point] - 10 * (trial.point == first and trial.seed == 1)
        search.ledger.record(trial.point, trial.seed, "max_epochs", (found,))
        progress.ended(TrialResult(trial_id=trial.config.trial_id, config=trial.config,
                                   status="max_epochs", objective=found))  # fmt: skip
    assert "sigma 0.05, objective 79.0 % (2 of 2 seeds)" in progress._best_line()
    points = len(accuracies)
    assert 2 * points <= len(means) <= 2 * points + 4 * points, "not all of them each time"


@pytest.fixture
def tracked(records, tmp_path):
    """Return a URI, and a tracker that has logged three trials that ended."""
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    records.write_sweep(describe(tracking_uri=uri))
    tracker = make_tracker(uri, describe(tracking_uri=uri), records)
    configs = plan_of("line").known_trials[:3]
    for config in configs:
        tracker.started(config)
        records.trial(config.trial_id).write_config(config)
        records.trial(config.trial_id).write_result(ended(config))
        tracker.ended(ended(config))
    while tracker.waiting:
        time.sleep(0.01)
    time.sleep(0.5)  # an event may be under way
    while tracker.waiting:
        time.sleep(0.01)
    return uri, tracker, configs


@pytest.mark.system
def test_the_end_of_a_sweep_reads_no_record_that_mlflow_holds(tracked, monkeypatch, records):
    uri, tracker, configs = tracked
    read, original = [], TrialRecords.result
    monkeypatch.setattr(TrialRecords, "result", lambda self: read.append(self) or original(self))
    records.trial(configs[0].trial_id).forget_result()  # and is logged again below
    assert tracker.close({}, False, False) == "" and read == []
    assert len(runs(uri)[2]) == 3


@pytest.mark.system
def test_a_trial_whose_record_was_lost_is_logged_again_without_points_twice(tracked, records):
    uri, tracker, configs = tracked
    tracker.close({}, False, False)
    outbox = Outbox(uri, describe(tracking_uri=uri), records)
    outbox.begin(configs[0])
    assert outbox.send()
    client, _, children = runs(uri)
    (run,) = [run for run in children if run.data.tags["trial"] == configs[0].trial_id]
    assert run.info.status == "RUNNING" and all_points(client, run)
    assert outbox.end_sweep({}, False, False), outbox.problem
    assert_whole(uri, [ended(config) for config in configs])
