"""What --dry-run says of a sweep's cost, and where it knows it from."""

import socket
from dataclasses import replace

import pytest

import sweeps.method_comparison as comparison
import sweeps.sigma_line_search as script
from gon_core.config import ANT, TrainingConfig
from gon_core.training import checkpoints
from sweeps.engine.planning import trial_cost
from sweeps.engine.planning.plan import make_plan
from sweeps.engine.planning.strength import line_spec
from sweeps.engine.planning.sweep_cost import price_lines
from sweeps.engine.planning.trial_cost import (
    SHARES,
    Speed,
    TimeEstimate,
    estimate_time,
    further_images,
    recorded_time,
    storage_bytes,
    trial_seconds,
)
from sweeps.engine.records import VALIDATION_METRIC, Attempt, SweepRecords, TrialResult, Usage
from sweeps.engine.records.storage import Folder
from sweeps.engine.records.usage import Budget, Stop
from sweeps.engine.runs.sweep import describe_sweep
from sweeps.engine.system import machine, provenance
from sweeps.engine.trials import trial

HERE, ELSEWHERE = socket.gethostname(), "another-machine"
HOURLY = TimeEstimate(trial=3600.0, start=1800.0, source="by a made-up speed")


def plan_of(**options):
    given = {"scale": "demo", "sigmas": (0.0, 0.5), "seeds": 2, "num_trials": 1} | options
    parsed = script.Options(**given)
    return make_plan(line_spec(parsed, parsed.sigmas), parsed), parsed


@pytest.fixture
def on_gpus(monkeypatch):
    monkeypatch.setattr(machine, "gpu_count", lambda: 2)
    monkeypatch.setattr(machine, "cpu_count", lambda: 8)


@pytest.fixture
def without_gpu(monkeypatch):
    monkeypatch.setattr(machine, "gpu_count", lambda: 0)


def lines(plan, estimate, records, budget=None, price=None, start_is_kept=False):
    return price_lines(plan, estimate, records, start_is_kept, budget or Budget(), price)


def record(storage, seconds, device, host=HERE, trials=1, gpus=None, **options):
    """Write a sweep with measured trials whose epochs took ``seconds``, and 5 to validate."""
    plan, parsed = plan_of(name=f"sweep-{len(storage.names())}", **options)
    records = SweepRecords(storage / plan.name)
    records.write_sweep(describe_sweep(plan, parsed, "digest"))
    epoch = {"epoch": 1.0, "seconds": seconds, "validation_seconds": 5.0, VALIDATION_METRIC: 80.0}
    for config in plan.known_trials[:trials]:
        kept = records.trial(config.trial_id)
        kept.write_config(config)
        kept.write_attempt(Attempt(host, 1, "2026-11-22T13:00:00+00:00", 0, []))
        result = TrialResult(
            trial_id=config.trial_id, config=config, status="converged", history=[epoch],
            objective=80.0, seconds={"training": seconds, "evaluation": 40.0}, device=device,
        )  # fmt: skip
        kept.write_result(result)
    if gpus is not None:
        used = Usage(began="", seconds=1, gpus_per_trial=gpus, gpu_seconds=1)
        records.usage.write("000001.json", used)
    return records


# ------------------------------------------------------------------------------------- the words


def test_gpu_hours_and_money_are_those_of_all_trials_and_the_start(on_gpus, records):
    plan, _ = plan_of(gpus_per_trial=0.5)
    assert plan.number_of_trials == 6 and plan.resources.max_concurrent == 4
    texts = lines(plan, HOURLY, records, price=0.8)
    # 6 trials of an hour and half an hour of start, on half a GPU; two rounds of wall time.
    assert "at most about 2 h 30 min by a made-up speed" in texts[0]
    assert texts[1].startswith(
        "At most about 3.25 GPU-hours; at 0.80 per GPU-hour: at most about 2.60. Trials that "
        "converge early need less."
    )
    assert "3 GPU-hours" in lines(plan, HOURLY, records, start_is_kept=True)[1]


def test_the_start_has_one_gpu_where_trials_have_several(on_gpus, records):
    plan, _ = plan_of(gpus_per_trial=2.0)
    texts = lines(plan, HOURLY, records, Budget(gpu_hours=4.6))
    assert texts[1].startswith("At most about 12.5 GPU-hours")
    assert "the rest is enough for 2 of the 6 trials" in texts[2]


def test_of_a_cluster_that_grows_no_wall_time_of_all_is_claimed(on_gpus, records):
    plan, _ = plan_of()
    plan = replace(plan, resources=replace(plan.resources, max_concurrent=6, grows=True))
    texts = lines(plan, HOURLY, records, Budget(hours=2.7))
    assert texts[0].startswith("6 trials to run, up to 6 at a time, as machines come, on cuda")
    assert "each at most about 1 h 00 min by a made-up speed" in texts[0]
    assert texts[1].startswith("At most about 6.5 GPU-hours")
    assert texts[2] == (
        "Of the budget of 2.7 hours 0 are used; the rest is enough for 2 trials one after the "
        "other at each place that the cluster has, if none converges early."
    )


def test_a_price_of_nothing_and_one_of_a_thousandth_are_shown_as_they_are(on_gpus, records):
    plan, _ = plan_of()
    free, cheap = (lines(plan, HOURLY, records, price=price)[1] for price in (0.0, 0.001))
    assert "at 0.00 per GPU-hour: at most about 0.00" in free
    assert "at 0.001 per GPU-hour: at most about 0.0065" in cheap


def test_on_a_cpu_there_are_core_hours_and_no_gpu_hours(without_gpu, records):
    plan, _ = plan_of(cpus_per_trial=2)
    texts = lines(plan, HOURLY, records)
    assert texts[1].startswith("0 GPU-hours; at most about 13 core-hours.")


@pytest.mark.parametrize(
    ("gpus", "sharing", "at_once"),
    [(2.0, 1, 1), (1.0, 1, 2), (0.6, 1, 2), (0.25, 4, 8), (0.25, 3, 3)],
)
def test_trials_that_share_a_gpu_take_at_most_as_many_times_as_long(
    gpus, sharing, at_once, on_gpus, monkeypatch
):
    monkeypatch.setattr(trial_cost, "measure_speed", lambda *given: Speed(1e-6, 1e-7))
    monkeypatch.setattr(trial_cost, "gpu_name", lambda: "NVIDIA L4")
    plan, _ = plan_of(gpus_per_trial=gpus, max_concurrent=at_once)
    found = trial_cost.measured_time(plan)
    said = f", {sharing} times as long as alone for each of the {sharing} that share it"
    assert found.source == "by the speed measured now on NVIDIA L4" + (said if sharing > 1 else "")
    speeds = {plan.config.start.model: Speed(1e-6, 1e-7)}
    assert found.trial == pytest.approx(sharing * trial_seconds(plan, speeds)) != 0
    start = plan.config.start.training.max_epochs * plan.config.data.images_of_an_epoch
    assert found.start == pytest.approx(start * 1e-6)


def test_a_gpu_spends_more_on_a_noise_generator_than_a_cpu():
    training = TrainingConfig(batch_size=100, max_epochs=10)
    method = ANT(epsilon=5, pretraining_steps=7, reset_interval=2)
    on_cpu, on_gpu = (further_images(method, training, 1000, each) for each in SHARES.values())
    assert 10 * on_cpu == 10 * 1000 + 5 * 7 * 100
    assert 10 * on_gpu == pytest.approx(3 * 10 * 1000 + 2 * 5 * 7 * 100)


def test_of_a_gpu_that_is_not_here_no_figure_is_made_up(without_gpu, tmp_path, records):
    plan, _ = plan_of(gpus_per_trial=1.0, dry_run=True)
    assert plan.resources.device == "cuda" and plan.resources.max_concurrent == 1
    assert estimate_time(plan, Folder(str(tmp_path))) is None
    texts = lines(plan, None, records, Budget(gpu_hours=5), 0.8)
    assert "GPU-hours are not known: this machine has no GPU" in texts[0]
    assert texts[1] == "Of the budget of 5 GPU-hours 0 are used." and len(texts) == 3
    assert "at most" not in "".join(texts)


def test_how_many_trials_a_budget_is_enough_for(on_gpus, records):
    plan, _ = plan_of()
    spent = Usage(began="", seconds=3600, gpus_per_trial=1, gpu_seconds=1800)
    records.usage.write("000001.json", spent)

    def texts(**budget):
        return lines(plan, HOURLY, records, Budget(**budget))[2:-1]

    # Half an hour was used and half an hour is the start's.
    assert texts(gpu_hours=4.1) == [
        "Of the budget of 4.1 GPU-hours 0.5 are used; the rest is enough for 3 of the 6 trials, if "
        "none converges early."
    ]
    assert "enough for all of" in texts(gpu_hours=7)[0]
    assert "enough for 0 of" in texts(gpu_hours=0.6)[0]
    assert "1 are used; the rest is enough for 4 of" in texts(hours=3.6)[0]


# ------------------------------------------------------------------------- where it is known from


def test_earlier_trials_on_this_machine_tell(without_gpu, tmp_path):
    storage = Folder(str(tmp_path))
    record(storage, 100.0, "cpu, 1 thread(s)", trials=2, sigmas=(0.2, 0.3))
    plan, _ = plan_of()
    found = estimate_time(plan, storage)
    assert found.trial == pytest.approx(2 * (100 + 5) + 40)  # both epochs, and the evaluation
    assert found.start == pytest.approx(3 * 100)
    assert found.source == "by the recorded speed of 2 earlier trials on this machine's CPU"


@pytest.mark.parametrize(
    ("device", "changes"),
    [
        ("cpu, 1 thread(s)", {"host": ELSEWHERE}),
        ("cpu, 2 thread(s)", {}),
        ("NVIDIA L4", {}),
        ("cpu, 1 thread(s)", {"precision": "bf16"}),
        ("cpu, 1 thread(s)", {"test_images": 30}),
        ("cpu, 1 thread(s)", {"evaluate": ("attacks",)}),
        ("cpu, 1 thread(s)", {"method": ("pgd",), "sigmas": (0.1, 0.2)}),
    ],
)  # fmt: skip
def test_trials_of_another_kind_or_device_tell_nothing(device, changes, without_gpu, tmp_path):
    storage = Folder(str(tmp_path))
    record(storage, 1e6, device, **changes)
    plan, _ = plan_of()
    assert recorded_time(plan, storage) is None
    now = estimate_time(plan, storage)
    assert now.source == "by the speed measured now on this machine's CPU" and now.trial < 1e5


def test_recorded_trials_on_a_gpu_tell_of_a_gpu_that_is_not_here(without_gpu, tmp_path):
    storage = Folder(str(tmp_path))
    record(storage, 20.0, "NVIDIA L4, eager epsilon sphere", trials=3, gpus=1.0)
    record(storage, 99.0, "NVIDIA L4", trials=4, gpus=0.25, sigmas=(0.3, 0.4))  # shared
    plan, _ = plan_of(gpus_per_trial=1.0, dry_run=True)
    found = estimate_time(plan, storage)
    assert found == TimeEstimate(
        2 * (20 + 5) + 40, 3 * 20, "by the recorded speed of 3 earlier trials on NVIDIA L4"
    )


@pytest.mark.parametrize(
    ("device", "before", "now"),
    [("NVIDIA L4", 1.0, 0.25), ("NVIDIA L4", 0.25, 1.0), ("2 x cpu, 1 thread(s)", 0.0, 1.0)],
)
def test_a_sweep_that_was_resumed_with_other_gpus_gives_no_estimate(
    device, before, now, without_gpu, tmp_path
):
    """Which of its trials had which share is not recorded; and no CPU gives the speed of a GPU."""
    storage = Folder(str(tmp_path))
    records = record(storage, 20.0, device, trials=4, gpus=before)
    later = Usage(began="", seconds=1, gpus_per_trial=now, gpu_seconds=1)
    records.usage.write("000002.json", later)
    plan, _ = plan_of(gpus_per_trial=now, dry_run=True)
    assert estimate_time(plan, storage) is None


def test_two_processes_on_cores_tell_nothing_of_a_gpu(without_gpu, tmp_path):
    storage = Folder(str(tmp_path))
    record(storage, 20.0, "2 x cpu, 1 thread(s)", trials=4)
    plan, _ = plan_of(gpus_per_trial=1.0, dry_run=True)
    assert estimate_time(plan, storage) is None


def test_every_method_needs_a_record(without_gpu, tmp_path):
    storage = Folder(str(tmp_path))
    record(storage, 100.0, "cpu, 1 thread(s)", evaluate=())
    options = comparison.Options(scale="demo", method=("vanilla", "gnt"), evaluate=())
    plan = make_plan(comparison.spec(options), options)
    assert recorded_time(plan, storage) is None
    record(storage, 50.0, "cpu, 1 thread(s)", evaluate=(), method=("gnt", "vanilla"), trials=6)
    found = recorded_time(plan, storage)
    assert found is not None and found.start == pytest.approx(3 * 50)
    assert found.trial == pytest.approx(2 * 55 + 40)


def test_a_recorded_speed_is_for_the_epochs_of_each_method(without_gpu, tmp_path):
    """Of speckle noise the paper trains 10 epochs: its trials cost less than others."""
    storage = Folder(str(tmp_path))
    record(storage, 50.0, "cpu, 1 thread(s)", evaluate=(), method=("gnt", "vanilla"), trials=6)
    options = comparison.Options(scale="demo", method=("vanilla", "gnt"), evaluate=())
    plan = make_plan(comparison.spec(options), options)
    plan = replace(plan, config=plan.config.model_copy(update={"epochs": {"gnt": 1}}))
    found = recorded_time(plan, storage)
    assert found is not None and found.points == (2 * 55 + 40, 1 * 55 + 40)
    assert found.trial == pytest.approx(sum(found.points) / 2)


def test_a_given_speed_comes_before_records(on_gpus, tmp_path):
    storage = Folder(str(tmp_path))
    record(storage, 20.0, "NVIDIA L4", trials=3, gpus=0.5)
    plan, _ = plan_of(gpus_per_trial=0.5, max_concurrent=4)
    found = estimate_time(plan, storage, images_per_second=1000.0)
    speeds = {plan.config.start.model: Speed.from_training(1 / 1000)}
    assert found.trial == pytest.approx(2 * trial_seconds(plan, speeds)), "two share a GPU"
    assert found.source == (
        "by the given 1000 images a second, 2 times as long as alone for each of the 2 that share "
        "it: not measured"
    )
    assert len(found.points) == len(plan.config.grid)


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"config": []}', '{"config": {"data": 3}}', "\x80"]
)
def test_what_is_no_sweep_is_passed_over(content, without_gpu, tmp_path):
    storage = Folder(str(tmp_path))
    (tmp_path / "a.txt").write_text(content)
    for name in ("broken", "starting_models"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "sweep.json").write_text(content)
    plan, _ = plan_of()
    assert recorded_time(plan, storage) is None


def test_the_newest_sweep_with_every_method_is_what_counts(without_gpu, tmp_path, monkeypatch):
    storage = Folder(str(tmp_path))
    for day, seconds in enumerate((100.0, 200.0), 1):
        monkeypatch.setattr(provenance, "now", lambda day=day: f"2026-11-0{day}")
        record(storage, seconds, "cpu, 1 thread(s)", sigmas=(seconds / 1000, 1.0), trials=2)
    found = recorded_time(plan_of()[0], storage)
    assert found is not None and found.trial == pytest.approx(2 * 205 + 40)
    assert "2 earlier trials" in found.source


# --------------------------------------------------------------------------------------- storage


@pytest.mark.slow
def test_the_bytes_are_those_of_a_real_trial(config, data, start_weights, records, monkeypatch):
    real, sizes = trial.checkpoints.dump, []

    def dump(state):
        files = real(state)
        sizes.append(sum(map(len, files.values())))
        return files

    monkeypatch.setattr(trial.checkpoints, "dump", dump)
    kept = records.trial(config.trial_id)
    trial.run_trial(config, data, start_weights, kept)
    stayed = sum(len(kept.folder.read(name)) for name in ("result.json", checkpoints.MODEL))
    plan, _ = plan_of(max_epochs=3, sigmas=(0.5,), num_trials=0)
    checkpoint, finished = storage_bytes(plan)
    assert checkpoint == pytest.approx(sizes[-1], rel=0.001)
    assert finished == pytest.approx(stayed, rel=0.001)
    assert 26e6 < checkpoint < 27e6 and 13e6 < finished < 14e6


def test_a_stop_says_its_budget():
    assert Stop(option="budget_hours", limit=2, resume_command="").budget == "budget of 2 hours"
    assert Stop(option="budget_gpu_hours", limit=0.5, resume_command="").budget == (
        "budget of 0.5 GPU-hours"
    )


def test_the_cores_of_all_processes_of_a_trial_count_and_the_vanilla_model_has_one(
    without_gpu, records
):
    plan, _ = plan_of(processes_per_trial=2)
    whole, start = lines(plan, HOURLY, records)[1], HOURLY.start / 3600
    assert f"at most about {6 * 2 + start:.2g} core-hours" in whole
