"""A sweep on a cluster that grows and shrinks, whose machines are taken away, all on this one."""

import io
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

import sweeps.sigma_line_search as script
from gon_core.data import idx
from gon_core.data.splits import split
from gon_core.models import MadryCNN
from sweeps.engine.planning.plan import make_plan
from sweeps.engine.planning.strength import line_spec
from sweeps.engine.records import SweepRecords
from sweeps.engine.records.storage import Folder
from sweeps.engine.trials.measures import prepare_data
from tests.cluster.local_cluster import HEAD, PATIENCE, LocalCluster, seen
from tests.s3_store import s3_store, uri
from tests.sweeps.faults import SWEEPS, TIMINGS

pytestmark = pytest.mark.cluster

# Some seconds an epoch, so that there is time to take a machine away.
ARGUMENTS = (
    "--scale", "demo", "--sigmas", "0", "0.5", "--seeds", "3", "--num-trials", "0",
    "--training-images", "3000", "--validation-images", "30", "--test-images", "30",
    "--max-epochs", "6", "--start-epochs", "1", "--name", "sweep", "--max-failures", "0",
)  # fmt: skip
LONG = 900.0  # seconds, for a whole sweep on a busy machine


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """Return the folder of an undisturbed sweep on this machine, without a cluster."""
    folder = tmp_path_factory.mktemp("local")
    command = [sys.executable, str(SWEEPS / "sigma_line_search.py"), *ARGUMENTS]
    ended = subprocess.run(
        [*command, "--storage", str(folder)], capture_output=True, text=True, timeout=LONG,
        env=os.environ | {"GON_FUSION": "eager"},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return folder


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(workers=3) as cluster:
        yield cluster


def command(cluster, folder, *arguments):
    return [
        sys.executable, str(SWEEPS / "sigma_line_search.py"), *ARGUMENTS, "--storage", str(folder),
        "--address", cluster.address, "--gpus-per-trial", "0", *arguments,
    ]  # fmt: skip


def start(cluster, folder, *arguments):
    return subprocess.Popen(
        command(cluster, folder, *arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, env=os.environ | cluster.environment, start_new_session=True,
    )  # fmt: skip


def running(process, storage, epoch):
    """Return the trial that runs now and has a checkpoint of ``epoch``, and its last attempt."""
    deadline = time.monotonic() + LONG
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[0]
        records = SweepRecords(Folder(str(storage)) / "sweep")
        for trial_id in records.trials() if records.folder.exists("trials") else ():
            trial = records.trial(trial_id)
            checkpoint = trial.latest_checkpoint() if trial.result() is None else None
            if trial.attempts() and (checkpoint.epoch if checkpoint else 0) >= epoch:
                return trial, trial.attempts()[-1]
        time.sleep(0.1)
    raise TimeoutError("no trial came so far")


def timeless_table(folder):
    content = io.BytesIO(Folder(str(folder)).read("results.parquet"))
    return pq.read_table(content).drop_columns(list(TIMINGS)).to_pylist()


def shared_bytes():
    """Return the size of the images that all trials share, and of the vanilla model."""
    options = script.Options.model_validate(
        {"scale": "demo", "training_images": 3000, "validation_images": 30, "test_images": 30}
    )
    asked = make_plan(line_spec(options, (0.0,)), options).config
    data = prepare_data(split(*idx.load("mnist", None), asked.data), asked.evaluation)
    return tensor_bytes(data), tensor_bytes(MadryCNN().state_dict())


def tensor_bytes(found):
    """Return the bytes of all tensors in dataclasses, tuples and dictionaries."""
    if isinstance(found, torch.Tensor):
        return found.numel() * found.element_size()
    if isinstance(found, dict):
        return sum(map(tensor_bytes, found.values()))
    if isinstance(found, tuple | list):
        return sum(map(tensor_bytes, found))
    return sum(map(tensor_bytes, vars(found).values())) if hasattr(found, "__dict__") else 0


def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_sweep_makes_machines_come_loses_one_ends_like_a_local_one_and_they_go(
    local, cluster, tmp_path
):
    watching = cluster.watch()
    process = start(cluster, tmp_path, "--checkpoint-every", "1")
    trial, attempt = running(process, tmp_path, epoch=1)
    raylet = parent(attempt.pid)
    assert "raylet" in Path(f"/proc/{raylet}/cmdline").read_text()
    os.kill(raylet, signal.SIGKILL)
    said, _ = process.communicate(timeout=LONG)
    assert process.returncode == 0, said
    first, second = trial.attempts()
    assert first.node == attempt.node != second.node and second.from_epoch >= 1
    assert timeless_table(tmp_path / "sweep") == timeless_table(local / "sweep")
    time.sleep(PATIENCE / 2)  # with nothing to do they go
    saw = seen(watching)
    machines = [set(found["machines"]) - {HEAD} for found in saw]
    assert max(map(len, machines)) == 3
    # At most one has the machine of the vanilla model; the autoscaler starts all others.
    assert max(found["places"] for found in saw) >= 5
    assert attempt.node in set().union(*machines[:-1]) and not machines[-1]
    # The vanilla model and six trials were given the same images: they were put once, and each
    # machine that ran trials fetched them once, as the vanilla model, which came from a machine.
    records = SweepRecords(Folder(str(tmp_path / "sweep")))
    assert len(records.results()) == 6
    images, weights = shared_bytes()
    sizes = [found["machines"] for found in saw]
    put = max(found.get(HEAD, 0) for found in sizes)
    assert images + weights <= put <= 1.1 * (images + 2 * weights), (put, images, weights)
    ran = {found.node for name in records.trials() for found in records.trial(name).attempts()}
    for node in ran:
        fetched = max(found.get(node, 0) for found in sizes)
        # The one that trained the vanilla model has it twice: as it gave it, and as it was put.
        assert images + weights <= fetched <= 1.1 * (images + 2 * weights), (node, fetched, put)


def test_a_trial_that_is_terminated_resumes_elsewhere_from_its_step(local, cluster, tmp_path):
    process = start(cluster, tmp_path, "--checkpoint-every", "100")
    trial, attempt = running(process, tmp_path, epoch=0)
    time.sleep(4)  # in the middle of an epoch, or of the evaluation
    os.kill(attempt.pid, signal.SIGTERM)
    said, _ = process.communicate(timeout=LONG)
    assert process.returncode == 0, said
    first, second = trial.attempts()
    assert first.stopped and not second.stopped and not second.passed_over
    assert timeless_table(tmp_path / "sweep") == timeless_table(local / "sweep")
    assert "stopped with a checkpoint" in trial.result().notes[0]


def test_a_machine_that_is_warned_notifies_its_trial_and_gets_no_other(local, cluster, tmp_path):
    process = start(cluster, tmp_path, "--checkpoint-every", "100")
    trial, attempt = running(process, tmp_path, epoch=0)
    time.sleep(4)
    notice = subprocess.run(
        [sys.executable, "-m", "sweeps.engine.backend.preemption", "notify", "--node", attempt.node,
         "--seconds", "120"], capture_output=True, text=True, timeout=180, cwd=tmp_path,
        env=os.environ | cluster.environment | {"RAY_ADDRESS": cluster.address},
    )  # fmt: skip
    assert notice.returncode == 0, notice.stdout + notice.stderr
    assert f"trial {trial.trial_id} notified (process {attempt.pid})" in notice.stdout
    assert (
        re.search(r"\b(\d) of \1 trials saved", notice.stdout) and "may still" not in notice.stdout
    )
    said, _ = process.communicate(timeout=LONG)
    assert process.returncode == 0, said
    first, second = trial.attempts()
    assert first.stopped and not second.stopped and second.node != first.node
    later = [SweepRecords(Folder(str(tmp_path / "sweep"))).trial(each) for each in
             SweepRecords(Folder(str(tmp_path / "sweep"))).trials()]  # fmt: skip
    began = [attempt for each in later for attempt in each.attempts() if each != trial]
    assert all(each.node != first.node for each in began if each.began > second.began)
    assert timeless_table(tmp_path / "sweep") == timeless_table(local / "sweep")


def test_a_sweep_in_a_bucket_on_a_cluster_that_loses_a_machine_ends_like_a_local_one(
    local, tmp_path
):
    with s3_store() as address:
        cluster = LocalCluster(workers=2)
        # Each machine has a permission of its own: no key travels with the sweep.
        cluster.environment |= {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
        storage = uri(address, key="")
        with cluster:
            process = start(cluster, storage, "--checkpoint-every", "1",
                            "--tracking-uri", f"sqlite:///{tmp_path}/mlflow.db")  # fmt: skip
            trial, attempt = running(process, uri(address), epoch=1)
            os.kill(parent(attempt.pid), signal.SIGKILL)
            said, _ = process.communicate(timeout=LONG)
        assert process.returncode == 0, said
        first, second = trial.attempts()
        assert first.node == attempt.node != second.node and second.from_epoch >= 1
        kept = Folder(uri(address)) / "sweep"
        assert timeless_table(kept.location) == timeless_table(local / "sweep")
        assert kept.exists("report/report.html")


def test_hours_that_are_over_take_back_the_trials_that_still_wait_for_a_machine(tmp_path):
    with LocalCluster(workers=1) as cluster:
        began = time.monotonic()
        process = start(cluster, tmp_path, "--budget-hours", "0.025")
        said, _ = process.communicate(timeout=LONG)
        took = time.monotonic() - began
    assert process.returncode == 3, said
    assert "Stopped by its budget of 0.025 hours" in said and "up to 6 at a time" in said
    results = SweepRecords(Folder(str(tmp_path / "sweep"))).results()
    assert 1 <= len(results) < 6 and all(result.status != "failed" for result in results)
    longest = max(sum(result.seconds.values()) for result in results)
    assert took < 0.025 * 3600 + longest + PATIENCE  # for the end, and what it takes to begin


def test_hours_that_are_over_end_a_sweep_to_which_no_machine_comes(tmp_path):
    with LocalCluster(workers=1) as cluster:
        held = hold_a_machine(cluster)
        process = start(cluster, tmp_path, "--budget-hours", "0.03")
        said, _ = process.communicate(timeout=LONG)
        held.kill()
        held.communicate()
    assert process.returncode == 3, said
    assert "Stopped by its budget of 0.03 hours" in said and "Traceback" not in said
    assert SweepRecords(Folder(str(tmp_path / "sweep"))).names() == []
    assert (tmp_path / "sweep/report/report.html").exists()


def hold_a_machine(cluster):
    """Return a process that keeps a part of a core, so that no trial has all of it."""
    held = subprocess.Popen(
        [sys.executable, "-c", HOLDING, cluster.address], stdout=subprocess.PIPE, text=True,
        stderr=subprocess.DEVNULL, env=os.environ | cluster.environment, cwd="/",
    )  # fmt: skip
    assert held.stdout is not None and held.stdout.readline() == "there\n"
    return held


HOLDING = """
import sys, time
import ray
ray.init(sys.argv[1], log_to_driver=False, logging_level="ERROR")
class Holding:
    def there(self):
        return "there"
held = ray.remote(num_cpus=0.1)(Holding).remote()
print(ray.get(held.there.remote()), flush=True)
time.sleep(600)
"""


def may_mount():
    tried = subprocess.run(
        ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False
    )
    return tried.returncode == 0


@pytest.mark.skipif(not may_mount(), reason="needs a mount namespace")
def test_a_machine_that_does_not_see_the_storage_ends_the_sweep_before_or_at_its_first_trial(
    tmp_path,
):
    folder = tmp_path / "results"
    folder.mkdir()
    with LocalCluster(workers=1, unseen=folder) as cluster:

        def run(name):
            return subprocess.run(
                command(cluster, folder, "--name", name), capture_output=True, text=True,
                env=os.environ | cluster.environment, timeout=LONG, check=False,
            )  # fmt: skip

        # There is no machine to ask: it comes for the vanilla model and the first trial.
        late = run("late")
        assert late.returncode == 2, late.stdout + late.stderr
        assert "is not seen from" in late.stderr and "Traceback" not in late.stderr + late.stdout
        assert "1 problem, the sweep ended:" in late.stderr
        assert not list((folder / "late/trials").glob("*/result.json"))
        held = hold_a_machine(cluster)
        early = run("early")  # now there is one
        held.kill()
        held.communicate()
        assert early.returncode == 2, early.stdout + early.stderr
        assert "is not seen from" in early.stderr and "Traceback" not in early.stderr + early.stdout
        assert not (folder / "early/trials").exists()
