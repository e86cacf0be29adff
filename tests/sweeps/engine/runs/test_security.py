"""What SECURITY.md claims: who can talk to Ray, whose files are read, where secrets are not."""

import contextlib
import json
import os
import pickle
import re
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from moto.server import ThreadedMotoServer
from pyarrow import fs

import sweeps.sigma_line_search as script
from gon_core.config import DataConfig, TrainingConfig, TrialConfig, Vanilla
from gon_core.models import make
from gon_core.training import checkpoints
from sweeps import joint_search
from sweeps.engine.cli import command_line
from sweeps.engine.planning import plan, warm_start
from sweeps.engine.planning.plan import make_plan
from sweeps.engine.planning.strength import line_spec
from sweeps.engine.records import Checkpoint
from sweeps.engine.resources import ray_files
from sweeps.engine.resources.ray_files import ensure_token, make_folder
from sweeps.engine.runs import checkpoint_models
from sweeps.engine.runs.checkpoint_options import CheckpointOptions
from sweeps.engine.system import temporary_folder
from sweeps.engine.system.errors import OutsideError
from sweeps.engine.trials.trial import run_trial
from tests.sweeps.engine.descriptions import describe

ROOT = Path(__file__).parents[4]
SCRIPT = ROOT / "sweeps/sigma_line_search.py"
SMALL = ("--training-images", "300", "--validation-images", "30", "--test-images", "30", "--seeds",
         "1", "--start-epochs", "1", "--max-epochs", "2", "--num-trials", "0")  # fmt: skip

# --- Ray -----------------------------------------------------------------------------------------

CLUSTER = """
import json, sys
from sweeps.engine.backend.cluster import Cluster
from sweeps.engine.planning.plan import Resources
with Cluster(Resources(cpus=1, gpus=0.0, max_concurrent=1)) as cluster:
    cluster.wait()
    import ray
    ray.get(ray.remote(lambda: 1).remote())  # so that a worker is up
    context = ray.get_runtime_context()
    print(json.dumps([context.gcs_address, context.get_temp_dir()]), flush=True)
    sys.stdin.read()
"""
ASK = """
import sys
from ray._raylet import GcsClient
GcsClient(address=sys.argv[1]).internal_kv_keys(b"", None)
print("answered")
"""


def process_tree(root: int) -> list[int]:
    """Return the ids of a process and of all below it."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it ended meanwhile
            continue
        children.setdefault(parent, []).append(int(folder.name))
    found = [root]
    for process in found:
        found += children.get(process, [])
    return found


def listening(processes: list[int]) -> dict[tuple[str, int], str]:
    """Return the addresses and ports on which any of the processes listens, with its command."""
    addresses = {}
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for row in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *rest = row.split()
            if state == "0A":  # TCP_LISTEN
                address, _, port = local.partition(":")
                words = [int(word, 16) for word in re.findall(".{8}", address)]
                packed = struct.pack(f"={len(words)}I", *words)
                opened = socket.inet_ntop(family, packed), int(port, 16)
                addresses[f"socket:[{rest[5]}]"] = opened
    found: dict[tuple[str, int], str] = {}
    for process in processes:
        try:
            command = Path(f"/proc/{process}/cmdline").read_text().replace("\0", " ")
            for descriptor in os.listdir(f"/proc/{process}/fd"):
                opened = os.readlink(f"/proc/{process}/fd/{descriptor}")
                if opened in addresses:
                    found[addresses[opened]] = command
        except OSError:  # it, or its descriptor, is closed meanwhile
            continue
    return found


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home without a token, and nothing in the environment that changes where Ray looks."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_TMPDIR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A running Cluster: its process, the home of its user, GCS address and temporary folder."""
    home = tmp_path_factory.mktemp("home")
    surroundings = {"RAY_AUTH_MODE": "disabled", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", CLUSTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | surroundings | {"HOME": str(home)},
    )  # fmt: skip
    address, folder = json.loads(process.stdout.readline())
    yield process, home, address, Path(folder)
    process.communicate("", timeout=60)
    assert process.returncode == 0
    assert not folder_of_ours(Path(folder)).exists()


def folder_of_ours(folder: Path) -> Path:
    return next(path for path in folder.parents if path.name.startswith(ray_files.PREFIX))


def test_a_socket_that_listens_everywhere_is_seen():
    with socket.create_server(("", 0)) as server:
        assert server.getsockname() in listening([os.getpid()])
    with socket.create_server(("::", 0), family=socket.AF_INET6) as server:
        assert server.getsockname()[:2] in listening([os.getpid()])


@pytest.mark.system
def test_ray_listens_on_loopback_alone_whatever_the_environment_says(cluster):
    process, *_ = cluster
    found = listening(process_tree(process.pid))
    for expected in ("gcs_server", "raylet/raylet", "ray::", "RuntimeEnvAgent"):
        assert any(expected in command for command in found.values()), found
    assert {address for address, _ in found} <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}, found


@pytest.mark.system
def test_ray_answers_only_who_has_its_token_which_is_in_a_file_of_ours_alone(cluster):
    process, home, address, _ = cluster
    token = home / ".ray/auth_token"
    assert mode(token) == 0o600 and mode(token.parent) == 0o700
    assert re.fullmatch("[0-9a-f]{64}", token.read_text())
    answers = {}
    for name, secret in {"right": token.read_text(), "wrong": "0" * 64}.items():
        asked = subprocess.run(
            [sys.executable, "-c", ASK, address], capture_output=True, text=True, timeout=60,
            env=os.environ | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secret},
        )  # fmt: skip
        answers[name] = asked.stdout + asked.stderr
    assert answers["right"] == "answered\n"
    assert "answered" not in answers["wrong"] and "InvalidAuthToken" in answers["wrong"]
    found = listening(process_tree(process.pid))
    (agent,) = [place for place, command in found.items() if "RuntimeEnvAgent" in command]
    with pytest.raises(HTTPError, match="401"):  # it serves HTTP, the others gRPC
        urlopen("http://{}:{}/get_or_create_runtime_env".format(*agent), b"", timeout=30)


@pytest.mark.system
def test_the_temporary_folder_of_ray_is_ours_alone(cluster):
    *_, folder = cluster
    assert mode(folder_of_ours(folder)) == 0o700
    assert list(folder.glob("session_*/sockets/*"))


def test_a_token_that_others_may_read_is_closed_with_a_warning_and_stays_the_same(home, caplog):
    token = home / ".ray/auth_token"
    token.parent.mkdir()
    token.write_text("secret")
    token.chmod(0o644)
    ensure_token()
    assert mode(token) == 0o600 and token.read_text() == "secret"
    assert "was readable by other users" in caplog.text and "secret" not in caplog.text
    caplog.clear()
    ensure_token()
    assert not caplog.text


def test_a_token_is_made_where_the_environment_says(home, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(home / "elsewhere/token"))
    previous = os.umask(0)
    try:
        ensure_token()
    finally:
        os.umask(previous)
    assert mode(home / "elsewhere/token") == 0o600 and mode(home / "elsewhere") == 0o700
    assert os.listdir(home / "elsewhere") == ["token"]
    monkeypatch.setenv("RAY_AUTH_TOKEN", "given")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(home / "unused"))
    ensure_token()
    assert not (home / "unused").exists()


def test_of_two_sweeps_that_start_at_once_one_makes_the_token(home, monkeypatch):
    token = home / ".ray/auth_token"

    def first(unfinished, path):
        Path(path).write_text("of the other")
        raise FileExistsError

    monkeypatch.setattr("os.link", first)
    ensure_token()
    assert token.read_text() == "of the other" and os.listdir(token.parent) == ["auth_token"]


@pytest.fixture
def short():
    """A folder whose path is short enough for Ray's sockets."""
    folder = Path(tempfile.mkdtemp(prefix="gn", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


HOLDING = """
import sys
from sweeps.engine.resources.ray_files import make_folder
with make_folder() as folder:
    print(folder.path, flush=True)
    sys.stdin.read()
"""


@pytest.mark.system
def test_the_folder_of_a_killed_sweep_is_removed_by_the_next_and_no_other(home, short, monkeypatch):
    monkeypatch.setenv("RAY_TMPDIR", str(short))
    holding = [
        subprocess.Popen(
            [sys.executable, "-c", HOLDING], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    killed, alive = (Path(process.stdout.readline().strip()) for process in holding)
    holding[0].kill()
    holding[0].wait()
    with make_folder():
        assert killed.exists()  # perhaps it is just being made
    past = time.time() - 2 * temporary_folder.YOUNG
    for folder in (killed, alive):
        os.utime(folder, (past, past))
    with make_folder() as own:
        assert not killed.exists() and alive.exists()
        assert own.path.parent == short
    holding[1].communicate("", timeout=30)
    assert os.listdir(short) == []


# --- what is read --------------------------------------------------------------------------------


class Evil:
    """Pickled, it makes the file ``marker`` when it is read."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return open, (str(self.marker), "w")


@pytest.mark.slow
def test_a_pickle_among_the_records_is_not_executed(config, data, start_weights, records, tmp_path):
    marker = tmp_path / "executed"
    evil = pickle.dumps(Evil(marker))
    pickle.loads(evil).close()  # it works
    marker.unlink()
    trial = records.trial(config.trial_id)
    trial.write_config(config)
    names = ("model.safetensors", "training.safetensors", "state.json")
    trial.write_checkpoint(Checkpoint(1, dict.fromkeys(names, evil), [{"epoch": 1.0}]))
    for place in (records.folder, trial.folder):
        for name in ("tuner.pkl", "trainable.pkl", "model.pt", "__init__.py", "searcher-state.pkl"):
            place.write(name, evil)
    result = run_trial(config, data, start_weights, trial)
    assert result.status == "max_epochs" and not marker.exists()
    assert "passed over: not the weights of a MadryCNN" in result.notes[0]
    records.write_sweep(describe(name="evil"))
    assert records.trials() == {config.trial_id: config} and records.results() == [result]
    assert not marker.exists()


def test_every_test_that_security_md_names_exists():
    named = re.findall(r"`(tests/[^`]*)::([^`]*)`", (ROOT / "SECURITY.md").read_text())
    assert len(named) > 15
    for path, name in named:
        assert f"\ndef {name}(" in (ROOT / path).read_text(), f"{path}::{name}"


# --- names and paths -----------------------------------------------------------------------------


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """Return a function: what a sweep in ``tmp_path`` is refused with, for these arguments."""
    monkeypatch.chdir(tmp_path)

    def refuse(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            given = ["--sigmas", "0.5", *SMALL, *arguments]
            command_line.parse(script.Options, "", given, check=plan.line_problems)
        message = capsys.readouterr().err
        assert ended.value.code == 2 and "Traceback" not in message
        return message

    return refuse


@pytest.mark.parametrize("name", ["..", ".", "/tmp/x", "../x", "a/b", "a\nb", "é", "a b", "~"])
def test_a_sweep_cannot_be_called_what_is_no_folder_in_the_storage(name, refused, tmp_path):
    assert "--name" in refused("--name", name)
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_whose_folder_leads_out_of_the_storage_is_refused(refused, tmp_path, monkeypatch):
    storage, outside = tmp_path / "results", tmp_path / "outside"
    storage.mkdir()
    outside.mkdir()
    (storage / "mine").symlink_to(outside)
    message = refused("--name", "mine")
    assert "--name" in message and "leads out of" in message
    options = script.Options(
        sigmas=(0.5,), training_images=300, validation_images=30, test_images=30, seeds=1,
        start_epochs=1, max_epochs=2, num_trials=0,
    )  # fmt: skip
    by_default = make_plan(line_spec(options, (0.5,)), options).name
    (storage / by_default).symlink_to(outside)
    monkeypatch.setattr("sys.argv", ["sigma_line_search.py", "--sigmas", "0.5", *SMALL])
    with pytest.raises(OutsideError, match="leads out of"):
        script.main()
    assert os.listdir(outside) == []


# --- secrets -------------------------------------------------------------------------------------

SECRETS = ("hush", "AKIDSECRET")


def test_no_message_about_bad_input_holds_a_secret(refused, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("storage: s3://AKIDSECRET:hu/sh-hush@bucket/x\nseedz: 1\n")
    for arguments in (
        ("--storage", "ftp://me:hush@host/x"),
        ("--storage", "s3://AKIDSECRET:hu/hush@bucket/x"),
        ("--storage", "s3://AKIDSECRET:hush@bucket/x?secret_key=hush"),
        ("--storge", "s3://AKIDSECRET:hush@bucket/x"),
        ("--tracking-ury=http://me:hush@host/x",),
        ("--config", str(config)),
    ):
        message = refused(*arguments)
        assert "hush" not in message, message


def test_a_bad_option_holds_no_secret_in_its_exception():
    with pytest.raises(ValueError) as caught:
        script.Options(storage="ftp://me:hush@host/x", seeds=0)
    assert "hush" not in str(caught.value)


def test_a_warm_start_is_read_with_its_secret_and_recorded_without(tmp_path):
    earlier = f"file://{tmp_path}?token=hush"
    options = joint_search.Options(warm_start=(earlier,))
    made = make_plan(joint_search.spec(options), options)
    assert made.spec.warm_start == (earlier,)
    assert made.config.warm_start == (f"file://{tmp_path}?token=***",)
    problem = warm_start.problems([f"file://{tmp_path}/none?token=hush"])["warm_start"]
    assert "no sweep there" in problem and "hush" not in problem


@pytest.fixture
def bucket():
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    direct = fs.S3FileSystem(
        access_key="key", secret_key="secret", region="us-east-1", endpoint_override=endpoint,
        allow_bucket_creation=True,
    )  # fmt: skip
    direct.create_dir("secrets")
    yield endpoint, direct
    server.stop()


def listed(filesystem: fs.FileSystem, folder: str) -> list[str]:
    """Return the paths of all files below a folder."""
    found = filesystem.get_file_info(fs.FileSelector(folder, recursive=True, allow_not_found=True))
    return [entry.path for entry in found if entry.type == fs.FileType.File]


def stored(filesystem: fs.FileSystem, folder: str) -> dict[str, bytes]:
    """Return all files below a folder by path."""
    paths = listed(filesystem, folder)
    return {path: filesystem.open_input_file(path).read() for path in paths}


def on_disk(*folders: Path) -> dict[str, bytes]:
    """Return all files below folders by path, but those that processes remove meanwhile."""
    found = {}
    for place, _, names in (each for folder in folders for each in os.walk(folder)):
        for path in (Path(place, name) for name in names):
            with contextlib.suppress(FileNotFoundError):
                if path.is_file():
                    found[str(path)] = path.read_bytes()
    return found


@pytest.mark.slow
def test_a_whole_sweep_writes_its_secrets_nowhere(bucket, short, tmp_path):
    """Killed in the middle, so that Ray's and Tune's own files can be looked at, then ended."""
    endpoint, direct = bucket
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]  # where no MLflow will be: its errors are looked at too
    storage = (
        f"s3://AKIDSECRET:hush%2Fhush@secrets/sweeps?region=us-east-1"
        f"&endpoint_override={quote(endpoint, safe='')}"
    )
    tracking = f"http://me:hush@127.0.0.1:{port}/?token=hush"
    work, scratch = tmp_path / "work", short / "t"
    for folder in (work, scratch, short / "r"):
        folder.mkdir()
    command = [
        sys.executable, str(SCRIPT), "--sigmas", "0", "0.5", *SMALL, "--name", "quiet",
        "--max-concurrent", "1", "--storage", storage, "--tracking-uri", tracking,
    ]  # fmt: skip
    surroundings = os.environ | {
        "HOME": str(tmp_path), "TMPDIR": str(scratch), "RAY_TMPDIR": str(short / "r"),
    }  # fmt: skip
    process = subprocess.Popen(
        command, cwd=work, env=surroundings, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    deadline = time.monotonic() + 240
    while not (
        any(path.endswith("/result.json") for path in listed(direct, "secrets"))
        and any("/t/trials" in folder and names for folder, _, names in os.walk(short))
    ):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.2)
    os.kill(process.pid, signal.SIGKILL)
    first = process.communicate(timeout=30)
    files = stored(direct, "secrets") | on_disk(work, scratch, short / "r")
    assert any("session_" in path for path in files) and any("/t/trials/" in path for path in files)

    ended = subprocess.run(
        command, cwd=work, env=surroundings, capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "MLflow misses a part" in ended.stdout
    after = stored(direct, "secrets") | on_disk(work, scratch, short / "r")
    files |= {f"then {path}": content for path, content in after.items()}
    for number, text in enumerate((*first, ended.stdout, ended.stderr)):
        files[f"output {number}"] = text.encode()
    assert "secrets/sweeps/quiet/sweep.json" in files
    assert any(path.endswith("report.html") for path in files)
    for place, content in files.items():
        for secret in SECRETS:
            assert secret.encode() not in content, (place, secret)


@pytest.mark.parametrize("name", ["os:abort", "a_module_that_runs:make"])
def test_a_record_calls_no_function_that_it_names(name, tmp_path, monkeypatch):
    (tmp_path / "a_module_that_runs.py").write_text("raise SystemExit('it was imported')")
    monkeypatch.chdir(tmp_path)
    trained = TrialConfig(
        method=Vanilla(), data=DataConfig(), model=name, training=TrainingConfig(), start=None
    )
    monkeypatch.setattr(checkpoint_models, "trial_of", lambda path: trained)
    (tmp_path / "model.safetensors").write_bytes(checkpoints.dump_model(make("madry_cnn")))
    options = CheckpointOptions(checkpoints=(tmp_path,), evaluate=())
    models, (problem,) = checkpoint_models.load_models(options)
    assert not models and f"its model is code, {name}: if you trust it" in problem
