"""The scripts of cluster/slurm in jobs of a real Slurm with two nodes, on this machine."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.engine.records import SweepRecords
from sweeps.engine.records.storage import Folder
from tests.cluster.definitions import ROOT
from tests.cluster.local_slurm import LocalSlurm, missing
from tests.cluster.test_local_cluster import LONG, timeless_table
from tests.sweeps.faults import SWEEPS

pytestmark = pytest.mark.cluster

SCRIPT = "cluster/slurm/sweep.sbatch"
# Two trials at once, for half a minute or more.
ARGUMENTS = (
    "--scale", "demo", "--sigmas", "0", "0.5", "--seeds", "1", "--num-trials", "0",
    "--training-images", "3000", "--validation-images", "30", "--test-images", "30",
    "--max-epochs", "8", "--start-epochs", "1", "--name", "sweep", "--max-failures", "0",
    "--checkpoint-every", "100",
)  # fmt: skip


@pytest.fixture(scope="module")
def slurm():
    if why := missing():
        pytest.skip(why)
    with LocalSlurm() as slurm:
        yield slurm


def submit(slurm, folder, *command, nodes=1, notice=300):
    """Submit a command as docs/slurm.md does; return the job's number."""
    said = slurm.run(
        "sbatch", "--parsable", f"--nodes={nodes}", "--cpus-per-task=1",
        f"--signal=B:TERM@{notice}", f"--output={folder}/log", SCRIPT, *map(str, command), cwd=ROOT,
        PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}", GON_FUSION="eager",
    )  # fmt: skip
    assert said.strip().isdecimal(), said
    return said.strip()


def facts(slurm, job):
    """Return what Slurm says of a job, by name."""
    return dict(re.findall(r"(\w+)=(\S*)", slurm.run("scontrol", "show", "job", job)))


def wait_until_over(slurm, job, folder):
    """Return what Slurm says of a job once it has ended."""
    ended = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")
    try:
        slurm.until(lambda: facts(slurm, job)["JobState"] in ended, LONG)
    finally:
        print((folder / "log").read_text(), slurm.said())
    return facts(slurm, job)


def test_a_sweep_outlives_the_time_limit_and_ends_like_a_local_one(slurm, tmp_path):
    local = tmp_path / "local"
    ended = subprocess.run(
        [sys.executable, str(SWEEPS / "sigma_line_search.py"), *ARGUMENTS, "--storage", str(local)],
        capture_output=True, text=True, timeout=LONG, env=os.environ | {"GON_FUSION": "eager"},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr

    command = ("sweeps/sigma_line_search.py", *ARGUMENTS, "--storage", tmp_path)
    job = submit(slurm, tmp_path, *command, nodes=2)
    records = SweepRecords(Folder(str(tmp_path)) / "sweep")

    def trials():
        found = records.trials() if records.folder.exists("trials") else ()
        return [records.trial(trial_id) for trial_id in found]

    slurm.until(lambda: sum(bool(trial.attempts()) for trial in trials()) == 2, LONG)
    # Now it has at least four minutes, and the signal is due: Slurm looks every half minute.
    minutes = int(facts(slurm, job)["RunTime"].split(":")[1]) + 5
    slurm.run("scontrol", "update", f"JobId={job}", f"TimeLimit={minutes}")
    slurm.until(lambda: facts(slurm, job)["JobState"] == "PENDING", LONG)
    stopped = [trial for trial in trials() if trial.attempts()[-1].stopped]
    # No other checkpoint is written before a trial's end.
    assert stopped and all(trial.latest_checkpoint() is not None for trial in stopped)
    # The next run has time; by itself Slurm would wait two minutes.
    slurm.run("scontrol", "update", f"JobId={job}", "TimeLimit=60", "StartTime=now")
    said = wait_until_over(slurm, job, tmp_path)
    assert (said["JobState"], said["Restarts"]) == ("COMPLETED", "1")
    # Two attempts, or three: Ray may restart a trial on the other node before that one is drained.
    assert all([a.stopped for a in trial.attempts()][-2:] == [True, False] for trial in stopped)
    nodes = {attempt.node for trial in trials() for attempt in trial.attempts()}
    assert len(nodes) == 4  # two of each run
    assert timeless_table(tmp_path / "sweep") == timeless_table(local / "sweep")
    assert not list(Path("/tmp").glob(f"gon-{job}-*"))


def test_scancel_ends_a_job_for_good_and_bad_commands_start_nothing(slurm, tmp_path):
    script = tmp_path / "waits.py"
    script.write_text("import time; print('it runs', flush=True); time.sleep(600)")
    job = submit(slurm, tmp_path, script)
    log = tmp_path / "log"
    slurm.until(lambda: log.exists() and "it runs" in log.read_text(), LONG)
    slurm.run("scancel", job)
    said = wait_until_over(slurm, job, tmp_path)
    assert (said["JobState"], said["Restarts"]) == ("CANCELLED", "0")
    slurm.until(lambda: not slurm.run("squeue", "--noheader"), LONG)
    assert not list(Path("/tmp").glob(f"gon-{job}-*"))

    job = submit(slurm, tmp_path, "sweeps/no_such_question.py")
    said = wait_until_over(slurm, job, tmp_path)
    assert (said["JobState"], said["ExitCode"]) == ("FAILED", "2:0")
    assert "usage, from the root of the clone" in log.read_text()


def test_two_jobs_share_a_node_each_with_its_own_ray(slurm, tmp_path):
    """Here both nodes are one machine, with one set of ports and one /tmp.

    A Ray that lets in who has no token would be refused by ``ask``.
    """
    script = tmp_path / "asks.py"
    script.write_text(
        "import sys\nfrom sweeps.engine.resources.cluster_check import ask\n"
        "print('cores:', ask(sys.argv[2]).room_for(1, 0))\n"
    )
    folders = [tmp_path / "first", tmp_path / "second"]
    jobs = []
    for folder in folders:
        folder.mkdir()
        jobs.append(submit(slurm, folder, script, notice=60))
    for job, folder in zip(jobs, folders, strict=True):
        said = wait_until_over(slurm, job, folder)
        assert said["JobState"] == "COMPLETED" and "cores: 1" in (folder / "log").read_text()
