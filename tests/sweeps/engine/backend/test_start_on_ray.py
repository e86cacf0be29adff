"""The vanilla model trained on a cluster: carried on as a trial is, and given up in one line."""

from typing import Any

import pytest
import ray
from ray.exceptions import OutOfMemoryError, RayError, RayTaskError

from sweeps.engine.backend import driver, start_on_ray
from sweeps.engine.backend.budget import OutOfBudgetError
from sweeps.engine.backend.driver import Limits
from sweeps.engine.backend.shared_data import SharedData
from sweeps.engine.backend.start_on_ray import StartTask
from sweeps.engine.records.starting_models import StartModel
from sweeps.engine.records.storage import Folder
from sweeps.engine.resources.cluster_check import ClusterError, UnsharedStorageError
from sweeps.engine.resources.resources import Resources

RESOURCES = Resources(cpus=1, gpus=0, slots=1)
START: Any = None  # neither is looked at by the processes of these tests
NO_DATA: Any = None
FOLDER = Folder("/nowhere")


class Task:
    """Stands for a remote function: what each of its processes says, and the error it ends with."""

    def __init__(self, *processes):
        self.processes = iter(processes)

    def options(self, **_):
        return self

    def remote(self, *_):
        return next(self.processes)


def lost(*said):
    """Return what a process says whose end is not told."""
    yield from said
    raise RayError("a page of text\n\nits process died")


@pytest.fixture
def train(monkeypatch):
    """Return a function that trains the vanilla model by these processes on two machines."""

    def train(*processes, failures=0, node_losses=0, gone=(), waiting=lambda: None, never=False):
        task = StartTask(START, FOLDER, FOLDER, RESOURCES, 1, Limits(failures, node_losses))
        asked = []

        def nodes():
            asked.append(1)
            return {"a", "b"} - set(gone if len(asked) > 1 else ())

        monkeypatch.setattr(ray, "remote", lambda **_: lambda function: Task(*processes))
        monkeypatch.setattr(ray, "get", lambda reference: reference)
        monkeypatch.setattr(
            ray, "wait", lambda streams, **_: ([], streams) if never else (streams, [])
        )
        monkeypatch.setattr(ray, "put", lambda value: value)
        monkeypatch.setattr(start_on_ray, "living_nodes", nodes)
        monkeypatch.setattr(driver, "PATIENCE", 0.01)
        return list(task.run(SharedData(NO_DATA), is_here=False, waiting=waiting))

    return train


BEGUN, MODEL = start_on_ray._Begun("a"), StartModel(b"", [])


def test_who_waits_for_a_machine_may_end_the_waiting(train):
    asked = []

    def over():
        asked.append(1)
        if len(asked) > 2:
            raise OutOfBudgetError

    with pytest.raises(OutOfBudgetError):
        train(lost(), waiting=over, never=True)


def test_memory_that_runs_out_is_not_tried_again(train):
    def low():
        yield start_on_ray._Begun("a")
        raise OutOfMemoryError("1 worker was killed: memory is low\nand a page of text")

    with pytest.raises(ClusterError, match=r"out of memory: 1 worker was killed: memory is low$"):
        train(low(), failures=3)


def test_one_that_loses_the_vanilla_model_is_one_line(train):
    with pytest.raises(ClusterError, match="trained: its process died once"):
        train(lost(BEGUN))


def test_the_vanilla_model_is_carried_on_after_as_many_failures_and_losses_as_trials_are(train):
    parts = (lost(BEGUN, 1), lost(BEGUN, 2), iter([BEGUN, 3, MODEL]))
    assert train(*parts, failures=2) == [1, 2, 3, MODEL]
    with pytest.raises(ClusterError, match="trained: its process died 2 times"):
        train(lost(BEGUN), lost(BEGUN), failures=1, node_losses=9)
    # A machine that is gone is no failure of its own, nor is a stop, of which nothing is raised.
    assert train(lost(BEGUN), iter([BEGUN, MODEL]), node_losses=1, gone="a") == [MODEL]
    assert train(iter([BEGUN, 1]), iter([BEGUN, MODEL]), node_losses=1) == [1, MODEL]
    with pytest.raises(ClusterError, match="trained: its machine went away once"):
        train(iter([BEGUN]), failures=9)


def test_one_that_came_to_nothing_may_have_been_on_any_machine(train):
    assert train(lost(), iter([BEGUN, MODEL]), node_losses=1, gone="b") == [MODEL]
    with pytest.raises(ClusterError, match="its process died once"):
        train(lost(), node_losses=1)


def test_what_breaks_the_training_itself_is_not_tried_again(train):
    def broken():
        yield BEGUN
        raise RayTaskError("train", "other training code", ValueError("other training code"))

    with pytest.raises(ClusterError, match="could not be trained: "):
        train(broken(), failures=9, node_losses=9)


def test_a_machine_that_does_not_see_the_records_trains_no_vanilla_model(train):
    with pytest.raises(UnsharedStorageError, match="not seen"):
        train(iter([start_on_ray._Begun("a", "not seen")]), failures=9)
