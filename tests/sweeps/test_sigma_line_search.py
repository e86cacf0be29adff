"""The main job on a small scale: what it records, tracks and draws; the same again."""

import signal
import time

import pyarrow.parquet as pq
import pytest

from gon_core.config import EvaluationConfig, StartConfig
from gon_core.data import files, idx
from gon_core.data.splits import split
from gon_core.training.checkpoints import MODEL
from sweeps.engine.records import SweepRecords, starting_models
from sweeps.engine.records.storage import Folder
from sweeps.engine.trials.measures import prepare_data
from sweeps.engine.trials.trial import make_deterministic, run_trial
from tests.sweeps.faults import PATIENCE, WHOLE, Sweep, wait_for, will_handle_sigterm
from tests.sweeps.here import repeat_here

pytestmark = pytest.mark.system


def test_a_sweep_records_every_trial_and_draws_the_figure(finished):
    results = finished.records.results()
    assert len(results) == 6
    assert {result.status for result in results} == {"max_epochs"}
    sigmas = sorted({result.config.method.sigma for result in results})
    assert len(sigmas) == 3 and sigmas[0] == 0 and 0 < sigmas[1] < 0.5
    assert pq.read_table(finished.folder / "results.parquet").num_rows == 6 * 2 * 16
    for name in ("mnist_c_vs_sigma.png", "report.html", "table.md"):
        assert (finished.folder / "report" / name).stat().st_size > 200
    printed = (finished.cwd / "printed.txt").read_text()
    assert "mlflow ui" in printed and "300 of 55,000 training images" in printed
    assert "Traceback" not in printed and "WARNING" not in printed


def test_mlflow_holds_one_parent_and_one_terminal_run_per_trial(finished):
    _, parents, trials = finished.mlflow_runs()
    assert len(parents) == 1 and len(trials) == 6
    assert {run.info.status for run in (*parents, *trials)} == {"FINISHED"}
    assert all("mnist_c/mean" in run.data.metrics for run in trials)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param((), id="same"),
        pytest.param(("--processes-per-trial", "2"), marks=pytest.mark.slow, id="two"),
    ],
)
def test_the_command_again_trains_nothing_and_says_so(changed, another_finished):
    """Neither the same command, nor one that trains each trial with two processes."""
    sweep = another_finished
    before = sweep.result_stamps()
    code, printed = repeat_here(sweep, *changed, draws=False)
    assert code == 0 and "nothing to train" in printed
    assert sweep.result_stamps() == before
    _, parents, trials = sweep.mlflow_runs()
    assert len(parents) == 1 and len(trials) == 6


@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["run", "dry run"])
def test_another_spec_under_the_same_name_is_refused(finished, dry):
    code, printed = repeat_here(finished, "--scheduler", "asha", *dry)
    assert code == 2 and "choose another name" in printed and "scheduler" in printed


def test_a_trial_gives_the_same_bits_alone_as_beside_others(finished, tmp_path):
    beside = finished.records.results()[0]
    make_deterministic("cpu", threads=1)
    train, test = idx.load("mnist")
    data = prepare_data(split(train, test, beside.config.data), EvaluationConfig())
    start = beside.config.start
    assert isinstance(start, StartConfig)
    storage = Folder(str(finished.cwd / "results"))
    kept = starting_models.folder(storage, start, files.check("mnist", None))
    weights = starting_models.stored(kept)
    alone_records = SweepRecords(Folder(str(tmp_path))).trial(beside.trial_id)
    alone = run_trial(beside.config, data, weights, alone_records)
    assert alone.measurements == beside.measurements and alone.objective == beside.objective
    expected = finished.records.trial(beside.trial_id).folder.read(MODEL)
    assert alone_records.folder.read(MODEL) == expected


@pytest.mark.slow
def test_on_ray_trials_give_the_same_figures_as_in_one_process(finished, tmp_path):
    sweep = Sweep(tmp_path, WHOLE)
    code, printed = sweep.run()
    assert code == 0 and "Traceback" not in printed, printed
    assert "WARNING" not in printed and "mlflow ui" in printed
    assert sweep.table().equals(finished.table())
    assert (sweep.folder / "report/mnist_c_vs_sigma.svg").stat().st_size > 200


def test_ctrl_c_before_the_first_trial_leaves_no_traceback(tmp_path):
    process = Sweep(tmp_path, "--sigmas 0 --seeds 1 --num-trials 0").start()
    wait_for(lambda: will_handle_sigterm(process), process)
    time.sleep(2.5)  # it has loaded, and starts Ray
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, out + err
    assert "Resume with" in out + err and "Traceback" not in out + err
