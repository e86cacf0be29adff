"""Faults injected for real into small real sweeps: killed processes, signals, a second driver."""

import os
import random
import signal
import subprocess
import time

import pytest

from tests.sweeps.faults import PATIENCE, Sweep, kill, wait_for, wait_until_gone

pytestmark = pytest.mark.system

KILLS = 20
LONG = "--sigmas 0.3 0.5 --seeds 1 --num-trials 0 --max-epochs 60"


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """A long sweep, told to end once a checkpoint was kept; (sweep, exit code, printed)."""
    sweep = Sweep(tmp_path_factory.mktemp("interrupted"), LONG)
    process = sweep.start()
    wait_for(sweep.checkpoints, process, what="a checkpoint")
    second = subprocess.run(
        sweep.command, cwd=sweep.cwd, capture_output=True, text=True, timeout=PATIENCE
    )
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE)
    return sweep, process, out + err, second


def test_sigterm_keeps_checkpoints_and_ends_every_run(interrupted):
    sweep, process, printed, _ = interrupted
    assert process.returncode == 130 and "Traceback" not in printed, printed
    assert "Resume with" in printed and "sigma_line_search.py" in printed
    assert sweep.checkpoints() and not sweep.result_stamps()
    _, parents, trials = sweep.mlflow_runs()
    assert {run.info.status for run in (*parents, *trials)} == {"KILLED"}
    assert not list(sweep.folder.glob("drivers/*"))


def test_a_second_driver_is_refused_and_told_who_runs_the_sweep(interrupted):
    _, process, _, second = interrupted
    assert second.returncode == 2 and "Traceback" not in second.stderr
    assert f"is being run already, by process {process.pid} on " in second.stderr
    assert " since 20" in second.stderr


@pytest.mark.slow
def test_a_trial_that_the_memory_of_its_machine_does_not_hold_is_not_tried_again(tmp_path):
    sweep = Sweep(tmp_path, "--sigmas 0.5 --seeds 1 --num-trials 0 --max-epochs 500")
    code, printed = sweep.run(RAY_memory_usage_threshold="0.01")  # Ray ends what is above it
    assert code == 1 and "Traceback" not in printed, printed
    assert "out of memory" in printed
    (result,) = sweep.records.results()
    assert result.status == "failed" and result.reason.startswith("out of memory: ")
    assert len(sweep.attempts()[result.trial_id]) <= 1
    _, _, (trial,) = sweep.mlflow_runs()
    assert trial.info.status == "FAILED"


def test_a_second_ctrl_c_ends_within_five_seconds_and_the_sweep_can_be_carried_on(tmp_path):
    sweep = Sweep(tmp_path, LONG)
    process = sweep.start()
    wait_for(sweep.checkpoints, process, what="a checkpoint")
    process.send_signal(signal.SIGINT)
    time.sleep(0.6)  # nearer to each other they are one press, passed on twice
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert time.monotonic() - began < 5
    assert process.returncode == 130 and "Traceback" not in out + err, out + err
    assert "Resume with" in out + err
    before = sweep.checkpoints()
    again = sweep.start()
    began_again = wait_for(
        lambda: {name: made for name, made in sweep.attempts().items() if len(made) > 1}, again
    )
    assert max(before.values()) > 0
    for name, attempts in began_again.items():
        assert attempts[-1].from_epoch >= before.get(name, 0)
    kill(again)
    wait_until_gone(sweep.workers())


def test_a_killed_worker_goes_on_from_its_checkpoint_and_tells_no_epoch_twice(tmp_path):
    sweep = Sweep(tmp_path, "--sigmas 0.5 --seeds 2 --num-trials 0 --max-epochs 12")
    process = sweep.start()
    wait_for(lambda: min(sweep.checkpoints().values(), default=0) >= 2, process)
    name = next(iter(sweep.checkpoints()))
    (attempt,) = sweep.attempts()[name]
    os.kill(attempt.pid, signal.SIGKILL)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, out + err
    first, second = sweep.attempts()[name]
    assert second.pid != first.pid and second.from_epoch >= 2
    result = sweep.records.trial(name).result()
    assert [entry["epoch"] for entry in result.history] == [float(n + 1) for n in range(12)]
    client, parents, trials = sweep.mlflow_runs()
    assert len(parents) == 1 and len(trials) == 2
    assert {run.info.status for run in (*parents, *trials)} == {"FINISHED"}
    for run in trials:
        for metric in ("train_loss", "validation_corrupted"):
            steps = [point.step for point in client.get_metric_history(run.info.run_id, metric)]
            assert sorted(steps) == list(range(1, 13))


def test_a_worker_that_died_too_often_fails_its_trial_and_one_that_was_told_to_end_does_not(
    tmp_path,
):
    options = "--max-epochs 30 --max-failures 0 --checkpoint-every 100"
    sweep = Sweep(tmp_path, f"--sigmas 0.5 --seeds 2 --num-trials 0 {options}")
    process = sweep.start()
    wait_for(lambda: sum(map(len, sweep.attempts().values())) == 2, process)
    time.sleep(1)  # in the middle of an epoch
    (killed, (one,)), (told, (other,)) = sweep.attempts().items()
    os.kill(one.pid, signal.SIGKILL)
    os.kill(other.pid, signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1, out + err
    failed, done = (sweep.records.trial(name).result() for name in (killed, told))
    assert failed.status == "failed" and "the trial's process died once" in failed.reason
    assert done.status == "max_epochs" and "stopped with a checkpoint" in done.notes[0]
    first, second = sweep.attempts()[told]
    assert first.stopped and not second.stopped and not second.passed_over
    epochs = [entry["epoch"] for entry in done.history]
    assert epochs == [float(number + 1) for number in range(30)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "arguments", "trials"),
    [
        ("sigma_line_search", "--sigmas 0.2 0.5 0.8 --seeds 2 --num-trials 0 --max-epochs 24", 6),
        ("joint_search", "--num-trials 6 --sampler tpe --max-concurrent 1 --max-epochs 8 "
         "--pretraining-steps 1", 6),
    ],
    ids=["grid, two at a time", "tpe, one at a time"],
)  # fmt: skip
def test_a_driver_killed_20_times_ends_bit_identical_to_an_undisturbed_sweep(
    script, arguments, trials, tmp_path
):
    for name in ("undisturbed", "killed"):
        (tmp_path / name).mkdir()
    undisturbed = Sweep(tmp_path / "undisturbed", arguments, script)
    code, printed = undisturbed.run(patience=3 * PATIENCE)
    assert code == 0, printed
    sweep = Sweep(tmp_path / "killed", arguments, script)
    moments = random.Random(3)
    finished: dict[str, int] = {}
    for number in range(KILLS):
        process = sweep.start()
        if number % 4:  # most of a start is imports: in between the trials must get on
            before = sweep.progress()
            wait_for(lambda before=before: sweep.progress() != before, process, what="a record")
        time.sleep(moments.uniform(0, 1.0))
        epochs = sweep.checkpoints()
        assert process.poll() is None, "the sweep ended before it was killed often enough"
        kill(process)
        wait_until_gone(sweep.workers())
        for trial, stamp in finished.items():  # none is lost, none is trained again
            assert sweep.result_stamps()[trial] == stamp
        finished = sweep.result_stamps()
        for trial, epoch in epochs.items():
            if trial not in finished:
                assert sweep.checkpoints()[trial] >= epoch
    code, printed = sweep.run(patience=3 * PATIENCE)
    assert code == 0, printed
    for trial, stamp in finished.items():
        assert sweep.result_stamps()[trial] == stamp
    for attempts in sweep.attempts().values():
        starts = [attempt.from_epoch for attempt in attempts]
        assert starts == sorted(starts)  # never behind a checkpoint that was there
    assert len(sweep.result_stamps()) == trials
    assert sweep.table().equals(undisturbed.table())
    _, parents, children = sweep.mlflow_runs()
    assert len(parents) == 1 and len(children) == trials
    assert {run.info.status for run in (*parents, *children)} == {"FINISHED"}
