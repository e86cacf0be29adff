"""A cluster that goes away: what is said of it is one line."""

import os
from typing import Any

import pytest
import ray
from ray.exceptions import RayError

from sweeps.engine import cluster, tuner
from sweeps.engine.cluster_check import ClusterError
from sweeps.engine.resources import Resources

RESOURCES = Resources(cpus=1, gpus=0, slots=1)
START: Any = None  # neither is looked at before the cluster has failed
NO_DATA: Any = None


@pytest.fixture
def environment():
    """What a cluster sets in the environment is taken back."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def test_one_that_is_gone_before_the_sweep_connects_is_one_line(environment, monkeypatch):
    def gone(resources, address):
        raise ConnectionError("no answer")

    monkeypatch.setattr(cluster, "_connect", gone)
    with cluster.Cluster(RESOURCES, "127.0.0.1:1") as found:
        with pytest.raises(ClusterError, match="Ray cannot be reached any more: no answer"):
            found.wait()
        folder = found.scratch.parent
    assert folder.exists(), "what did not start keeps its logs until the next one"


class Broken:
    """Stands for a remote function whose process dies."""

    def options(self, **_):
        return self

    def remote(self, *_):
        return iter(["a reference"])


def test_one_that_loses_the_vanilla_model_is_one_line(monkeypatch):
    def lost(_):
        raise RayError("a page of text\n\nits process died")

    monkeypatch.setattr(ray, "remote", lambda **_: lambda function: Broken())
    monkeypatch.setattr(ray, "get", lost)
    with pytest.raises(ClusterError, match="trained: its process died"):
        list(tuner.train_start_model(START, NO_DATA, RESOURCES, is_here=False))
