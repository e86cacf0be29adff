"""A finished sweep that tests of several files look at: run once, for all workers."""

import fcntl
import shutil

import pytest

from tests.sweeps.faults import WHOLE, Sweep


@pytest.fixture(scope="session")
def finished(tmp_path_factory, worker_id):
    """A sweep that ended; its command may be repeated, nothing else may change it."""
    folder = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        folder = folder.parent  # the session's, which the workers share
    sweep = Sweep(folder / "finished", WHOLE)
    printed = sweep.cwd / "printed.txt"
    with (folder / "finished.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not sweep.cwd.exists():
            sweep.cwd.mkdir()
            code, text = sweep.run()
            printed.write_text(f"{code}\n{text}")
    assert printed.read_text().startswith("0\n"), printed.read_text()
    return sweep


@pytest.fixture
def another_finished(finished, tmp_path):
    """A copy of the sweep that ended, for this test alone."""
    shutil.copytree(finished.cwd, tmp_path / "copy")
    return Sweep(tmp_path / "copy", WHOLE)
