"""Folders of sweeps that somebody else made: whatever lies in them, none of it is executed."""

import logging
import shutil

import pytest

from gon_core.training.checkpoints import MODEL, STATE, TRAINING
from sweeps.engine import report
from sweeps.engine.records import (
    EXAMPLES,
    MANIFEST,
    NOISE,
    PERTURBED,
    RIGHT,
    SweepRecords,
    starting_models,
)
from sweeps.engine.records.checkpoint import HISTORY
from sweeps.engine.records.storage import Folder
from sweeps.engine.runs import sweep
from tests.sweeps.evil_folders.payloads import BELIEVERS, COMMAND, STRAYS, TRAPS, forge

pytestmark = pytest.mark.usefixtures("small_model")


@pytest.mark.parametrize("kind", TRAPS)
def test_each_payload_works_on_those_who_believe_it(kind, tmp_path):
    marker = tmp_path / "executed"
    content = TRAPS[kind](str(marker))
    assert not marker.exists()
    BELIEVERS[kind](content)
    assert marker.exists()


# ----------------------------------------------------------------------------- resumed trials---

FILES = (MODEL, TRAINING, STATE, HISTORY)


@pytest.mark.system
@pytest.mark.parametrize(
    ("name", "kind"),
    [(MODEL, "torch.save"), (MANIFEST, "pickle"),
     *(pytest.param(name, "pickle", marks=pytest.mark.slow) for name in FILES)],
)  # fmt: skip
def test_a_checkpoint_replaced_by_a_payload_gives_way_to_the_one_before(
    name, kind, given, trap, caplog
):
    (given.checkpoint / name).write_bytes(trap(kind))
    with caplog.at_level(logging.WARNING):
        assert given.resume().status == "max_epochs"
    assert "epoch-000002" in caplog.text


@pytest.mark.system
@pytest.mark.parametrize("name", [MODEL, TRAINING, HISTORY, STATE])
def test_a_payload_under_a_right_hash_is_refused_or_passed_over(name, given, trap, caplog):
    forge(given.checkpoint, name, trap())
    with caplog.at_level(logging.WARNING):
        result = given.resume()
    if result.status == "failed":
        first = result.reason.splitlines()[0]
        assert first.startswith("ValueError: not the ")
    else:
        assert result.status == "max_epochs" and "epoch-000002" in caplog.text


@pytest.mark.system
@pytest.mark.parametrize("name", ["aaa.pkl", "zzz.pkl", "epoch-000009"])
def test_a_stray_file_among_checkpoints_is_passed_over(name, given, trap):
    (given.trial(given.killed) / "checkpoints" / name).write_bytes(trap())
    result = given.resume()
    assert result.status == "max_epochs", result.reason


@pytest.mark.system
@pytest.mark.parametrize("kind", ["pickle", "torch.save"])
def test_a_starting_model_replaced_by_a_payload_is_damaged(kind, given, trap, caplog):
    (given.start / MODEL).write_bytes(trap(kind))
    with caplog.at_level(logging.WARNING):
        assert starting_models.stored(Folder(str(given.start))) is None
    assert "damaged" in caplog.text


@pytest.mark.system
@pytest.mark.parametrize("kind", ["pickle", "torch.save"])
def test_a_starting_model_that_is_a_payload_under_a_right_hash_fails_trials(kind, given, trap):
    weights = trap(kind)
    result = given.resume(weights)
    assert result.status == "failed"
    assert result.reason.startswith("ValueError: not the weights of a SmallCNN")


@pytest.mark.system
@pytest.mark.parametrize("kind", ["pickle", "YAML"])
def test_the_description_of_a_starting_model_may_be_a_payload(kind, given, trap, caplog):
    (given.start / starting_models.DESCRIPTION).write_bytes(trap(kind))
    with caplog.at_level(logging.WARNING):
        assert starting_models.stored(Folder(str(given.start))) is None
    assert "damaged" in caplog.text


@pytest.mark.parametrize("kind", TRAPS)
def test_a_sweep_whose_description_is_a_payload_is_not_resumed(
    run_main, kind, given, trap, monkeypatch
):
    (given.folder / "sweep.json").write_bytes(trap(kind))

    def started(*arguments):
        raise AssertionError("the sweep was started")

    monkeypatch.setattr(sweep, "Cluster", started)
    code, printed = run_main("epsilon_sphere", COMMAND)
    assert code == 2 and "sweep.json" in printed


@pytest.mark.parametrize("kind", TRAPS)
@pytest.mark.parametrize("name", ["trial.json", "turn.json", "result.json"])
def test_a_trial_whose_record_is_a_payload_is_made_again(name, kind, given, trap, caplog):
    (given.trial(given.ended) / name).write_bytes(trap(kind))
    records = SweepRecords(Folder(str(given.folder)))
    trial = records.trial(given.ended.trial_id)
    with caplog.at_level(logging.WARNING):
        found = {
            "trial.json": trial.config(), "result.json": trial.result(),
            "turn.json": None if trial.ask_index() > 10**6 else trial.ask_index(),
        }  # fmt: skip
    assert found[name] is None and f"{name} is damaged" in caplog.text
    assert (given.ended.trial_id in records.trials()) == (name != "trial.json")


# --------------------------------------------------------------------- commands over the records

PASSED_OVER = [
    (NOISE, lambda given: given.trial(given.ended)),
    (PERTURBED, lambda given: given.trial(given.ended)),
    (EXAMPLES, lambda given: given.folder),
    (RIGHT, lambda given: given.trial(given.ended)),
]
RECORDS = [
    ("result.json", lambda given: given.trial(given.ended)),
    ("trial.json", lambda given: given.trial(given.ended)),
    ("turn.json", lambda given: given.trial(given.killed)),
]


@pytest.fixture
def undrawn(monkeypatch):
    """Figures are not drawn: their files are read before."""
    monkeypatch.setattr(
        report, "render", lambda name, draw, **how: {f"{name}.svg": b"<svg/>", f"{name}.png": b""}
    )


@pytest.mark.system
@pytest.mark.parametrize("kind", ["pickle", "torch.save"])
@pytest.mark.parametrize(("name", "place"), PASSED_OVER)
def test_a_report_passes_over_a_payload_with_a_warning(
    run_main, name, place, kind, given, trap, undrawn, caplog
):
    if name == RIGHT:
        given.resume()  # or there is nothing to compare with
    if name == PERTURBED:  # its record must name it, or it is not even looked at
        trial = SweepRecords(Folder(str(given.folder))).trial(given.ended.trial_id)
        trial.write_result(trial.result(), {PERTURBED: b""})
    (place(given) / name).write_bytes(trap(kind))
    code, _ = run_main("engine.report.__main__", ["results/given"])
    assert code == 0 and name in caplog.text


@pytest.mark.parametrize("kind", ["pickle", "YAML"])
def test_a_report_refuses_a_sweep_that_is_a_payload(run_main, kind, given, trap, undrawn):
    (given.folder / "sweep.json").write_bytes(trap(kind))
    code, printed = run_main("engine.report.__main__", ["results/given"])
    assert code == 2 and printed.startswith("results/given: no report could be made")
    assert printed.count("\n") == 1


@pytest.mark.system
@pytest.mark.parametrize("kind", ["pickle", "YAML"])
@pytest.mark.parametrize(("name", "place"), RECORDS)
def test_a_report_passes_over_records_that_are_payloads(
    run_main, name, place, kind, given, trap, undrawn, caplog
):
    (place(given) / name).write_bytes(trap(kind))
    code, _ = run_main("engine.report.__main__", ["results/given"])
    assert code == 0 and f"{name} is damaged and passed over" in caplog.text


def test_a_report_reads_no_stray_file(run_main, given, trap, undrawn):
    for folder in (given.folder, given.folder / "trials", given.trial(given.ended)):
        for name in STRAYS:
            (folder / name).write_bytes(trap())
    code, _ = run_main("engine.report.__main__", ["results/given"])
    assert code == 0


@pytest.fixture(scope="module")
def made_store(tmp_path_factory):
    """The file of an empty MLflow store, which takes seconds to be made."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def store(made_store, tmp_path):
    """The URI of an MLflow store that holds nothing yet."""
    shutil.copy(made_store, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path}/mlflow.db"


@pytest.mark.system
@pytest.mark.parametrize(
    "name", ["turn.json", "trial.json", "result.json", NOISE],
)  # fmt: skip
def test_a_replay_refuses_or_passes_over_a_payload(run_main, name, given, trap, store, caplog):
    (given.trial(given.ended) / name).write_bytes(trap())
    words = ["replay", "results/given", store]
    code, printed = run_main("engine.tracking.__main__", words)
    assert code in (0, 2) and name in printed + caplog.text


@pytest.mark.system
def test_a_replay_reads_no_stray_file(run_main, given, trap, store):
    for folder in (given.folder, given.folder / "trials", given.trial(given.ended)):
        for name in STRAYS:
            (folder / name).write_bytes(trap())
    words = ["replay", "results/given", store]
    code, printed = run_main("engine.tracking.__main__", words)
    assert code == 0 and "MLflow holds 2 trials" in printed


@pytest.mark.system
def test_a_replay_refuses_a_payload_for_a_sweep(run_main, given, trap, store):
    for kind in TRAPS:
        (given.folder / "sweep.json").write_bytes(trap(kind))
        words = ["replay", "results/given", store]
        code, printed = run_main("engine.tracking.__main__", words)
        assert code == 2 and "sweep.json cannot be read" in printed
