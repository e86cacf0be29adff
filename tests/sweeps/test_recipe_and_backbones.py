"""Sweeps over the training and over networks, whole but for Ray, on a tiny scale."""

import pytest
from pyarrow import parquet

from sweeps.engine.records import SweepRecords
from sweeps.engine.records.storage import Folder
from tests.sweeps.here import run_here

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("small_model")]
TINY = ("--training-images", "100", "--validation-images", "10", "--test-images", "10",
        "--start-epochs", "1", "--max-epochs", "2", "--seeds", "1", "--storage", "results",
        "--name", "tiny", "--evaluate", "none")  # fmt: skip


@pytest.mark.slow
def test_the_recipe_is_varied_and_reported(tmp_path):
    code, printed = run_here(tmp_path, "training_recipe", *TINY, "--batch-sizes", "20")
    assert code == 0, printed
    results = SweepRecords(Folder(str(tmp_path / "results/tiny"))).results()
    found = {
        (r.config.training.batch_size, r.config.training.decays, r.config.initial_weights): r
        for r in results
    }
    assert len(found) == len(results) == 5 and (300, 1, "random") in found
    assert len(found[300, 1, "random"].history) == 1, "as many epochs as the vanilla training"
    rows = parquet.read_table(tmp_path / "results/tiny/results.parquet").to_pylist()
    kinds = {(row["batch_size"], row["decays"], row["initial_weights"]) for row in rows}
    assert kinds == set(found)
    page = (tmp_path / "results/tiny/report/report.html").read_text()
    assert "initial weights" in page and "random" in page


@pytest.mark.slow
def test_every_network_starts_from_a_model_of_its_own_and_a_resumed_sweep_keeps_it(tmp_path):
    code, printed = run_here(tmp_path, "backbones", *TINY, "--method", "vanilla")
    assert code == 0, printed
    assert printed.count("training the start model") == 2
    code, printed = run_here(tmp_path, "backbones", *TINY, "--method", "gnt")
    assert code == 0 and "training the start model" not in printed, printed
    assert "2 trials recorded already" in printed
    results = SweepRecords(Folder(str(tmp_path / "results/tiny"))).results()
    assert {(r.config.model, r.config.method.variant) for r in results} == {
        (model, name) for model in ("madry_cnn", "wong_small") for name in ("vanilla", "gnt")
    }
    assert all(result.is_measured for result in results)
