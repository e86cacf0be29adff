"""What is kept apart on a GPU, with a GPU of which nothing works but the hand-out of streams."""

import contextlib
import gc
import inspect
import itertools
import threading
import weakref

import pytest
import torch

from gon_core.training import cuda_graphs
from gon_core.training.cuda_graphs import Recorder
from sweeps.engine.trials import together

GPU = torch.device("cuda")


class Graph:
    def register_generator_state(self, stream):
        pass


@contextlib.contextmanager
def fails(*arguments):
    yield
    raise RuntimeError("out of memory")


@pytest.fixture(autouse=True)
def gpu(monkeypatch):
    """32 streams, the 33rd is the first again."""
    turn = itertools.cycle(range(32))
    monkeypatch.setattr(cuda_graphs, "_IDLE", {})
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: None)
    monkeypatch.setattr(torch.cuda, "Stream", lambda device=None: next(turn))
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", fails)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: stream)
    for module in (cuda_graphs, together):  # what stands for a stream here is a number
        monkeypatch.setattr(module, "own_stream", inspect.unwrap(cuda_graphs.own_stream))


def test_a_stream_has_one_living_owner_however_many_there_were():
    kept = Recorder(GPU, [])
    of_trial = together._own_stream("cuda")
    assert of_trial != kept._stream
    for _ in range(100):
        assert Recorder(GPU, [])._stream not in (kept._stream, of_trial)


def test_trials_of_a_process_have_streams_of_their_own():
    kept, found = Recorder(GPU, []), []
    for _ in range(20):
        threads = [
            threading.Thread(target=lambda: found.append(together._own_stream("cuda")))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(found[-4:])) == 4 and kept._stream not in found


def test_the_graph_of_a_capture_that_failed_lives_as_long_as_the_others():
    recorder, made = Recorder(GPU, []), []

    class Watched(Graph):
        def __init__(self):
            made.append(weakref.ref(self))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "CUDAGraph", Watched)
        with pytest.raises(RuntimeError):
            recorder.record(lambda: None)
    gc.collect()
    assert made[0]() is not None
    del recorder
    assert made[0]() is None
