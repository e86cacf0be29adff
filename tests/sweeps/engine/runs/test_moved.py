"""A folder of sweeps is copied or renamed: nothing leads back to where it was."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.tracking._tracking_service import utils

from sweeps.engine.records import SweepRecords
from sweeps.engine.records.check import check
from sweeps.engine.records.storage import Folder
from sweeps.engine.report import write_report
from sweeps.engine.tracking.__main__ import main as tracking
from sweeps.engine.tracking.mlflow.sqlite_store import ensure_store
from tests.sweeps.here import run_here

ROOT = Path(__file__).parents[4]
WORDS = shlex.split(
    "--scale demo --max-epochs 1 --start-epochs 1 --training-images 300 --validation-images 30 "
    "--test-images 20 --sigmas 0.5 --seeds 1 --num-trials 0"
)
pytestmark = [pytest.mark.system, pytest.mark.usefixtures("small_model")]


@pytest.fixture
def moved(tmp_path, monkeypatch):
    """A folder of one sweep that was made as ``R`` and copied to ``R_2 %41``; ``R`` is gone."""
    code, printed = run_here(
        tmp_path, "sigma_line_search", *WORDS, "--storage", "R", "--name", "s", draws=False
    )
    assert code == 0, printed
    shutil.copytree(tmp_path / "R", tmp_path / "R_2 %41")
    (tmp_path / "R").rename(tmp_path / "R_old")
    monkeypatch.chdir(tmp_path)
    utils._artifact_repos_cache.clear()  # it would be empty in a process of another day
    return tmp_path / "R_2 %41"


def tracked(storage):
    """Return MLflow's client of a storage, and the runs in it."""
    from sweeps.engine.tracking import default_uri

    client = MlflowClient(default_uri(str(storage)))
    experiments = [each.experiment_id for each in client.search_experiments()]
    return client, client.search_runs(experiments)


def artifacts(client, run):
    return [entry.path for entry in client.list_artifacts(run.info.run_id)]


@pytest.mark.slow
def test_a_replay_leaves_the_old_place_alone_and_finds_the_artifacts(moved, tmp_path, capsys):
    assert tracking(["replay", str(moved / "s")]) == 0
    assert str(moved).replace("%", "%25") in capsys.readouterr().out
    assert not (tmp_path / "R").exists()
    client, runs = tracked(moved)
    assert len(runs) == 2, "the same runs, not further ones"
    for run in runs:
        place = artifacts(client, run)
        assert "config.json" in place or "sweep.json" in place
    client, runs = tracked(tmp_path / "R_old")
    assert len(runs) == 2, "the folder that was copied keeps what it had"


def test_the_same_command_resumes_where_the_folder_is_now(moved, tmp_path):
    words = [*WORDS, "--storage", moved, "--name", "s", "--seeds", "2"]
    code, printed = run_here(tmp_path, "sigma_line_search", *words, draws=False)
    assert code == 0 and "grows by seeds 1" in printed, printed
    assert not (tmp_path / "R").exists()
    client, runs = tracked(moved)
    assert len(runs) == 3 and all(artifacts(client, run) for run in runs)
    assert check(SweepRecords(Folder(str(moved / "s")))).is_whole


READ_ONLY = """
mount --bind {0} {0} && mount -o remount,bind,ro {0} || exit 77
shift; exec "$@"
"""
COMMANDS = """
import contextlib, importlib, io, json, sys
for module, *words in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = importlib.import_module(f"{module}.__main__").main(words)
        except SystemExit as refused:
            code = refused.code
    print(json.dumps([code or 0, out.getvalue(), err.getvalue()]))
"""


@pytest.mark.slow
def test_a_folder_that_can_only_be_read_is_shown_and_sent(moved, tmp_path):
    sweep, own = str(moved / "s"), f"sqlite:///{tmp_path}/own.db"
    commands = [
        ["sweeps.engine.report", sweep],
        ["sweeps.engine.report", sweep, "--output", str(tmp_path / "out")],
        ["sweeps.engine.tracking", "replay", sweep],
        ["sweeps.engine.tracking", "replay", sweep, own],
    ]
    ensure_store(tmp_path / "own.db")
    script = READ_ONLY.format(shlex.quote(str(moved)))
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", "-", sys.executable, "-c", COMMANDS],
        input=json.dumps(commands), capture_output=True, text=True, cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("this user may not mount")
    in_place, elsewhere, own_store, another = map(json.loads, done.stdout.splitlines())
    code, _, err = in_place
    assert code == 2 and "write it elsewhere with --output FOLDER" in err, err
    code, out, err = elsewhere
    assert code == 0 and "Best: sigma 0.5" in out, err
    assert (tmp_path / "out/report/report.html").exists()
    code, _, err = own_store
    assert code == 2 and "give another one behind the folder" in err, err
    code, out, err = another
    assert code == 0 and "MLflow holds 1 trial of sweep s." in out, err


@pytest.mark.slow
def test_commands_of_the_report_are_of_the_present_place_and_name(moved, tmp_path):
    (moved / "s").rename(moved / "other")
    write_report(SweepRecords(Folder(str(moved / "other"))))
    page = (moved / "other/report/report.html").read_text()
    assert "--storage &#x27;R_2 %41&#x27; --name other" in page and "--storage R " not in page
    assert "sqlite:///mlflow.db" in page and str(tmp_path) not in page
    described = (moved / "other/sweep.json").read_text()
    assert str(tmp_path) not in described
