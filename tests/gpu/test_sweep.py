"""The main job on one GPU: trials that share it, the same figures however they do, and its end."""

import pytest
import torch

from sweeps.engine.records.check import check
from tests.sweeps.faults import Sweep, kill, wait_for

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]
LINE = "--scale demo --sigmas 0 0.3 0.6 0.9 --seeds 1 --num-trials 0 --max-epochs 3"


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A sweep whose trials have the GPU one after the other."""
    sweep = Sweep(tmp_path_factory.mktemp("alone"), f"{LINE} --gpus-per-trial 1")
    code, printed = sweep.run()
    assert code == 0, printed
    return sweep


def overlap(records):
    """Return whether two trials ran at the same time."""
    times = []
    for result in records.results():
        (attempt,) = records.trial(result.trial_id).attempts()
        times.append((attempt.began, result.ended))
    return any(a[0] < b[1] and b[0] < a[1] for a in times for b in times if a is not b)


def test_a_sweep_ends_and_its_records_are_whole(alone):
    assert check(alone.records).is_whole
    results = alone.records.results()
    assert len(results) == 4 and {result.status for result in results} == {"max_epochs"}
    assert {result.device for result in results} == {torch.cuda.get_device_name()}
    assert not overlap(alone.records)


def test_four_trials_share_a_gpu_and_find_the_same(alone, tmp_path):
    sweep = Sweep(tmp_path, f"{LINE} --gpus-per-trial 0.25")
    code, printed = sweep.run()
    assert code == 0, printed
    assert overlap(sweep.records) and sweep.table() == alone.table()


def test_four_trials_of_one_process_find_the_same(alone, tmp_path):
    sweep = Sweep(tmp_path, f"{LINE} --trials-per-process 4")
    code, printed = sweep.run()
    assert code == 0, printed
    pids = {
        attempt.pid
        for result in sweep.records.results()
        for attempt in sweep.records.trial(result.trial_id).attempts()
    }
    assert len(pids) == 1 and overlap(sweep.records)
    assert check(sweep.records).is_whole and sweep.table() == alone.table()


def test_a_killed_sweep_goes_on_to_the_same_figures(alone, tmp_path):
    sweep = Sweep(tmp_path, f"{LINE} --gpus-per-trial 0.5")
    process = sweep.start()
    wait_for(sweep.checkpoints, process, what="a checkpoint")
    kill(process)
    code, printed = sweep.run()
    assert code == 0, printed
    assert sweep.table() == alone.table()


def test_adversarial_noise_on_a_shared_gpu(tmp_path):
    arguments = "--scale demo --depths 2 4 --kernel-sizes 1 --seeds 1 --max-epochs 2"
    sweep = Sweep(tmp_path, f"{arguments} --gpus-per-trial 0.5", script="generator_depth")
    code, printed = sweep.run()
    assert code == 0, printed
    results = sweep.records.results()
    assert len(results) == 2 and {result.status for result in results} == {"max_epochs"}
    assert all("epsilon sphere" in result.device for result in results)


def test_more_gpus_than_there_are_are_refused(tmp_path):
    count = torch.cuda.device_count() + 1
    code, printed = Sweep(tmp_path, f"{LINE} --gpus-per-trial {count}").run()
    assert code == 2 and "Traceback" not in printed and "gpus-per-trial" in printed
    assert not list(tmp_path.iterdir())
