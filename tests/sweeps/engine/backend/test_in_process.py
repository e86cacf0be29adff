"""A sweep without Ray: the contract of a backend, of the driver and of the records."""

import pytest

import sweeps.sigma_line_search as script
from sweeps.engine.backend.driver import Driver
from sweeps.engine.backend.in_process import InProcess, ProcessDiedError
from sweeps.engine.planning.plan import make_plan
from sweeps.engine.planning.strength import line_spec
from sweeps.engine.records import VALIDATION_METRIC, TrialResult
from sweeps.engine.resources.resources import Resources
from sweeps.engine.system.errors import StorageError
from sweeps.engine.trials.trial import run_trial

pytestmark = pytest.mark.usefixtures("small_model")


@pytest.fixture
def drive(records):
    """Return a function that runs a sweep of two trials, and returns their results by sigma."""

    def drive(data, run, failures=1):
        options = script.Options(
            scale="demo", sigmas=(0.3, 0.5), seeds=1, num_trials=0, max_epochs=2,
            training_images=300, validation_images=30, test_images=20, max_failures=failures,
        )  # fmt: skip
        plan = make_plan(line_spec(options, options.sigmas), options)
        driver = Driver(plan, plan.search({}), records, [])
        InProcess(Resources(1, 0, 1), run=run).run(driver, data, {"madry_cnn": b""})
        return {result.config.method.sigma: result for result in records.results()}

    return drive


class NoData:
    def to(self, device):
        return self


def made_up(config, data, start_weights, records, report, **_):
    """Stand for a trial of one epoch that trains nothing."""
    epoch = {"epoch": 1.0, "train_loss": 1.0, "seconds": 1.0, VALIDATION_METRIC: 50.0}
    result = TrialResult(
        trial_id=records.trial_id, config=config, status="converged", history=[epoch],
        objective=80.0,
    )  # fmt: skip
    return records.write_result(result)


def test_trials_are_trained_evaluated_and_recorded(drive, data, start_weights):
    def run(config, data, _, records, **options):
        return run_trial(config, data, start_weights, records, **options)

    results = drive(data, run)
    assert [result.status for result in results.values()] == ["max_epochs"] * 2
    assert all(result.is_measured and len(result.history) == 2 for result in results.values())


def test_a_process_that_dies_is_replaced_until_it_has_died_too_often(drive):
    deaths = {0.3: 1, 0.5: 2}

    def run(config, data, start_weights, records, **options):
        if deaths[config.method.sigma]:
            deaths[config.method.sigma] -= 1
            raise ProcessDiedError
        return made_up(config, data, start_weights, records, **options)

    results = drive(NoData(), run, failures=1)
    assert results[0.3].status == "converged"
    assert (results[0.5].status, results[0.5].reason) == (
        "failed",
        "the trial's process died 2 times",
    )


def test_a_process_that_would_die_again_is_not_replaced(drive):
    def run(config, data, start_weights, records, **options):
        raise ProcessDiedError("out of memory: 2 GB used")

    results = drive(NoData(), run, failures=9)
    assert {result.reason for result in results.values()} == {"out of memory: 2 GB used"}


def test_a_storage_that_cannot_be_written_ends_the_sweep(drive, monkeypatch):
    def full(*_):
        raise StorageError("/disk", "No space left on device")

    monkeypatch.setattr("sweeps.engine.records.storage.Folder.write", full)
    with pytest.raises(StorageError, match="No space"):
        drive(NoData(), made_up)


@pytest.mark.slow
@pytest.mark.usefixtures("small_model")
def test_a_whole_sweep_runs_without_ray(tmp_path, capsys, monkeypatch):
    """Options, vanilla start, trials, tracking and report, as a script runs them."""
    monkeypatch.chdir(tmp_path)
    options = script.Options(
        scale="demo", sigmas=(0.5,), seeds=1, num_trials=0, max_epochs=1, start_epochs=1,
        training_images=300, validation_images=30, test_images=20, name="sweep",
        storage=str(tmp_path / "results"),
    )  # fmt: skip
    from sweeps.engine.runs.sweep import run_sweep

    code = run_sweep(line_spec(options, options.sigmas), options, backend=InProcess)
    assert code == 0
    page = tmp_path / "results/sweep/report/report.html"
    assert page.exists()
    assert f"Report, from the first minutes on: {page}\n" in capsys.readouterr().out
