"""A sweep that each test spoils, and traps that may never work."""

import importlib
import sys
from pathlib import Path

import pytest

from gon_core.data import idx
from gon_core.data.splits import split
from gon_core.training.checkpoints import MODEL
from sweeps.engine.planning import plan
from sweeps.engine.records import (
    SweepRecords,
    starting_models,
)
from sweeps.engine.records.storage import Folder
from sweeps.engine.runs import sweep
from sweeps.engine.trials import measures, trial
from tests.small_model import use_small_model
from tests.sweeps.evil_folders.payloads import TRAPS, Given, Killed, make_plan


@pytest.fixture
def trap(tmp_path):
    """Return a function: a payload of a kind. When the test is over, none may have worked."""
    marker = tmp_path / "executed"
    yield lambda kind="pickle": TRAPS[kind](str(marker))
    assert not marker.exists()


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """A storage folder with a sweep of a small model, see ``prepare``."""
    return prepare(tmp_path_factory.mktemp("prepared"), use_small_model)


def prepare(folder, patch_model=lambda patch: None):
    """Make a sweep in a folder: one trial ended, one was killed after its second epoch."""
    with pytest.MonkeyPatch.context() as patch:
        patch_model(patch)
        patch.chdir(folder)
        options, made = make_plan()
        digest = plan.data_digest("mnist", None)
        splits = split(*idx.load("mnist"), made.config.data)
        data = measures.prepare_data(splits, made.config.evaluation)
        storage, start = Folder("results"), made.config.start
        records = SweepRecords(storage / made.name)
        records.write_sweep(sweep.describe_sweep(made, options, digest))
        measures.write_examples(records.folder, splits, made.config.evaluation)
        kept = starting_models.folder(storage, start, digest)
        config = starting_models.trial_config(start)
        training = starting_models.training_records(kept, made.name).trial(config.trial_id)
        result = trial.run_trial(config, data, None, training, evaluates=False)
        weights = training.folder.read(MODEL)
        starting_models.keep(kept, start, weights, result.history)

        def die(metrics):
            if metrics["epoch"] == 2:
                raise Killed

        ended, killed = made.known_trials
        trial.run_trial(ended, data, weights, records.trial(ended.trial_id))
        records.trial(killed.trial_id).write_ask_index(1)
        with pytest.raises(Killed):
            trial.run_trial(killed, data, weights, records.trial(killed.trial_id), report=die)
        folder = Path("results").absolute()
    return folder, data, weights, ended, killed


@pytest.fixture
def given(prepared, tmp_path, monkeypatch):
    """What each test spoils."""
    monkeypatch.chdir(tmp_path)
    return Given(prepared)


@pytest.fixture
def given_for_real(tmp_path, monkeypatch):
    """The same with the real model, which a process of its own resumes."""
    (tmp_path / "made").mkdir()
    monkeypatch.chdir(tmp_path)
    return Given(prepare(tmp_path / "made"))


@pytest.fixture
def run_main(monkeypatch, capsys):
    """Return a function that runs a script's real ``main``: its exit code and all it printed."""

    def run(script, arguments):
        monkeypatch.setattr(sys, "argv", [f"sweeps/{script}.py", *arguments])
        module = importlib.import_module(f"sweeps.{script}")
        commands = ("engine.report.__main__", "engine.tracking.__main__")
        try:
            code = module.main(list(arguments)) if script in commands else module.main()
        except SystemExit as refused:
            code = refused.code
        printed = capsys.readouterr()
        assert "Traceback" not in printed.out + printed.err
        return code, printed.out + printed.err

    return run
