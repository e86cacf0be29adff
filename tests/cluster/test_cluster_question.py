"""Whether a cluster can have a machine for a trial: what its autoscaler says, and of which request.

The question must never be left behind: Ray would keep a machine for it.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ray.autoscaler.v2.utils import ResourceRequestUtil

from sweeps.engine.resources import cluster_question
from sweeps.engine.resources.cluster_question import GENERATED, MARK_LABEL, can_have, take_back
from tests.cluster.local_cluster import PATIENCE, LocalCluster
from tests.sweeps.engine.runs.test_security import process_tree

TRIAL = {"CPU": 4.0, "GPU": 1.0}
TOO_LARGE = {"CPU": 4.0, "GPU": 8.0}
OTHER = {"CPU": 2.0, "GPU": 2.0}
MONITOR = "autoscaler/v2/monitor.py"  # the file of Ray's autoscaler


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(cluster_question, "LOOK_SECONDS", 0.001)


class Pretended:
    """A cluster with an autoscaler that can start machines of 4 CPUs and 2 GPUs.

    Args:
        looks: statuses between two rounds of the autoscaler; 0 for one that is dead.
        standing: machines that are requested already, and whether a sweep has.
        pending: machines that are starting.
        after: what happens at the status of that number.
    """

    def __init__(self, looks=3, standing=(), pending=0, after=None):
        self.looks, self.standing, self.after = looks, list(standing), after or {}
        self.version, self.asked, self.taken_back = 0, [], 0
        self.state = GENERATED.AutoscalingState(last_seen_cluster_resource_state_version=0)
        for _ in range(pending):
            self.state.pending_instances.add(ray_node_type_name="gpu")
            self.state.pending_instance_requests.add(ray_node_type_name="gpu", count=1)

    def status(self):
        self.version += 1
        self.after.get(self.version, lambda: None)()
        if self.looks and self.version % self.looks == 0:
            self.decide()
            self.version += 1  # the autoscaler has looked, too
        status = GENERATED.GetClusterStatusReply(autoscaling_state=self.state)
        status.cluster_resource_state.cluster_resource_state_version = self.version
        status.cluster_resource_state.cluster_resource_constraints.append(self.constraint())
        return status

    def request(self, *shapes):
        self.asked += shapes
        self.taken_back += not shapes
        self.standing = [(dict(shape), True) for shape in shapes]

    def decide(self):
        self.state.last_seen_cluster_resource_state_version = self.version
        del self.state.infeasible_cluster_resource_constraints[:]
        if any(shape["CPU"] > 4 or shape["GPU"] > 2 for shape, _ in self.standing):
            self.state.infeasible_cluster_resource_constraints.append(self.constraint())

    def constraint(self):
        constraint = GENERATED.ClusterResourceConstraint()
        for shape, marked in self.standing:
            request = ResourceRequestUtil.make(shape)
            if marked:
                request.label_selectors.add().label_constraints.add(label_key=MARK_LABEL)
            constraint.resource_requests.add(request=request, count=1)
        return constraint


def ask(autoscaler, shape, seconds=5.0, **arguments):
    return can_have(autoscaler, shape, time.monotonic() + seconds, **arguments)


@pytest.mark.parametrize("looks", [1, 2, 3, 10])
@pytest.mark.parametrize("pending", [0, 1])
@pytest.mark.parametrize(("shape", "can"), [(TRIAL, True), (TOO_LARGE, False)])
def test_the_autoscaler_is_believed_once_it_has_seen_the_request(looks, pending, shape, can):
    autoscaler = Pretended(looks, pending=pending)
    assert ask(autoscaler, shape) is can
    assert autoscaler.asked == [shape] and not autoscaler.standing


@pytest.mark.parametrize("shape", [TRIAL, TOO_LARGE])
def test_an_autoscaler_that_never_looks_says_nothing_whatever_is_starting(shape):
    autoscaler = Pretended(looks=0, pending=2)
    assert ask(autoscaler, shape, seconds=0.1) is None
    assert not autoscaler.standing


def test_what_was_impossible_for_another_is_not_so_for_us():
    autoscaler = Pretended(standing=[(TOO_LARGE, True)])
    autoscaler.decide()
    autoscaler.standing = []
    assert autoscaler.state.infeasible_cluster_resource_constraints
    assert ask(autoscaler, TRIAL) is True


def test_a_request_that_another_sweep_has_replaced_is_made_again():
    autoscaler = Pretended(looks=5)
    autoscaler.after = {4: lambda: autoscaler.request(OTHER), 8: lambda: autoscaler.request()}
    assert ask(autoscaler, TOO_LARGE) is False
    assert autoscaler.asked == [TOO_LARGE, OTHER, TOO_LARGE]


def test_the_question_of_a_sweep_that_is_dead_is_replaced_and_gone():
    autoscaler = Pretended(standing=[(OTHER, True)])
    assert ask(autoscaler, TOO_LARGE, seconds=0.5) is False
    assert autoscaler.asked == [TOO_LARGE] and not autoscaler.standing


def test_a_request_that_is_no_sweeps_is_left_alone():
    autoscaler = Pretended(standing=[(TRIAL, False)])
    assert ask(autoscaler, TRIAL) is None
    take_back(autoscaler, TRIAL)
    assert autoscaler.standing == [(TRIAL, False)] and not autoscaler.asked


def test_the_question_is_taken_back_when_it_is_told_to_end_or_a_call_fails():
    autoscaler = Pretended(looks=0)
    assert ask(autoscaler, TRIAL, is_told_to_end=lambda: bool(autoscaler.standing)) is None
    assert autoscaler.asked and not autoscaler.standing

    def fail():
        raise RuntimeError("timed out")

    autoscaler = Pretended(looks=0, after={3: fail})
    with pytest.raises(RuntimeError):
        ask(autoscaler, TRIAL)
    assert autoscaler.asked and not autoscaler.standing


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(workers=2) as cluster:
        yield cluster


def start(cluster, *arguments):
    """Return a process that runs a module, or code, and may talk to the cluster."""
    return subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=os.environ | cluster.environment,
    )  # fmt: skip


def question(cluster, *need):
    return start(cluster, "-m", cluster_question.__name__, cluster.address, *map(str, need))


REQUESTED = """
import sys
from sweeps.engine.resources.cluster_question import RayAutoscaler
state = RayAutoscaler(sys.argv[1]).status().cluster_resource_state
print(sum(len(found.resource_requests) for found in state.cluster_resource_constraints))
"""


def requested(cluster):
    """Return how many machines are requested of the cluster."""
    said, _ = start(cluster, "-c", REQUESTED, cluster.address).communicate(timeout=PATIENCE)
    return int(said)


# A trial of another sweep waits, and a machine starts for it; then a machine is asked for.
BESIDE_ANOTHER = """
import sys, time
import ray
from sweeps.engine.resources.cluster_question import RayAutoscaler, can_have
ray.init(sys.argv[1], log_to_driver=False, logging_level="ERROR")
autoscaler = RayAutoscaler(sys.argv[1])
waiting = ray.remote(num_cpus=1, num_gpus=1)(lambda: None).remote()
while True:
    state = autoscaler.status().autoscaling_state
    if state.pending_instance_requests or state.pending_instances:
        break
    time.sleep(0.01)
print([can_have(autoscaler, {"CPU": 1.0, "GPU": float(gpus)}, time.monotonic() + 15)
       for gpus in (8, 1)])
"""


@pytest.mark.cluster
def test_a_machine_that_starts_for_another_sweep_does_not_make_a_too_large_trial_possible(cluster):
    said, _ = start(cluster, "-c", BESIDE_ANOTHER, cluster.address).communicate(timeout=PATIENCE)
    assert said.splitlines()[-1] == "[False, True]"
    assert not requested(cluster)


@pytest.fixture
def silent(cluster):
    """The cluster while its autoscaler does not look."""
    (pid,) = [pid for pid in process_tree(cluster.pid) if MONITOR in command_of(pid)]
    os.kill(pid, signal.SIGSTOP)
    yield cluster
    os.kill(pid, signal.SIGCONT)


def command_of(pid):
    return Path(f"/proc/{pid}/cmdline").read_text()


def asking(cluster):
    """Return a process that asks for a machine, once it has."""
    process = question(cluster, 1, 8, time.monotonic() + 60)
    assert process.stdout is not None
    assert process.stdout.readline() == f"{cluster_question.ASKED}\n"
    while not requested(cluster):
        assert process.poll() is None
    return process


@pytest.mark.cluster
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_an_asker_that_is_told_to_end_takes_its_question_back(number, silent):
    process = asking(silent)
    process.send_signal(number)
    started = time.monotonic()
    said, _ = process.communicate(timeout=PATIENCE)
    assert (process.returncode, said) == (0, "null\n")
    assert time.monotonic() - started < 3, "`ray job stop` kills after three seconds"
    assert not requested(silent)


@pytest.mark.cluster
def test_the_question_of_an_asker_that_was_killed_can_be_taken_back(silent):
    process = asking(silent)
    process.kill()
    process.communicate()
    assert requested(silent) == 1
    said, _ = (ended := question(silent, 1, 8)).communicate(timeout=PATIENCE)
    assert ended.returncode == 0, said
    assert not requested(silent)
