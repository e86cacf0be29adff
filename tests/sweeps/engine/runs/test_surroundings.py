"""What the environment of a user may be like: notebooks, cron, containers, odd folders."""

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from sweeps.engine.records import SweepRecords
from sweeps.engine.records.storage import Folder
from sweeps.engine.report import write_report
from sweeps.engine.system import home
from tests.sweeps.here import run_here

ROOT = Path(__file__).parents[4]
SCRIPT = ROOT / "sweeps/sigma_line_search.py"
WORDS = shlex.split(
    "--scale demo --max-epochs 1 --start-epochs 1 --training-images 300 --validation-images 30 "
    "--test-images 20 --sigmas 0.5 --seeds 1 --num-trials 0"
)
pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A folder of one sweep, which commands that only read can look at."""
    folder = tmp_path_factory.mktemp("surroundings")
    code, printed = run_here(folder, "sigma_line_search", *WORDS, "--name", "s", draws=False)
    assert code == 0, printed
    return folder


def command(folder, *words, before=(), python=(), stdout=subprocess.PIPE, **environment):
    """Return the exit code of a command and what it printed."""
    done = subprocess.run(
        [*before, sys.executable, *python, *map(str, words)], cwd=folder, stdout=stdout,
        stderr=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
    )  # fmt: skip
    shown = (done.stdout or b"").decode("latin-1")
    return done.returncode, shown, done.stderr.decode("latin-1")


REPORT = ("-m", "sweeps.engine.report", "results/s")
CHECK = ("-m", "sweeps.engine.records", "check", "results/s")
NOTEBOOK = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}


@pytest.mark.slow
def test_figures_are_the_same_whatever_the_backend_and_the_style_of_the_user(results, tmp_path):
    def pictures():
        paths = sorted((results / "results/s/report").glob("*.png"))
        return {path.name: path.read_bytes() for path in paths}

    write_report(SweepRecords(Folder(str(results / "results/s"))))
    before = pictures()
    rc = tmp_path / "matplotlibrc"
    rc.write_text("text.usetex: True\nfont.size: 30\naxes.facecolor: red\n")
    code, _, err = command(results, *REPORT, MATPLOTLIBRC=str(rc), **NOTEBOOK)
    assert code == 0, err
    assert pictures() == before != {}


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_every_line_survives_any_encoding(encoding, results):
    code, out, err = command(results, *REPORT, PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert code == 0 and "Traceback" not in err, err
    assert ("+-" if encoding == "ascii" else "\xb1") in out and "Best: sigma 0.5" in out
    code, out, err = command(results, SCRIPT, "--help", PYTHONIOENCODING=encoding)
    assert code == 0 and "--sigmas" in out, err


def test_output_that_is_closed_or_full_ends_nothing_and_is_said_once(results):
    words = " ".join(map(shlex.quote, [sys.executable, *CHECK]))
    for redirection, reason in ((">&-", "is closed"), (">/dev/full", "cannot be written")):
        done = subprocess.run(
            f"{words} {redirection}", shell=True, cwd=results, capture_output=True, text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert done.returncode == 0 and done.stderr.count("standard output") == 1, done.stderr
        assert reason in done.stderr and "Traceback" not in done.stderr
        assert "records" not in done.stderr


@pytest.mark.parametrize("problem", ["without a name", "not writable"])
def test_a_home_that_cannot_be_used_is_replaced_by_one_of_ours_alone(
    problem, tmp_path, monkeypatch
):
    def nameless():
        raise RuntimeError("Could not determine home directory.")

    if problem == "without a name":
        monkeypatch.setattr(home.Path, "home", nameless)
    else:
        monkeypatch.setattr(home.os, "access", lambda path, mode: False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("HOME", "/")
    monkeypatch.delenv("USER", raising=False)
    home.settle_home()
    found = Path(os.environ["HOME"])
    assert found.parent == tmp_path and found.stat().st_mode & 0o077 == 0
    assert os.environ["USER"] == f"user{os.getuid()}"
    found.chmod(0o777)  # others may have put something there
    home.settle_home()
    assert Path(os.environ["HOME"]) != found


def test_python_without_docstrings_is_refused_in_one_line(tmp_path):
    code, _, err = command(tmp_path, SCRIPT, *WORDS, python=("-OO",))
    assert code == 2 and "python -OO: Ray needs" in err and "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.usefixtures("small_model")
@pytest.mark.parametrize(
    "name", ["a%20b", "it's", 'says "x"', "both ' and \"", "[/b] [old] [bold]", "#?;&@"]
)
def test_a_storage_of_any_name_is_tracked_and_shown_as_it_is(name, tmp_path, monkeypatch):
    from mlflow import MlflowClient

    from sweeps.engine.tracking import default_uri

    monkeypatch.setenv("MLFLOW_ENABLE_ASYNC_LOGGING", "true")
    storage = tmp_path / name
    words = [*WORDS, "--storage", str(storage), "--name", "s"]
    code, printed = run_here(tmp_path, "sigma_line_search", *words, draws=False)
    assert code == 0 and name in printed.replace("\n", ""), printed
    client = MlflowClient(default_uri(str(storage)))
    runs = client.search_runs([each.experiment_id for each in client.search_experiments()])
    assert sorted(run.data.tags["kind"] for run in runs) == ["sweep", "trial"]
    assert (storage / "s/tracked.json").exists()
    code, printed = run_here(tmp_path, "sigma_line_search", *words, "--seeds", "2", draws=False)
    assert code == 0 and "grows by seeds 1" in printed, printed


@pytest.mark.slow
@pytest.mark.usefixtures("small_model")
def test_a_deleted_experiment_is_named_with_how_to_restore_it(tmp_path):
    from mlflow import MlflowClient

    from sweeps.engine.tracking import default_uri
    from sweeps.engine.tracking.__main__ import main as tracking

    assert run_here(tmp_path, "sigma_line_search", *WORDS, "--name", "s", draws=False)[0] == 0
    client = MlflowClient(default_uri(str(tmp_path / "results")))
    found = client.get_experiment_by_name("gon/sigma")
    assert found is not None
    client.delete_experiment(found.experiment_id)
    words = [*WORDS, "--name", "s", "--seeds", "2"]
    code, printed = run_here(tmp_path, "sigma_line_search", *words, draws=False)
    said = " ".join(printed.split())
    assert code == 0 and "experiment gon/sigma was deleted there" in said
    assert f"experiments restore --experiment-id {found.experiment_id}" in said
    client.restore_experiment(found.experiment_id)
    assert tracking(["replay", str(tmp_path / "results/s")]) == 0
    runs = client.search_runs([found.experiment_id])
    assert len(runs) == 3


def test_a_machine_without_shared_memory_is_refused_in_one_line(tmp_path):
    nowhere = tmp_path / "shm"
    patched = {"sweeps.engine.resources.resources.SHARED_MEMORY": nowhere}
    code, printed = run_here(tmp_path, "sigma_line_search", *WORDS, patched=patched)
    assert code == 2 and f"this machine has no {nowhere}" in printed
    assert "1 problem, nothing was started" in printed and list(tmp_path.iterdir()) == []
