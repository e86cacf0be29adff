"""A sweep on a small disk of its own (tmpfs) that is filled while it runs."""

import subprocess

import pytest

from tests.sweeps.faults import Sweep, wait_for

pytestmark = pytest.mark.slow
SIZE = 200  # MB; a checkpoint has some 26


@pytest.fixture
def disk(tmp_path):
    """Return an empty disk, mounted below ``tmp_path``."""
    folder = tmp_path / "results"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a tmpfs takes root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder, leave):
    """Take all of a disk's space but ``leave`` MB; return the file that takes it."""
    taken = folder / "filler"
    with taken.open("wb") as stream:
        block = bytes(64 * 1024)
        try:
            while True:
                stream.write(block)
                stream.flush()
        except OSError:
            pass
    size = taken.stat().st_size
    with taken.open("r+b") as stream:
        stream.truncate(size - leave * 1024**2)
    return taken


def test_the_trial_that_meets_a_full_disk_fails_with_that_reason_and_the_others_go_on(
    disk, tmp_path
):
    sweep = Sweep(
        tmp_path, "--sigmas 0.3 0.5 --seeds 1 --num-trials 0 --max-epochs 8 --max-concurrent 1"
    )
    process = sweep.start()
    wait_for(sweep.checkpoints, process, what="a checkpoint")
    filler = fill(disk, leave=8)
    wait_for(sweep.result_stamps, process, what="the failed trial's record")
    filler.unlink()
    out, err = process.communicate(timeout=240)
    printed = out + err
    assert process.returncode == 1 and "Traceback" not in printed, printed
    failed, done = sorted(sweep.records.results(), key=lambda result: result.is_final)
    assert failed.status == "failed" and "No space left on device" in failed.reason
    assert done.status == "max_epochs"
    assert f"trial {failed.trial_id} failed: StorageError: " in printed
    assert len(sweep.attempts()[failed.trial_id]) == 1  # it was not tried in vain again
    assert sweep.checkpoints()[failed.trial_id] >= 1

    code, printed = sweep.run()  # with space: the failed one goes on from its checkpoint
    assert code == 0, printed
    assert sweep.attempts()[failed.trial_id][-1].from_epoch >= 1


def test_where_not_even_records_find_room_the_sweep_ends_in_good_order(disk, tmp_path):
    sweep = Sweep(tmp_path, "--sigmas 0.3 0.5 --seeds 1 --num-trials 0 --max-epochs 8")
    process = sweep.start()
    wait_for(sweep.checkpoints, process, what="a checkpoint")
    filler = fill(disk, leave=0)
    out, err = process.communicate(timeout=240)
    printed = out + err
    assert process.returncode == 1 and "Traceback" not in printed, printed
    assert "No space left on device" in printed and "Resume with" in printed
    filler.unlink()
    code, printed = sweep.run()
    assert code == 0, printed
    assert len(sweep.result_stamps()) == 2
