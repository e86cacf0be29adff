"""What a process of a trial looks at before it trains: is it where the driver thinks it is."""

import socket

from sweeps.engine.records import SweepRecords
from sweeps.engine.storage import Folder
from sweeps.engine.training_code import training_code
from sweeps.engine.tuner import foreign


def test_a_machine_that_does_not_see_the_storage_says_so(config, records, tmp_path):
    records.trial(config.trial_id).write_config(config)
    assert foreign(records.trial(config.trial_id), training_code()) == ""
    elsewhere = SweepRecords(Folder(str(tmp_path / "of another machine")))
    problem = foreign(elsewhere.trial(config.trial_id), training_code())
    assert f"is not seen from {socket.gethostname()}" in problem and "--storage" in problem


def test_a_machine_with_other_training_code_says_so(config, records):
    trial = records.trial(config.trial_id)
    trial.write_config(config)
    assert "other training code than the driver: torch" in foreign(
        trial, training_code() | {"torch": "0.0"}
    )
    assert "gon_core" in foreign(trial, training_code() | {"gon_core": "another"})
