"""A new sqlite store: made by any number of processes at once, or by one that is killed."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.engine.cli.storage_checks import checked_tracking_uri
from sweeps.engine.tracking.mlflow import sqlite_store
from sweeps.engine.tracking.mlflow.sqlite_store import ensure_store
from sweeps.engine.tracking.mlflow.uris import default_uri, sqlite_path

CREATE = sqlite_store._create  # not a copy, as in other tests

# Imports MLflow once and is forked for every process that a test needs: importing takes longer
# than what is tested. A line on stdin is Python to be run in such a process.
FORKS = """
import os, sys, time, traceback
from sweeps.engine.tracking.mlflow.store import settle_environment
settle_environment()
import logging
logging.disable(logging.CRITICAL)
import alembic.command, mlflow.store.tracking.sqlalchemy_store
from mlflow import MlflowClient
from pathlib import Path
from sweeps.engine.tracking.mlflow.sqlite_store import ensure_store
from tests.sweeps.engine.tracking.tracked_sweeps import sent_by

def fork(code):
    if pid := os.fork():
        return pid
    status = 1
    try:
        exec(code)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)

exec(sys.argv[1])
"""


@pytest.fixture(autouse=True)
def stores_are_made(monkeypatch):
    monkeypatch.setattr(sqlite_store, "_create", CREATE)


def run_forks(code, *arguments, seconds=300):
    """Run ``code`` in a process that can ``fork(code)``; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", FORKS, code, *map(str, arguments)], capture_output=True, text=True,
        timeout=seconds, cwd=Path(__file__).parents[4],
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def content(path):
    """Return the version of a store's tables, and its tables and experiments."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        version = database.execute("SELECT version_num FROM alembic_version").fetchall()
        names = database.execute("SELECT name FROM experiments").fetchall()
    return version, sorted(tables), sorted(name for (name,) in names)


@pytest.mark.system
def test_a_store_opens_in_a_folder_whose_name_looks_like_part_of_a_uri(tmp_path):
    from mlflow import MlflowClient

    folder = tmp_path / "a [b] 100%20 c?d"
    uri = default_uri(str(folder))
    assert checked_tracking_uri(uri) == uri and sqlite_path(uri) == folder / "mlflow.db"
    ensure_store(folder / "mlflow.db")
    assert [found.name for found in MlflowClient(uri).search_experiments()] == ["Default"]


@pytest.mark.slow
def test_eight_processes_share_one_new_store(tmp_path):
    """Each sends it a sweep of its own, from nothing to the end, at the same time."""
    code = """
children = [fork(f"sent_by({index}, {sys.argv[2]!r})") for index in range(8)]
print(sorted(os.waitpid(child, 0)[1] for child in children))
"""
    assert run_forks(code, tmp_path) == f"{[0] * 8}\n"
    _, _, experiments = content(tmp_path / "mlflow.db")
    assert experiments == ["Default", "gon/sigma"]
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        runs = database.execute("SELECT status FROM runs").fetchall()
    assert runs == [("FINISHED",)] * 16


@pytest.mark.slow
def test_a_kill_at_any_moment_of_its_creation_leaves_no_half_made_store(tmp_path):
    """The moments are of CPU time, which other work on the machine does not move."""
    code = """
folder = Path(sys.argv[2])
used = os.wait4(fork(f"ensure_store(Path({str(folder / 'whole.db')!r}))"), 0)[2]
nanoseconds = 1e9 * (used.ru_utime + used.ru_stime)
ended = os.WEXITED | os.WNOHANG | os.WNOWAIT
for moment in range(20):
    path = folder / f"{moment}.db"
    make = f"ensure_store(Path({str(path)!r}))"
    child = fork(make)
    ran = Path(f"/proc/{child}/schedstat")
    while int(ran.read_text().split()[0]) < nanoseconds * (moment + 0.5) / 20:
        if os.waitid(os.P_PID, child, ended):
            break
        time.sleep(0.002)
    os.kill(child, 9)
    _, status = os.waitpid(child, 0)
    print(moment, path.exists(), status == 9, flush=True)
    assert os.waitpid(fork(make), 0)[1] == 0
    store = f"MlflowClient('sqlite:///{path}')"
    assert os.waitpid(fork(f"{store}.create_experiment('after')"), 0)[1] == 0
"""
    lines = [line.split() for line in run_forks(code, tmp_path).splitlines()]
    killed = [moment for moment, _, was_killed in lines if was_killed == "True"]
    assert len(lines) == 20 and len(killed) >= 18, f"few creations were hit: {lines}"
    version, tables, _ = content(tmp_path / "whole.db")
    for moment, _, _ in lines:
        assert content(tmp_path / f"{moment}.db") == (version, tables, ["Default", "after"])


def make_database(path, *statements):
    with contextlib.closing(sqlite3.connect(path)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


@pytest.mark.parametrize("kind", ["text", "another database", "without its last row", "empty"])
def test_a_file_that_is_no_store_is_refused_and_kept(tmp_path, kind):
    path = tmp_path / "mlflow.db"
    if kind == "text":
        path.write_text("These are my notes, and they are longer than a header.\n" * 99)
    elif kind == "another database":
        make_database(path, "CREATE TABLE recipes (name TEXT)")
    elif kind == "without its last row":
        make_database(path, "CREATE TABLE experiments (name TEXT)", "CREATE TABLE runs (name TEXT)")
    else:
        path.touch()
    before = path.read_bytes()
    with pytest.raises(ValueError, match="not a whole store of MLflow"):
        ensure_store(path)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 2


@pytest.mark.system
def test_the_lock_of_a_killed_process_holds_up_nobody(tmp_path):
    path = tmp_path / "mlflow.db"
    code = (
        "import fcntl, sys, time\n"
        "lock = open(sys.argv[1], 'w')\n"
        "fcntl.flock(lock, fcntl.LOCK_EX)\n"
        "print('locked', flush=True)\n"
        "time.sleep(600)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, f"{path}.lock"], stdout=subprocess.PIPE)
    assert holder.stdout is not None and holder.stdout.readline() == b"locked\n"
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    (tmp_path / ".mlflow.db.new").write_bytes(b"half of one")
    (tmp_path / ".mlflow.db.new-journal").write_bytes(b"and its journal")
    ensure_store(path)
    assert content(path)[2] == ["Default"]
    assert sorted(found.name for found in tmp_path.iterdir()) == ["mlflow.db", "mlflow.db.lock"]
