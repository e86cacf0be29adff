"""A folder of another version is refused in one line that names it, by whatever reads it."""

import pytest

from gon_core.config import GNT, DataConfig, TrainingConfig, TrialConfig
from sweeps.engine.planning import warm_start
from sweeps.engine.records import SweepRecords
from sweeps.engine.records.__main__ import main as check
from sweeps.engine.records.storage import Folder
from sweeps.engine.report.__main__ import main as report
from sweeps.engine.runs.checkpoint_models import load_models
from sweeps.engine.runs.checkpoint_options import CheckpointOptions
from sweeps.engine.runs.session import recorded_sweep
from sweeps.engine.tracking.__main__ import main as tracking
from tests.sweeps.engine.records.test_sweep_description import OLD

VERSION = "5cd37b3ead5f of 2026-11-27"


@pytest.fixture
def old(tmp_path):
    """The folder of a sweep of the first format with one trial."""
    records = SweepRecords(Folder(str(tmp_path / "old")))
    records.folder.write_json("sweep.json", OLD)
    data, training = DataConfig(training_images=300), TrainingConfig(max_epochs=1)
    config = TrialConfig(method=GNT(sigma=0.5), data=data, training=training, start=None)
    records.trial(config.trial_id).write_config(config)
    records.trial(config.trial_id).folder.write("model.safetensors", b"weights")
    return records


@pytest.mark.parametrize(
    ("command", "arguments"),
    [(report, []), (check, ["check"]), (tracking, ["replay"])],
)
def test_a_command_refuses_it(command, arguments, old, capsys):
    assert command([*arguments, old.folder.path]) == 2
    printed = capsys.readouterr()
    assert VERSION in printed.err and len(printed.err.splitlines()) == 1 and not printed.out


def test_a_sweep_of_its_name_is_refused(old, capsys):
    with pytest.raises(SystemExit) as exit_:
        recorded_sweep(old)
    assert exit_.value.code == 2
    said = capsys.readouterr().err
    assert VERSION in said and "choose another name" in said and "Traceback" not in said


def test_a_search_does_not_learn_from_it(old):
    said = warm_start.problems((old.folder.path,))["warm_start"]
    assert VERSION in said and len(said.splitlines()) == 1


def test_its_trials_are_not_evaluated_but_for_their_weights(old):
    (name,) = old.names()
    options = CheckpointOptions(checkpoints=(old.trial(name).folder.path,))
    models, (problem,) = load_models(options)
    assert not models and VERSION in problem and "give its model.safetensors alone" in problem
