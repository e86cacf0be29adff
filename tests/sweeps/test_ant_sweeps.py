"""The sweeps over adversarial noise training, whole but for Ray, on a tiny scale: one contract."""

import json

import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient

from sweeps.engine.records import NOISE, SweepRecords
from sweeps.engine.records.storage import Folder
from tests.sweeps.here import run_here

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("small_model")]
TINY = ("--training-images", "100", "--validation-images", "10", "--test-images", "10",
        "--start-epochs", "1", "--max-epochs", "2", "--seeds", "1", "--storage", "results",
        "--pretraining-steps", "1", "--name", "tiny")  # fmt: skip
CONTRACTS = {
    "epsilon_sphere": ("epsilon", "--epsilons 7 10 --num-trials 1", 3),
    "generator_depth": ("generator_depth", "--depths 1 2 --method vanilla", 4),
    "generator_reset_interval": ("reset_interval", "--reset-intervals 0.5 never", 2),
    "experience_replay": ("experience_replay", "", 2),
    "joint_search": ("joint", "--num-trials 2 --objectives 2 --sampler gp", 2),
}


# The one that differs most from the line search of test_one_sweep.py.
QUICK = ("joint_search",)


@pytest.mark.parametrize(
    "script", [pytest.param(s, marks=() if s in QUICK else pytest.mark.slow) for s in CONTRACTS]
)
def test_a_sweep_trains_records_tracks_and_reports(script, tmp_path):
    question, arguments, trials = CONTRACTS[script]
    code, printed = run_here(tmp_path, script, *arguments.split(), *TINY)
    assert code == 0 and "Traceback" not in printed, printed
    records = SweepRecords(Folder(str(tmp_path / "results/tiny")))
    results = records.results()
    assert [result.status for result in results] == ["max_epochs"] * trials
    for result in results:
        if result.config.method.method == "vanilla":  # a baseline
            continue
        assert result.config.method.method == "ant"
        assert {"generator_loss", "share_unattainable", "resets"} <= result.history[-1].keys()
        assert records.trial(result.trial_id).folder.exists(NOISE)
    folder = tmp_path / "results/tiny"
    table = pq.read_table(folder / "results.parquet")
    assert table.num_rows == trials * 2 * 16
    asked = json.loads((folder / "sweep.json").read_text())
    assert {parameter["name"] for parameter in asked["parameters"]} <= set(table.column_names)
    page = (folder / "report/report.html").read_text()
    assert page.count("<img") >= 2 and "learned" in page
    client = MlflowClient(f"sqlite:///{tmp_path}/results/mlflow.db")
    experiment = client.get_experiment_by_name(f"gon/{question}")
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) == trials + 1 and {run_.info.status for run_ in runs} == {"FINISHED"}
    for run_ in runs:
        if run_.info.run_name.startswith("baseline vanilla"):
            assert run_.data.params["method"] == "vanilla"
        elif run_.data.tags["kind"] == "trial":
            assert "generator_accuracy" in run_.data.metrics
            assert client.list_artifacts(run_.info.run_id, "learned_noise")
