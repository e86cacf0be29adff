"""Faults injected for real into small real sweeps: killed processes, signals, a second driver."""

import os
import random
import signal
import subprocess
import time

import pytest

from tests.sweeps.faults import PATIENCE, Sweep, kill, wait_for, wait_until_gone
from tests.sweeps.here import repeat_here

pytestmark = pytest.mark.system
KILLS = 20


def test_the_same_command_resumes_a_killed_sweep(tmp_path):
    """On Ray it is killed, and resumed without: the records are the same."""
    sweep = Sweep(tmp_path, "--sigmas 0.5 --seeds 1 --num-trials 0 --max-epochs 8")
    process = sweep.start()
    wait_for(sweep.checkpoints, process, what="a checkpoint")
    kill(process)
    wait_until_gone(sweep.workers())
    before = sweep.checkpoints()
    code, printed = repeat_here(sweep, draws=False)
    assert code == 0 and "Traceback" not in printed, printed
    (result,) = sweep.records.results()
    assert result.status == "max_epochs"
    assert [entry["epoch"] for entry in result.history] == [float(n + 1) for n in range(8)]
    starts = [attempt.from_epoch for attempt in sweep.attempts()[result.trial_id]]
    assert starts[0] == 0 and starts[-1] >= before[result.trial_id] > 0
    _, parents, trials = sweep.mlflow_runs()
    assert len(parents) == len(trials) == 1
    assert {run.info.status for run in (*parents, *trials)} == {"FINISHED"}


@pytest.mark.slow
def test_however_a_sweep_is_ended_the_same_command_resumes_it(tmp_path):
    """By SIGTERM, by Ctrl-C twice, by the death of its driver; then it goes on to its end.

    That last run is of a user whom the machine has no name for, and who has no home.
    """
    values = "--sigmas 0 0.4 0.8 --seeds 1 --num-trials 0 --training-images 100"
    sweep = Sweep(tmp_path, f"{values} --scheduler asha --max-epochs 40")
    process = sweep.start()
    wait_for(sweep.checkpoints, process, what="a checkpoint")
    code, second = repeat_here(sweep)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130 and "Traceback" not in out + err, out + err
    assert "Resume with" in out and "sigma_line_search.py" in out
    assert "Stopping; writing checkpoints, about 15 s. Press again to stop now." in out
    assert sweep.checkpoints()
    _, parents, trials = sweep.mlflow_runs()
    assert {run.info.status for run in (*parents, *trials)} == {"KILLED"}
    assert not list(sweep.folder.glob("drivers/*"))
    assert code == 2 and "Traceback" not in second
    assert f"is being run already, by process {process.pid} on " in second
    assert " since 20" in second

    process = resumed(sweep)
    process.send_signal(signal.SIGINT)
    time.sleep(0.6)  # nearer to each other they are one press, passed on twice
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert time.monotonic() - began < 5
    assert process.returncode == 130 and "Traceback" not in out + err, out + err
    assert "Resume with" in out + err

    process = resumed(sweep)
    kill(process)
    wait_until_gone(sweep.workers())

    nowhere = tmp_path / "nowhere/home"
    nameless = ["unshare", "--user", "--map-user=12345"]  # the same user under another number
    if not subprocess.run([*nameless, "true"], capture_output=True).returncode:
        sweep.command[:0] = nameless  # where users may not do that, the name is kept
    code, printed = sweep.run(HOME=str(nowhere), USER="")
    assert code == 0 and "Traceback" not in printed, printed
    assert not nowhere.parent.exists()
    results = sweep.records.results()
    assert len(results) == 3 and {result.status for result in results} <= {"max_epochs", "pruned"}
    for result in results:
        epochs = [entry["epoch"] for entry in result.history]
        assert epochs == [float(number + 1) for number in range(len(epochs))]
        if result.status == "pruned":
            assert len(epochs) < 40 and result.objective is None
        starts = [attempt.from_epoch for attempt in sweep.attempts()[result.trial_id]]
        assert starts == sorted(starts)  # never behind a checkpoint that was there
    _, (parent,), trials = sweep.mlflow_runs()
    assert parent.info.status == "FINISHED" and len(trials) == 3
    for run in trials:  # what was pruned is killed
        pruned = sweep.records.trial(run.data.tags["trial"]).result().status == "pruned"
        assert run.info.status == ("KILLED" if pruned else "FINISHED")


def resumed(sweep):
    """Start a sweep again; return its process once a trial goes on from its checkpoint."""
    before, attempts = sweep.checkpoints(), sweep.attempts()

    def further():
        return {n: made for n, made in sweep.attempts().items() if len(made) > len(attempts[n])}

    process = sweep.start()
    for name, made in wait_for(further, process, what="a trial to go on").items():
        assert made[-1].from_epoch >= before.get(name, 0)
    return process


@pytest.mark.slow
def test_a_trial_outlives_its_processes_until_too_many_died(tmp_path):
    """Of three trials one loses its process once, one twice, and one gets SIGTERM."""
    options = "--max-epochs 30 --max-failures 1 --max-concurrent 2 --training-images 100"
    sweep = Sweep(tmp_path, f"--sigmas 0.5 --seeds 3 --num-trials 0 {options}")
    process = sweep.start()
    wait_for(lambda: sorted(sweep.checkpoints().values())[-2:-1] >= [2], process)
    (killed, (one,)), (stopped, _) = sweep.attempts().items()
    os.kill(one.pid, signal.SIGKILL)
    for number in (1, 2):
        os.kill(sweep.attempts()[stopped][-1].pid, signal.SIGTERM)
        wait_for(lambda number=number: len(sweep.attempts()[stopped]) > number, process)
        time.sleep(1)  # until it is in the middle of an epoch
    (lost,) = wait_for(lambda: sweep.attempts().keys() - {killed, stopped}, process)
    for number in (1, 2):
        wait_for(lambda number=number: len(sweep.attempts()[lost]) == number, process)
        os.kill(sweep.attempts()[lost][-1].pid, signal.SIGKILL)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1 and "Traceback" not in out + err, out + err

    results = {name: sweep.records.trial(name).result() for name in (killed, stopped, lost)}
    assert results[lost].status == "failed"
    assert "the trial's process died 2 times" in results[lost].reason
    for name in (killed, stopped):
        assert results[name].status == "max_epochs"
        assert [entry["epoch"] for entry in results[name].history] == [n + 1.0 for n in range(30)]
    first, second = sweep.attempts()[killed]
    assert second.pid != first.pid and second.from_epoch >= 2
    assert [attempt.stopped for attempt in sweep.attempts()[stopped]] == [True, True, False]
    assert "stopped with a checkpoint" in results[stopped].notes[0]
    client, parents, trials = sweep.mlflow_runs()
    assert len(parents) == 1 and len(trials) == 3
    status = {run.data.tags["trial"]: run.info.status for run in trials}
    assert status == {killed: "FINISHED", stopped: "FINISHED", lost: "FAILED"}
    for run in trials:
        if run.data.tags["trial"] != lost:
            for metric in ("train_loss", "validation_corrupted"):
                points = client.get_metric_history(run.info.run_id, metric)
                assert sorted(point.step for point in points) == list(range(1, 31))


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
