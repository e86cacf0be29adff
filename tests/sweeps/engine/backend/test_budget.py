"""What a sweep has used, and whether another trial fits: by a clock that the tests set."""

import itertools
from types import SimpleNamespace

import pytest

import sweeps.sigma_line_search as script
from sweeps.engine.backend import budget as budgets
from sweeps.engine.backend.budget import Meter
from sweeps.engine.backend.driver import Driver
from sweeps.engine.planning.plan import Resources, make_plan
from sweeps.engine.planning.strength import line_spec
from sweeps.engine.planning.sweep_cost import used_line
from sweeps.engine.records import Stop, TrialResult, Usage
from sweeps.engine.records.usage import Budget, Spent, enough, limit_passed

HOUR = 3600.0
GPU, SHARED, CPU = Resources(1, 1.0, 2), Resources(1, 0.25, 4), Resources(2, 0.0, 2)


class Clock:
    """Stands still until it is set forward."""

    def __init__(self):
        self.now = 500.0

    def __call__(self):
        return self.now

    def forward(self, hours):
        self.now += hours * HOUR


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def meter(records, clock):
    def make(budget, resources=GPU, estimate=None):
        vanilla = frozenset([VANILLA.trial_id])
        return Meter(records, resources, budget, estimate, vanilla=vanilla, clock=clock)

    return make


def trial(seed, max_epochs=10):
    training = SimpleNamespace(max_epochs=max_epochs)
    return SimpleNamespace(trial_id=f"t{seed}", seed=seed, training=training, start="vanilla")


VANILLA = SimpleNamespace(trial_id="vanilla", start=None)


def ended(config, status="converged", **seconds):
    return SimpleNamespace(trial_id=config.trial_id, is_final=status != "failed", seconds=seconds)


def begin(meter, *configs):
    for config in configs:
        meter.started(config)
        meter.allocated(config)


# ------------------------------------------------------------------------------ the arithmetic


@pytest.mark.parametrize(
    ("budget", "spent", "rest", "cost", "gpus", "passed"),
    [
        (Budget(), Spent(1e9, 1e9), 1e9, 1e9, 1.0, None),
        (Budget(gpu_hours=2), Spent(0, 1 * HOUR), 0, 1 * HOUR, 1.0, None),  # just fits
        (Budget(gpu_hours=2), Spent(0, 1 * HOUR), 0, 1.01 * HOUR, 1.0, "budget_gpu_hours"),
        (Budget(gpu_hours=2), Spent(0, HOUR), HOUR / 2, 0.6 * HOUR, 1.0, "budget_gpu_hours"),
        (Budget(gpu_hours=2), Spent(0, HOUR), HOUR / 2, 0.6 * HOUR, 0.25, None),
        (Budget(gpu_hours=2), Spent(9 * HOUR, 0), 0, 1 * HOUR, 1.0, None),
        (Budget(hours=2), Spent(1 * HOUR, 9 * HOUR), 9 * HOUR, 1 * HOUR, 1.0, None),
        (Budget(hours=2), Spent(1.5 * HOUR, 0), 0, 0.6 * HOUR, 0.0, "budget_hours"),
        (Budget(5, 2), Spent(1.5 * HOUR, 0), 0, 0.6 * HOUR, 1.0, "budget_hours"),
    ],
)  # fmt: skip
def test_which_limit_one_more_trial_would_pass(budget, spent, rest, cost, gpus, passed):
    assert limit_passed(budget, spent, rest, cost, gpus) == passed


@pytest.mark.parametrize(
    ("used", "needed", "limit", "larger"),
    [(7.0, 10.0, 7.5, 18.0), (0.2, 0.03, 0.21, 0.24), (0.0, 0.001, 3.0, 3.3), (95, 10, 99, 110)],
)
def test_a_proposed_budget_is_larger_and_has_two_digits(used, needed, limit, larger):
    assert enough(used, needed, limit) == larger


def test_sums_of_tenths_that_fill_the_budget_fit():
    assert limit_passed(Budget(hours=0.3), Spent(0.1 * HOUR + 0.1 * HOUR), 0, 360, 0) is None


# --------------------------------------------------------------------------------- what is used


def test_gpu_time_runs_while_trials_have_their_place(meter, clock):
    counting = meter(Budget(gpu_hours=9), SHARED)
    with counting:
        first, second = trial(1), trial(2)
        begin(counting, first)
        clock.forward(1)
        begin(counting, second)
        clock.forward(1)
        assert counting.spent == Spent(2 * HOUR, 0.25 * 3 * HOUR)
        counting.ended(ended(first))
        clock.forward(2)
        assert counting.spent == Spent(4 * HOUR, 0.25 * 5 * HOUR)
        counting.ended(ended(second, "failed"))  # what it used is used
        clock.forward(2)
    clock.forward(100)  # after the end
    assert counting.spent == Spent(6 * HOUR, 0.25 * 5 * HOUR)
    assert counting.text() == "1.2 of 9 GPU-hours"


def test_a_trial_that_waits_for_a_machine_uses_none_and_a_failed_process_does(meter, clock):
    with meter(Budget(gpu_hours=9)) as counting:
        counting.started(trial(1))
        clock.forward(3)
        counting.allocated(trial(1))
        clock.forward(1)
        counting.allocated(trial(1))
        clock.forward(1)
        counting.deallocated(trial(1))  # its machine went away
        assert counting.spent.gpu_seconds == 2 * HOUR
        clock.forward(5)  # it waits for another
        counting.allocated(trial(1))
        clock.forward(1)
        assert counting.spent.gpu_seconds == 3 * HOUR
        counting.ended(ended(trial(1)))
        clock.forward(1)
        assert counting.spent.gpu_seconds == 3 * HOUR


def test_the_vanilla_model_counts(meter, clock):
    with meter(Budget(gpu_hours=9)) as counting:
        begin(counting, VANILLA)
        clock.forward(0.5)
        assert counting.spent.gpu_seconds == 0.5 * HOUR
        counting.ended(ended(VANILLA))
        clock.forward(1)
        assert counting.spent.gpu_seconds == 0.5 * HOUR


def test_of_the_vanilla_model_the_one_gpu_counts_that_it_has(meter, clock):
    for gpus, counted in ((2.0, 1.0), (1.0, 1.0), (0.25, 0.25), (0.0, 0.0)):
        before = meter(Budget()).spent.gpu_seconds
        with meter(Budget(), Resources(1, gpus, 1)) as counting:
            begin(counting, VANILLA)
            clock.forward(0.5)
            assert counting.spent.gpu_seconds - before == 0.5 * counted * HOUR


def test_drivers_add_up_and_the_time_between_them_does_not_count(meter, clock, records):
    for hours in (1, 2):
        with meter(Budget(hours=9)) as counting:
            begin(counting, trial(hours))
            clock.forward(hours)
        clock.forward(1000)  # nobody runs the sweep
    assert records.usage.spent() == Spent(3 * HOUR, 3 * HOUR)
    assert meter(Budget(hours=9)).spent == Spent(3 * HOUR, 3 * HOUR)
    assert records.usage.next_name() == "000003.json"


def test_a_driver_that_ends_with_an_error_still_counts(meter, clock, records):
    with pytest.raises(KeyboardInterrupt), meter(Budget()) as counting:
        begin(counting, trial(1))
        clock.forward(1)
        raise KeyboardInterrupt
    assert records.usage.spent() == Spent(HOUR, HOUR)


def test_a_driver_that_is_killed_counts_until_its_last_minute(meter, clock, records, monkeypatch):
    monkeypatch.setattr(budgets, "WRITE_SECONDS", 0.01)
    counting = meter(Budget())
    counting.__enter__()
    begin(counting, trial(1))
    clock.forward(1)
    for _ in range(1000):
        if records.usage.spent().gpu_seconds:
            break
        counting._over.wait(0.01)
    assert records.usage.spent() == Spent(HOUR, HOUR)
    counting.__exit__(None, None, None)


def test_damaged_records_of_use_are_reported_and_not_counted(records):
    good = Usage(began="", seconds=10, gpus_per_trial=1, gpu_seconds=5)
    records.usage.write("000001.json", good)
    folder = records.folder / "usage"
    for name, content in (
        ("000002.json", b"{"), ("000003.json", b'{"seconds": -1}'), ("000004.json", b"\x80\x04"),
    ):  # fmt: skip
        folder.write(name, content)
    assert records.usage.read() == [good] and records.usage.stopped() is None
    assert [problem[:17] for problem in records.usage.problems()] == [
        "usage/000002.json", "usage/000003.json", "usage/000004.json",
    ]  # fmt: skip
    assert records.usage.next_name() == "000005.json"


def test_endless_amounts_are_no_records(records):
    text = b'{"began": "", "seconds": Infinity, "gpus_per_trial": 0, "gpu_seconds": 0}'
    (records.folder / "usage").write("000001.json", text)
    assert records.usage.read() == [] and len(records.usage.problems()) == 1


# ---------------------------------------------------------------- whether another trial may start


def test_what_a_trial_needs_is_the_mean_of_those_that_ended_else_the_estimate(meter, clock):
    with meter(Budget(hours=100), estimate=5 * HOUR) as counting:
        assert counting.expected == 5 * HOUR
        begin(counting, trial(1), trial(2))
        clock.forward(1)
        counting.ended(ended(trial(1), "failed"))
        assert counting.expected == 5 * HOUR  # a failed one says nothing of a whole one
        clock.forward(1)
        counting.ended(ended(trial(2)))
        assert counting.expected == 2 * HOUR
        begin(counting, trial(3))
        counting.ended(ended(trial(3), training=3 * HOUR, evaluation=HOUR))  # resumed: 4 in all
        assert counting.expected == 3 * HOUR


def test_trials_of_earlier_drivers_tell_too(meter, config, records):
    done = TrialResult(
        trial_id=config.trial_id, config=config, status="converged",
        seconds={"training": 100.0, "evaluation": 20.0},
    )  # fmt: skip
    records.trial(config.trial_id).write_result(done)
    assert meter(Budget(hours=1), estimate=7.0).expected == 120.0
    usage = Usage(began="", seconds=9.0, gpus_per_trial=GPU.gpus, gpu_seconds=9.0)
    records.usage.write("000001.json", usage)
    assert meter(Budget(hours=1), GPU).expected == 120.0
    other = usage.model_copy(update={"gpus_per_trial": SHARED.gpus})
    records.usage.write("000002.json", other)
    # Which of them had how much of a GPU is not recorded.
    assert meter(Budget(hours=1), GPU).expected is None
    assert meter(Budget(hours=1), GPU).spent.seconds == 18.0


def test_running_trials_are_counted_with_the_rest_that_they_are_expected_to_need(meter, clock):
    with meter(Budget(gpu_hours=3), estimate=1 * HOUR) as counting:
        begin(counting, trial(1), trial(2))
        assert counting.may_start()  # 1 + 1 + 1
        begin(counting, trial(3))
        assert not counting.may_start()
        clock.forward(0.5)
        assert not counting.may_start()  # 1.5 used, 1.5 to come
        for seed in (1, 2, 3):
            counting.ended(ended(trial(seed)))  # all converged early
        assert counting.may_start()  # 1.5 used, 0.5 more
        clock.forward(100)
        assert counting.may_start()  # no GPU was used


def test_a_trial_that_overruns_has_no_rest_below_nothing(meter, clock):
    with meter(Budget(gpu_hours=6), estimate=1 * HOUR) as counting:
        begin(counting, trial(1))
        clock.forward(3)
        assert counting.expected == 3 * HOUR and counting.may_start()
        clock.forward(0.1)
        assert not counting.may_start()


def test_those_that_run_count_as_whole_beside_the_short_ones_that_ended(meter, clock):
    with meter(Budget(gpu_hours=9), estimate=4 * HOUR) as counting:
        begin(counting, trial(1), trial(2), trial(3))
        clock.forward(1)
        counting.ended(ended(trial(1), "diverged"))
        assert counting.expected == 3 * HOUR  # of 1, 4 and 4
        assert not counting.may_start()  # 3 used, 2 x 3 to come of those that last longer than 1
        counting.ended(ended(trial(2)))
        assert counting.expected == 2 * HOUR  # of 1, 1 and 4
        assert counting.may_start()  # 3 used, 3 + 2 to come
        counting.started(trial(4))
        assert counting.expected == 2.5 * HOUR  # of 1, 1, 4 and 4: one that waits is whole too
        assert not counting.may_start()  # 3 used, 3 + 2.5 + 2.5 to come
        counting.cancelled(trial(4))
        assert counting.may_start()


def test_without_an_estimate_a_running_trial_is_as_long_as_its_first_epoch_says(meter, clock):
    with meter(Budget(gpu_hours=99)) as counting:
        begin(counting, trial(1))
        counting.reported(trial(1), {"seconds": 720.0})
        begin(counting, trial(2))
        counting.reported(trial(2), {"seconds": 1440.0})
        assert counting.expected == 3 * HOUR  # of 2 and 4
        clock.forward(1)
        counting.ended(ended(trial(1)))
        assert counting.expected == 2.5 * HOUR  # of 1 and 4
        begin(counting, trial(3))  # as long as the mean by first epochs, 3
        assert counting.expected == pytest.approx(8 / 3 * HOUR)


def test_where_nothing_is_known_the_first_epoch_of_one_trial_gives_the_estimate(meter, clock):
    with meter(Budget(gpu_hours=3)) as counting:
        assert counting.may_start()
        begin(counting, trial(1))
        assert not counting.may_start()
        counting.reported(trial(1), {"seconds": 300.0, "validation_seconds": 60.0})
        assert counting.expected == 1 * HOUR and counting.may_start()
        begin(counting, trial(2), trial(3))
        assert not counting.may_start()


def test_without_a_budget_every_trial_may_start(meter, clock):
    with meter(Budget()) as counting:
        begin(counting, trial(1))
        clock.forward(1e6)
        assert counting.may_start() and counting.text() == ""


# --------------------------------------------------------------------------- the end of a sweep


def test_the_resume_command_has_a_budget_that_is_enough(meter, clock, monkeypatch):
    monkeypatch.setattr("sys.argv", ["s.py"])
    words = {"--budget-gpu-hours": ("3",), "--budget-hours": ("50",), "--a": ()}
    monkeypatch.setattr("sweeps.engine.system.provenance._taken", words)
    with meter(Budget(gpu_hours=3, hours=50), estimate=2 * HOUR) as counting:
        assert counting.stop_now(8) is None
        begin(counting, trial(1))
        clock.forward(2)
        counting.ended(ended(trial(1)))
        stop = counting.stop_now(7)
    assert stop is not None and stop.budget == "budget of 3 GPU-hours"
    # 2 used and 7 x 2 to come, with a tenth more. 50 hours are enough for 2 + 4 rounds of 2.
    assert stop.resume_command == "uv run python s.py --budget-gpu-hours 18 --budget-hours 50 --a"


def test_what_was_used_is_reported_with_its_price(meter, clock):
    counting = meter(Budget(gpu_hours=3))
    with counting:
        begin(counting, trial(1))
        clock.forward(1.5)
    assert used_line(counting.spent, counting.resources, counting.budget, 0.8).endswith(
        "1.5 GPU-hours, 1.5 hours, 1.20 at 0.80 per GPU-hour."
    )
    on_cpu = meter(Budget(hours=3), CPU)
    assert used_line(on_cpu.spent, CPU, on_cpu.budget, None).endswith("sweep: 1.5 hours.")
    assert used_line(Spent(), GPU, Budget(), None) == ""


def drive(meter, records, at_once, clock, machines=None, hours=1.0, **options):
    """Run a line search of trials of one hour as the scheduler does.

    Args:
        machines: how many trials run at a time, if fewer than allowed.
        hours: that each trial takes in truth, or one after the other.

    Returns:
        the trials that ended, and whether the search would have gone on.
    """
    given = {"sigmas": (0.0, 0.5), "seeds": 2, "num_trials": 1, "scale": "demo"} | options
    parsed = script.Options(**given)
    plan = make_plan(line_spec(parsed, parsed.sigmas), parsed)
    search, waiting, running, done, is_over = plan.search({}), {}, {}, [], False
    lengths = itertools.repeat(hours) if isinstance(hours, float) else iter(hours)
    driver = Driver(
        plan, search, records, [meter], may_start=meter.may_start,
        may_wait=meter.may_wait, allocation_listeners=[meter],
    )  # fmt: skip
    with meter:
        for number in range(1000):
            while len(running) + len(waiting) < at_once:
                if is_over := is_over or driver.is_over:  # the scheduler does not ask again
                    break
                tune_id = f"t{number}-{len(running) + len(waiting)}"
                if (config := driver.suggest(tune_id)) is None:
                    assert running or waiting, "nothing runs or is started: the sweep would hang"
                    break
                waiting[tune_id] = config
            while (tune_id := driver.cancel_waiting()) is not None:
                del waiting[tune_id]
            for tune_id in list(waiting)[
                : (at_once if machines is None else machines) - len(running)
            ]:
                running[tune_id] = waiting.pop(tune_id), clock.now + next(lengths) * HOUR
                driver.began(tune_id)
            if not running and not waiting:
                break
            if not running:  # no machine comes
                clock.forward(0.1)
                continue
            tune_id = min(running, key=lambda name: running[name][1])
            config, clock.now = running.pop(tune_id)
            result = TrialResult(
                trial_id=config.trial_id, config=config, status="converged", objective=80.0
            )
            records.trial(config.trial_id).write_result(result)
            driver.ended(tune_id, failed=False)
            done.append(config)
    assert driver.is_over
    return done, not search.is_exhausted


@pytest.mark.system
@pytest.mark.parametrize(
    "at_once", [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(3, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("budget", [0.5, 1.0, 2.2, 3.9, 4.1, 5.0, 6.0, 7.0])
def test_no_budget_is_passed_and_no_search_hangs(at_once, budget, meter, records, clock):
    """Four trials of a grid, then two that the search can only propose once these have ended."""
    counting = meter(Budget(gpu_hours=budget), Resources(1, 1.0, at_once), estimate=HOUR)
    done, was_cut = drive(counting, records, at_once, clock)
    spent = counting.spent.gpu_seconds / HOUR
    assert spent <= budget
    assert len(done) == min(6, int(budget)) and was_cut == (len(done) < 6)


@pytest.mark.system
@pytest.mark.parametrize("budget", [0.5, 1.0, 2.2, 3.0, 3.5, 10.0])
@pytest.mark.parametrize("machines", [0, 1, 2, 4])
def test_hours_end_on_machines_fewer_than_trials_that_wait(machines, budget, meter, records, clock):
    """Eight trials of an hour all wait from the start, as on a cluster that grows."""
    resources = Resources(1, 1.0, 8, grows=True)
    counting = meter(Budget(hours=budget), resources, estimate=HOUR)
    options = {"seeds": 4, "num_trials": 0}
    done, was_cut = drive(counting, records, 8, clock, machines, **options)
    assert counting.spent.seconds <= budget * HOUR + 1
    assert len(done) == min(8, machines * int(budget)) and was_cut == (len(done) < 8)
    assert counting.most_allocated == (machines if budget >= 1 else 0)
    if was_cut:
        rounds = 8 / max(1, machines)
        command = counting.stop_now(8 - len(done)).resume_command
        assert float(command.split()[-1]) >= min(rounds, 1.1 * budget)


def test_before_the_first_trial_a_budget_ends_as_well(meter, clock):
    """While the vanilla model waits for a machine, or is trained."""
    counting = meter(Budget(hours=2))
    with counting:
        assert counting.has_room()
        clock.forward(2.5)
        assert not counting.has_room()
    counting = meter(Budget(gpu_hours=1), Resources(1, 1.0, 8, grows=True))
    with counting:
        begin(counting, VANILLA)
        clock.forward(0.9)
        assert counting.has_room()
        clock.forward(0.2)
        assert not counting.has_room()
    with meter(Budget()) as counting:
        clock.forward(1000)
        assert counting.has_room()


@pytest.mark.parametrize("machines", [1, 2, 4])
def test_gpu_hours_take_back_what_waits_once_trials_need_more(machines, meter, records, clock):
    resources = Resources(1, 1.0, 8, grows=True)
    counting = meter(Budget(gpu_hours=10), resources, estimate=HOUR)
    options = {"seeds": 4, "num_trials": 0}
    done, was_cut = drive(counting, records, 8, clock, machines, hours=2.0, **options)
    assert counting.spent.gpu_seconds == 10 * HOUR
    assert len(done) == 5 and was_cut


def test_what_was_cancelled_is_proposed_again_once_trials_need_less(meter, records, clock):
    resources = Resources(1, 1.0, 10, grows=True)
    counting = meter(Budget(gpu_hours=14), resources, estimate=HOUR)
    hours = itertools.chain([1.0, 3.0], itertools.repeat(1.0))
    options = {"seeds": 5, "num_trials": 0}
    done, was_cut = drive(counting, records, 10, clock, 2, hours, **options)
    assert len(done) == 10 and not was_cut and counting.spent.gpu_seconds == 12 * HOUR


@pytest.mark.parametrize("at_once", [4, 16, 40])
def test_a_trial_that_ends_early_lets_no_crowd_pass_the_budget(at_once, meter, records, clock):
    counting = meter(Budget(gpu_hours=10), Resources(1, 1.0, at_once, grows=True), estimate=HOUR)
    hours = itertools.chain([1 / 60], itertools.repeat(1.0))  # the first diverges
    done, was_cut = drive(counting, records, at_once, clock, None, hours, seeds=20, num_trials=0)
    assert len(done) == 11 and was_cut  # 10 of an hour: the next is expected to need 0.9
    assert counting.spent.gpu_seconds == pytest.approx((10 + 1 / 60) * HOUR)


@pytest.mark.system
@pytest.mark.parametrize("at_once", [4, 16, 40])
def test_many_that_are_pruned_early_let_no_crowd_pass_the_budget(at_once, meter, records, clock):
    counting = meter(Budget(gpu_hours=10), Resources(1, 1.0, at_once, grows=True), estimate=HOUR)
    hours = itertools.cycle([1 / 27, 1 / 27, 1.0])
    done, was_cut = drive(counting, records, at_once, clock, None, hours, seeds=40, num_trials=0)
    assert was_cut and 7 < counting.spent.gpu_seconds / HOUR <= 11, len(done)


def test_hours_that_are_over_take_back_a_first_trial_of_which_nothing_is_known(
    meter, records, clock
):
    counting = meter(Budget(hours=2), Resources(1, 1.0, 8, grows=True))
    done, was_cut = drive(counting, records, 8, clock, machines=0)
    assert done == [] and was_cut and 2 * HOUR <= counting.spent.seconds < 2.3 * HOUR


def test_a_trial_that_was_withdrawn_is_the_next_one_and_keeps_its_turn(meter, records, clock):
    options = script.Options(sigmas=(0.1, 0.2, 0.3), seeds=1, num_trials=0, scale="demo")
    plan = make_plan(line_spec(options, options.sigmas), options)
    allowed = []
    driver = Driver(plan, plan.search({}), records, [], may_wait=lambda: bool(allowed))
    configs = [driver.suggest(name) for name in ("a", "b", "c")]
    driver.began("a")
    assert [driver.cancel_waiting(), driver.cancel_waiting(), driver.cancel_waiting()] == [
        "c",
        "b",
        None,
    ]
    assert not driver.search.is_exhausted and not driver.is_over
    driver.ended("b", failed=True)  # the scheduler says so of what it stops
    assert records.trial(configs[1].trial_id).result() is None
    allowed.append(True)
    assert [driver.suggest(name) for name in ("d", "e", "f")] == [*configs[1:], None]
    assert [driver.cancel_waiting(), driver.search.is_exhausted] == [None, True]
    folders = [records.trial(config.trial_id).folder for config in configs]
    assert [folder.read_json("turn.json")["turn"] for folder in folders] == [0, 1, 2]


def test_a_trial_that_lost_its_machine_is_not_withdrawn(meter, clock):
    with meter(Budget(hours=2), estimate=HOUR) as counting:
        begin(counting, trial(1))
        clock.forward(1.5)
        counting.deallocated(trial(1))
        assert counting.may_wait() and not counting.may_start()
        counting.started(trial(2))
        assert not counting.may_wait()
        counting.cancelled(trial(2))
        assert counting.may_wait()


def test_without_an_estimate_the_first_epoch_gives_that_of_the_evaluation_too(meter):
    counting = meter(Budget(gpu_hours=9))
    counting.after_training = lambda config, seconds: 100 * seconds
    with counting:
        begin(counting, trial(1, max_epochs=10))
        counting.reported(trial(1, max_epochs=10), {"seconds": 2.0, "validation_seconds": 0.5})
        assert counting.expected == 10 * 2.5 + 100 * 2.0


def test_a_stop_of_the_budget_is_in_the_last_record_alone(meter, records, clock):
    stop = Stop(option="budget_hours", limit=2.0, resume_command="again")
    with meter(Budget(hours=2)) as counting:
        counting.stop = stop
    assert records.usage.stopped() == stop
    with meter(Budget(hours=9)):
        assert records.usage.stopped() is None  # it is being resumed
    assert records.usage.stopped() is None
