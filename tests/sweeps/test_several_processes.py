"""Trials of two processes in a sweep, and two trials in a process: the figures of a process each,
and on Ray an end in order."""

import os
import signal
from pathlib import Path

import pytest

from sweeps.engine.records.check import check
from sweeps.engine.system import machine
from tests.sweeps.engine.runs.test_security import process_tree
from tests.sweeps.faults import PATIENCE, Sweep, is_alive, wait_for, wait_until_gone
from tests.sweeps.here import repeat_here

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(machine.cpu_count() < 2, reason="needs two cores"),
]
LONG = "--sigmas 0 0.5 --seeds 1 --num-trials 0 --max-epochs 25"
TWO = "--sigmas 0 0.5 --seeds 1 --num-trials 0 --max-epochs 2 --processes-per-trial 2"


@pytest.mark.slow
def test_two_processes_find_what_one_does(finished, tmp_path):
    sweep = Sweep(tmp_path, TWO)
    code, printed = repeat_here(sweep, draws=False)
    assert code == 0 and "Traceback" not in printed, printed
    assert check(sweep.records).is_whole
    found = sweep.records.results()
    assert len(found) == 2 and {result.status for result in found} == {"max_epochs"}
    assert {result.device for result in found} == {"2 x cpu, 1 thread(s)"}
    by_one = {result.trial_id: result for result in finished.records.results()}
    for result in found:
        other = by_one[result.trial_id]
        assert other.device == "cpu, 1 thread(s)"
        losses = [[entry["train_loss"] for entry in each.history] for each in (result, other)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)
        # Of 30 images one more or less may be right, where two classes are as likely to 1e-6.
        for ours, theirs in zip(result.measurements, other.measurements, strict=True):
            assert (ours.split, ours.setting) == (theirs.split, theirs.setting)
            assert abs(ours.value - theirs.value) <= 100 / 30 + 1e-9


@pytest.mark.slow
def test_two_trials_in_a_process_are_notified_and_resumed_together(tmp_path):
    sweep = Sweep(tmp_path, f"{LONG} --trials-per-process 2")
    process = sweep.start()
    wait_for(lambda: len(sweep.checkpoints()) == 2, process, what="checkpoints of both")
    (worker,) = sweep.workers()
    os.kill(worker, signal.SIGTERM)  # as a machine does that will be taken away
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, out + err
    assert check(sweep.records).is_whole
    first, second = zip(*sweep.attempts().values(), strict=True)  # each began twice
    assert {attempt.pid for attempt in first} == {worker} and all(each.stopped for each in first)
    assert len({attempt.pid for attempt in second}) == 1
    assert all(each.from_epoch > 0 for each in second)
    results = sweep.records.results()
    assert [len(result.history) for result in results] == [25, 25]


@pytest.mark.slow
def test_sigterm_fails_no_trial_and_leaves_no_process(tmp_path):
    sweep = Sweep(tmp_path, TWO.replace("--max-epochs 2", "--max-epochs 200"))
    process = sweep.start()
    wait_for(sweep.checkpoints, process, what="a checkpoint")
    below = process_tree(process.pid)
    ranks = [pid for pid in below if b"sweeps.engine.trials.ranks" in _command(pid)]
    assert ranks and all(map(is_alive, ranks))
    os.kill(process.pid, signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, out + err
    assert sweep.checkpoints() and not sweep.result_stamps()
    wait_until_gone(ranks)


def _command(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
