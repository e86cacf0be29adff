"""A cluster that is lost: the message is one line."""

import gc
import os
import weakref
from pathlib import Path

import pytest
import ray
from ray.exceptions import RayError, RayTaskError
from torch import nn

from gon_core.data.files import DataFileError
from gon_core.data.imagenet_c_folder import ImageNetC
from gon_core.formats import evaluation_code
from gon_core.models import MadryCNN
from gon_core.training import checkpoints
from sweeps.engine.backend import cluster, shards
from sweeps.engine.records import SweepRecords
from sweeps.engine.records.storage import Folder
from sweeps.engine.resources.cluster_check import ClusterError, UnsharedStorageError
from sweeps.engine.resources.resources import Resources
from tests.sweeps.faults import Sweep
from tests.sweeps.here import repeat_here, run_here

RESOURCES = Resources(cpus=1, gpus=0, max_concurrent=1)


@pytest.fixture
def environment():
    """What a cluster sets in the environment is restored."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.system
def test_while_ray_ends_no_thread_frees_what_is_its_own(environment, monkeypatch):
    class Cycle:
        def __init__(self):
            self.me = self

    left = weakref.ref(Cycle())  # as Ray Tune leaves them
    seen = []
    monkeypatch.setattr(cluster, "_start", lambda *_: None)
    monkeypatch.setattr(ray, "shutdown", lambda: seen.append((left(), gc.isenabled())))
    with cluster.Cluster(RESOURCES) as ours:
        ours.stop()
        ours.join()
        assert seen == [(None, False)] and gc.isenabled()
    assert len(seen) == 1 and gc.isenabled()


@pytest.mark.system
def test_one_that_is_gone_before_the_sweep_connects_is_one_line(environment, monkeypatch):
    def gone(settings):
        raise ConnectionError("no answer")

    monkeypatch.setattr(cluster, "_start", gone)
    with cluster.Cluster(RESOURCES, "127.0.0.1:1") as found:
        with pytest.raises(ClusterError, match="Ray cannot be reached any more: no answer"):
            found.wait()
        folder = found.scratch.parent
    assert folder.exists(), "what did not start keeps its logs until the next one"


@pytest.mark.system
def test_a_ray_that_does_not_start_in_time_is_one_line(environment, monkeypatch):
    def slow(*_):
        raise Exception("The current node timed out during startup. This could happen because")

    monkeypatch.setattr(cluster, "_start", slow)
    with cluster.Cluster(RESOURCES) as found, pytest.raises(ClusterError, match="very busy"):
        found.wait()


class Broken:
    """Stands for a remote function whose process dies."""

    def options(self, **_):
        return self

    def remote(self, *_):
        return iter(["a reference"])


MODEL = nn.Flatten()
SHARD = ImageNetC(Path("unread"), ("fog",), ("a",), 1, (("b",),))


def as_task_error(cause):
    return RayTaskError("a_function", "pages of traceback", cause).as_instanceof_cause()


@pytest.mark.parametrize(
    ("raised", "error", "said"),
    [
        (RayError("a page\n\nits machine died"), ClusterError, "by the cluster: its machine died"),
        (ConnectionError("no answer"), ClusterError, "by the cluster: no answer"),
        (RayError(), ClusterError, "by the cluster: RayError"),
        (as_task_error(ValueError("odd")), ClusterError, "by the cluster: "),
        (as_task_error(ClusterError("there is other code")), ClusterError, "^there is other code$"),
        (as_task_error(DataFileError("no such folder")), DataFileError, "^no such folder$"),
    ],
)
@pytest.mark.parametrize("place", ["put", "get"])
def test_one_that_loses_an_evaluation_is_one_line(place, raised, error, said, monkeypatch):
    def lost(_):
        raise raised

    monkeypatch.setattr(ray, "put", lambda _: "a reference")
    monkeypatch.setattr(ray, "remote", lambda **_: lambda function: Broken())
    monkeypatch.setattr(ray, place, lost)
    with pytest.raises(error, match=said) as found:
        list(shards.Shards(RESOURCES, MODEL).evaluate_imagenet_c(MODEL, SHARD))
    assert "\n" not in str(found.value)


def test_a_machine_with_other_code_evaluates_nothing():
    def evaluate(*_):
        return ["rows"]

    def ask(code):
        return shards._on_a_machine(evaluate, MODEL, SHARD, RESOURCES, False, code)

    assert ask(evaluation_code()) == ["rows"]
    with pytest.raises(
        ClusterError, match="other code than the driver: evaluation_format 99, here"
    ):
        ask(evaluation_code() | {"evaluation_format": 99})


@pytest.mark.system
def test_one_that_is_gone_in_the_middle_ends_an_evaluation_and_says_why(environment, tmp_path):
    """The cluster answers at first, and is gone when the images have been made."""

    def gone(settings):
        raise ConnectionError("[no] answer")

    (tmp_path / "model.safetensors").write_bytes(checkpoints.dump_model(MadryCNN()))
    arguments = "--checkpoints model.safetensors --evaluate none --test-images 30 --name one"
    code, printed = run_here(
        tmp_path, "evaluate_checkpoint", *arguments.split(), "--validation-images", 30, "--address",
        "127.0.0.1:1", patched={
            "sweeps.engine.backend.cluster._start": gone,
            "sweeps.engine.resources.resources.no_machine_for": lambda *_: "",
        },
    )  # fmt: skip
    assert code == 1, printed
    assert "Ray cannot be reached any more: [no] answer" in printed.splitlines()
    assert "Traceback" not in printed
    assert SweepRecords(Folder(str(tmp_path / "results/one"))).results() == []


@pytest.mark.system
def test_storage_that_a_late_machine_does_not_see_ends_the_sweep_and_says_so(tmp_path):
    def train(run, *_):
        raise UnsharedStorageError("results is not seen from there")

    sweep = Sweep(tmp_path, "--sigmas 0 --seeds 1 --num-trials 0 --max-epochs 1")
    code, said = repeat_here(sweep, patched={"sweeps.engine.runs.sweep._Sweep._train": train})
    assert code == 2 and "Traceback" not in said, said
    assert "1 problem, the sweep ended:\n  --storage: results is not seen from there\n" in said
    assert "nothing was started" not in said
