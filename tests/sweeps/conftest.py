"""What tests of several files look at is made once, for all workers."""

import fcntl
import os
import shutil
from contextlib import contextmanager
from functools import cache, partial

import pytest

from gon_core import evaluation
from gon_core.data import idx
from gon_core.data.splits import LabelledImages
from sweeps.engine.planning import trial_cost
from sweeps.engine.runs import checkpoint_evaluation
from sweeps.engine.tracking.mlflow import sqlite_store
from tests.small_model import use_small_model
from tests.sweeps.faults import WHOLE, Sweep
from tests.sweeps.here import repeat_here


@pytest.fixture(scope="session")
def shared(tmp_path_factory, worker_id):
    """A folder that the workers of this session share."""
    folder = tmp_path_factory.getbasetemp()
    return folder if worker_id == "master" else folder.parent


@contextmanager
def one_at_a_time(folder, name):
    """Let the block be run by one worker at a time."""
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def finished(shared):
    """A sweep that ended, in this process; its command may be repeated, nothing else change it."""
    sweep = Sweep(shared / "finished", WHOLE)
    printed = sweep.cwd / "printed.txt"
    with one_at_a_time(shared, "finished"):
        if not sweep.cwd.exists():
            sweep.cwd.mkdir()
            code, text = repeat_here(sweep)
            printed.write_text(f"{code}\n{text}")
    assert printed.read_text().startswith("0\n"), printed.read_text()
    return sweep


@pytest.fixture
def another_finished(finished, tmp_path):
    """A copy of the sweep that ended, for this test alone."""
    shutil.copytree(finished.cwd, tmp_path / "copy")
    return Sweep(tmp_path / "copy", WHOLE)


@pytest.fixture(autouse=True, scope="session")
def new_stores_are_copies(shared):
    """Let MLflow make one new sqlite store, which takes seconds; the others are copies of it."""
    make, first = sqlite_store._create, shared / "empty.db"

    def create(path):
        with one_at_a_time(shared, "empty"):
            if not first.exists():
                make(first)
        shutil.copy(first, path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite_store, "_create", create)
        yield


@pytest.fixture(autouse=True, scope="session")
def digits_are_unpacked_once():
    """Without a quarter of a second of each sweep, which writes to no image."""
    unpack, mnist = idx.load, cache(partial(idx.load, "mnist"))

    def load(dataset, data_dir=None):
        return mnist() if dataset == "mnist" else unpack(dataset, data_dir)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(idx, "load", load)
        yield


@pytest.fixture(autouse=True, scope="session")
def speeds_are_measured_once():
    """Without the half second of each forecast; test_plan.py asks the function itself."""
    measure, known = trial_cost.measure_speed, {}

    def once(model, data, training, resources):
        key = (type(model), data.dataset, training.batch_size, training.precision, resources)
        if key not in known:
            known[key] = measure(model, data, training, resources)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        for module in (trial_cost, checkpoint_evaluation):
            patch.setattr(module, "measure_speed", once)
        yield


@pytest.fixture(autouse=True, scope="session")
def corrupted_images_are_made_once():
    """Without the quarter of a second of each sweep of the same few images."""
    make, known = evaluation.build, {}

    def once(data, split, suite, seed):
        if not isinstance(data, LabelledImages):
            return make(data, split, suite, seed)
        images = (data.images.numpy().tobytes(), data.labels.numpy().tobytes())
        key = (*images, split, suite.corrupt, suite.versions, seed)
        if key not in known:
            known[key] = make(data, split, suite, seed)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "build", once)
        yield


@pytest.fixture(scope="module")
def small_model():
    """Train a small classifier in this process, under the Madry CNN's name."""
    with pytest.MonkeyPatch.context() as patch:
        use_small_model(patch)
        yield


@pytest.fixture(autouse=True, scope="session")
def nothing_waits_for_the_disk():
    """Without the seconds of each fsync: no test turns the power off."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield
