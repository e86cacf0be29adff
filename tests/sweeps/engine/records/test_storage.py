"""What a folder on a local disk promises; test_s3.py beside it asks the same of S3."""

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sweeps.engine.records import Checkpoint, SweepRecords
from sweeps.engine.records.storage import Folder
from sweeps.engine.system.errors import OutsideError, StorageError

FULL_DISK = """
import resource, sys
from sweeps.engine.records.storage import Folder
from sweeps.engine.system.errors import StorageError
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    Folder(sys.argv[1]).write("file", bytes(200_000))
except StorageError as error:
    print(type(error).__name__, error.reason)
"""
KILLED = """
import os, signal, sys
from sweeps.engine.records.storage import Folder
os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
Folder(sys.argv[1]).write("file", b"new")
"""


def run(program: str, folder: Folder) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", program, folder.path], capture_output=True, text=True, timeout=60
    )


@pytest.fixture
def folder(tmp_path):
    return Folder(str(tmp_path / "sweep"))


@pytest.mark.system
def test_a_disk_that_is_full_leaves_the_old_file_and_nothing_else(folder):
    folder.write("file", b"old")
    ended = run(FULL_DISK, folder)
    assert "StorageError File too large" in ended.stdout, ended.stderr
    assert folder.read("file") == b"old"
    assert os.listdir(folder.path) == ["file"]


@pytest.mark.system
def test_what_a_killed_process_left_is_no_record_and_is_removed_after_an_hour(folder):
    """Not before: it may be what a living process writes, here or on another machine."""
    folder.write("file", b"old")
    ended = run(KILLED, folder)
    assert ended.returncode == -signal.SIGKILL
    (unfinished,) = set(os.listdir(folder.path)) - {"file"}  # the fault was injected
    assert folder.names() == ["file"] and folder.read("file") == b"old"
    folder.write("file", b"new")
    assert len(os.listdir(folder.path)) == 2
    two_hours_ago = time.time() - 7200
    os.utime(f"{folder.path}/{unfinished}", (two_hours_ago, two_hours_ago))
    folder.write("other", b"1")
    assert len(os.listdir(folder.path)) == 3
    folder.write("file", b"newer")
    assert sorted(os.listdir(folder.path)) == ["file", "other"] and folder.read("file") == b"newer"


def test_a_folder_with_the_name_of_a_file_is_a_damaged_file(folder):
    (folder / "a.json").write("inside", b"1")
    with pytest.raises(ValueError, match=r"a\.json is a folder"):
        folder.read("a.json")
    with pytest.raises(FileNotFoundError):
        folder.read("b.json")


@pytest.mark.parametrize("name", ["results?x", "a b", "100%25", "#1"])
def test_any_name_of_a_local_folder_will_do(name, tmp_path):
    records = SweepRecords(Folder(str(tmp_path / name)) / "sweep")
    trial = records.trial("0123456789ab")
    written = Checkpoint(1, {"model.safetensors": b"1"}, [])
    trial.write_checkpoint(written)
    assert trial.latest_checkpoint() == written and records.names() == ["0123456789ab"]


def test_a_file_is_on_the_disk_before_it_has_its_name_and_its_name_before_the_next(
    folder, monkeypatch
):
    """So that after a power cut no manifest is there without the files that it names."""
    checkpoint = folder / "epoch-000001"
    checkpoint.write("history.json", b"0")  # makes the folder
    steps, replace = [], Path.replace

    def note_sync(descriptor):
        steps.append(("sync", os.readlink(f"/proc/self/fd/{descriptor}")))

    def note_rename(unfinished, target):
        steps.append(("rename", str(target)))
        return replace(unfinished, target)

    monkeypatch.setattr("os.fsync", note_sync)
    monkeypatch.setattr(Path, "replace", note_rename)
    checkpoint.write("model.safetensors", b"1")
    checkpoint.write("manifest.json", b"2")
    assert [step for step, _ in steps] == ["sync", "rename", "sync"] * 2
    for name in ("model.safetensors", "manifest.json"):
        unfinished, renamed, parent = (steps.pop(0)[1] for _ in range(3))
        assert Path(unfinished).name.startswith(f".{name}.")
        assert renamed == f"{checkpoint.path}/{name}" and parent == checkpoint.path


def test_a_new_folder_is_on_the_disk_before_its_files(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(
        "os.fsync", lambda descriptor: synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    )
    Folder(str(tmp_path / "a/b")).write("file", b"1")
    assert synced[:2] == [str(tmp_path), str(tmp_path / "a")]


@pytest.mark.parametrize("name", ["..", "../other", "a/../../b", "/etc/passwd", "", "a\0b"])
@pytest.mark.parametrize("root", ["local", "file", "s3"])
def test_a_name_that_leads_out_of_the_folder_is_refused(name, root, tmp_path):
    roots = {"local": str(tmp_path), "file": tmp_path.as_uri(), "s3": "s3://k:s@bucket/x?region=a"}
    folder = Folder(roots[root])
    operations = [lambda: folder / name, lambda: folder.read(name), lambda: folder.write(name, b"")]
    for operation in operations:
        with pytest.raises(OutsideError, match="not a name in a folder"):
            operation()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("uri", [False, True])
def test_a_symbolic_link_that_leads_out_of_the_folder_is_refused(uri, tmp_path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "file").write_bytes(b"secret")
    (root / "folder").symlink_to(outside)
    (root / "file").symlink_to(outside / "file")
    folder = Folder(root.as_uri() if uri else str(root))
    for operation in (
        lambda: folder / "folder",
        lambda: folder.read("file"),
        lambda: folder.read("folder/file"),
        lambda: folder.write("folder/new", b"1"),
        lambda: folder.remove("file"),
        lambda: folder.exists("file"),
    ):
        with pytest.raises(OutsideError, match="leads out of"):
            operation()
    assert os.listdir(outside) == ["file"]


def test_a_link_that_leads_out_is_refused_also_below_a_folder_that_is_not_there_yet(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "sweep").symlink_to(tmp_path / "outside")
    with pytest.raises(OutsideError, match="leads out of"):
        (Folder(f"{tmp_path}/missing/../b") / "sweep").write("sweep.json", b"")
    assert not list((tmp_path / "outside").iterdir()) and not (tmp_path / "missing").exists()


def test_a_link_to_itself_is_no_file(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(FileNotFoundError):
        Folder(str(tmp_path)).read("loop")


def test_a_link_within_the_folder_and_a_storage_root_that_is_a_link_are_fine(tmp_path):
    real = tmp_path / "real"
    (real / "a").mkdir(parents=True)
    (real / "b").symlink_to("a")
    (tmp_path / "link").symlink_to(real)
    folder = Folder(str(tmp_path / "link"))
    (folder / "b").write("file", b"1")
    assert (folder / "a").read("file") == b"1"


def test_a_folder_shows_no_password_but_keeps_it():
    location = "s3://key:pa%2Fss@bucket/sweeps?region=eu-central-1"
    folder = Folder(location) / "sigma"
    assert folder.uri == "s3://***@bucket/sweeps/sigma?region=eu-central-1"
    assert "pa%2Fss" not in f"{folder} {folder!r}" and "key" not in folder.uri
    again = pickle.loads(pickle.dumps(folder))
    assert again == folder and again.location == location.replace("sweeps?", "sweeps/sigma?")


def test_a_folder_knows_the_one_it_is_in(tmp_path):
    assert (Folder(str(tmp_path)) / "a").parent == Folder(str(tmp_path))
    store = Folder("s3://bucket/sweeps?region=x")
    assert (store / "mine").parent.location == store.location


@pytest.mark.parametrize("call", [Folder.names, Folder.exists, Folder.delete])
def test_a_disk_that_fails_is_a_storage_that_cannot_be_used(call, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(5, "Input/output error")

    folder = Folder(str(tmp_path))
    folder.write("a", b"1")
    monkeypatch.setattr("sweeps.engine.records.storage.fs.LocalFileSystem", fail)
    with pytest.raises(StorageError, match=f"{tmp_path}.*: Input/output error"):
        call(folder)
    with pytest.raises(ValueError, match="a cannot be read: Input/output error"):
        folder.read("a")  # one file that cannot be read counts as damaged


def test_a_full_disk_is_a_storage_that_cannot_be_used(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="No space left on device"):
        Folder(str(tmp_path)).write("a", b"1")
    assert list(tmp_path.iterdir()) == []
