"""``sweeps.load``: a recorded sweep as frames, figures, models and a study of Optuna."""

import math
from collections import Counter

import pytest
import torch
from safetensors.torch import save

from gon_core import architectures
from gon_core.config import GNT
from sweeps import load
from tests.sweeps.engine.report.made_up import (
    JOINT,
    ant_result,
    joint_search,
    result,
    write_sweep,
)

SIGMAS = {0.0: 75.0, 0.5: 85.0, 0.8: 84.0}


@pytest.fixture
def records(tmp_path):
    trials = [
        result(GNT(sigma=sigma), seed, "max_epochs", mean + seed)
        for sigma, mean in SIGMAS.items()
        for seed in range(3)
    ]
    trials += [
        result(GNT(sigma=1.2), seed, status, None)
        for seed, status in enumerate(("diverged", "max_epochs", "failed"))
    ]
    return write_sweep(tmp_path / "sigma-demo", trials, grid=[[0.0], [1.3]])


def test_trials_are_a_row_each_with_what_was_searched_and_found(records):
    trials = load(records.folder.uri).trials
    assert len(trials) == 12 and trials.index.is_unique and trials.index.name == "trial_id"
    measured = trials[trials["corrupted"].notna()]
    assert measured.groupby("sigma")["corrupted"].mean().to_dict() == pytest.approx(
        {sigma: mean + 1 for sigma, mean in SIGMAS.items()}, abs=0.05
    )
    assert measured["clean"].eq(98.5).all()
    assert measured["objective"].to_numpy() == pytest.approx(measured["corrupted"] + 1, abs=0.1)
    assert set(trials["status"]) == {"max_epochs", "diverged", "failed"}


def test_measurements_and_history_are_whole(records):
    sweep = load(records.folder.uri)
    measured = [trial for trial in records.results() if trial.measurements]
    rows = sweep.measurements.dropna(subset=["measure"])
    assert len(rows) == sum(len(trial.measurements) for trial in measured)
    assert sweep.history.groupby("trial_id")["epoch"].max().eq(2.0).all()
    assert list(sweep.history["loss"][:2]) == [1.0, 0.5]
    assert sweep.answer[0].startswith("Best: sigma 0.5")
    assert "sigma-demo, 12 trials" in repr(sweep)


def test_a_figure_is_matplotlibs_own(records):
    sweep = load(records.folder.uri)
    axes = sweep.figure("mnist_c_vs_sigma").axes[0]
    assert axes.get_xlabel().startswith("sigma")
    assert "mnist_c_per_corruption" in sweep.figures
    with pytest.raises(ValueError, match=r"one of mnist_c_vs_sigma.*got 'x'"):
        sweep.figure("x")


def test_a_model_has_the_weights_of_its_trial(records):
    sweep = load(records.folder.uri)
    trial_id = sweep.trials.index[0]
    stream = torch.Generator().manual_seed(1)
    model = architectures.make("madry_cnn", generator=stream)
    kept = {name: value.contiguous() for name, value in model.state_dict().items()}
    records.trial(trial_id).folder.write("model.safetensors", save(kept))
    model = sweep.model(trial_id)
    assert not model.training
    assert all(torch.equal(kept[name], value) for name, value in model.state_dict().items())
    with pytest.raises(ValueError, match="no trial 'x' has ended"):
        sweep.model("x")
    with pytest.raises(ValueError, match=r"model\.safetensors: no such file; the trial is"):
        sweep.model(sweep.trials.index[-1])


def test_a_study_has_every_point_with_its_state_and_mean(records):
    study = load(records.folder.uri).study()
    values = {trial.params["sigma"]: trial.values for trial in study.trials}
    assert values.pop(1.2) is None
    assert values == {s: pytest.approx([mean + 2], abs=0.05) for s, mean in SIGMAS.items()}
    assert study.best_params == {"sigma": 0.5}
    states = {trial.params["sigma"]: trial.state.name for trial in study.trials}
    assert states == {0.0: "COMPLETE", 0.5: "COMPLETE", 0.8: "COMPLETE", 1.2: "FAIL"}
    first = study.trials[0]
    assert first.duration.total_seconds() == pytest.approx(44.75)
    assert set(first.user_attrs) >= {"seed 0", "seed 1", "seed 2"}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Where the study of a joint search of 14 points is stored."""
    folder = tmp_path_factory.mktemp("joint")
    url = f"sqlite:///{folder}/study.db"
    load(write_sweep(folder / "joint", joint_search(14, seeds=3), **JOINT).folder.uri).study(url)
    return url


@pytest.mark.system
def test_a_study_is_stored_once_under_a_name(records, tmp_path):
    import optuna

    sweep, url = load(records.folder.uri), f"sqlite:///{tmp_path}/study.db"
    sweep.study(url)
    again = optuna.load_study(study_name="sigma-demo", storage=url)
    assert again.best_params == {"sigma": 0.5} and len(again.trials) == 4
    with pytest.raises(ValueError, match="has a study 'sigma-demo' already"):
        sweep.study(url)
    assert sweep.study(url, name="other").study_name == "other"


PLOTS = ("slice", "optimization_history", "parallel_coordinate", "contour", "param_importances")


@pytest.mark.slow
@pytest.mark.parametrize("name", PLOTS)
def test_optuna_plots_a_stored_study(stored, name):
    from optuna import load_study, visualization

    figure = getattr(visualization, f"plot_{name}")(load_study(study_name=None, storage=stored))
    assert figure.data and "NaN" not in figure.to_json()
    assert name == "optimization_history" or "epsilon" in figure.to_json()


@pytest.mark.slow
def test_optunas_dashboard_shows_a_stored_study(stored):
    from optuna.storages import RDBStorage
    from optuna_dashboard import wsgi
    from werkzeug.test import Client

    browser = Client(wsgi(RDBStorage(stored)))

    def asked(path):
        answer = browser.get(f"/api/studies{path}")
        assert answer.status_code == 200, (path, answer.text)
        return answer.json

    assert browser.get("/dashboard").status_code == 200
    (listed,) = asked("")["study_summaries"]
    assert listed["study_name"] == "sigma-demo"
    number = listed["study_id"]
    study = asked(f"/{number}?after=0")
    states = Counter(trial["state"] for trial in study["trials"])
    assert states == {"Complete": 12, "Pruned": 2}
    assert {parameter["name"] for parameter in study["union_search_space"]} == {
        parameter.name for parameter in JOINT["space"]
    }
    (importances,) = asked(f"/{number}/param_importances")["param_importances"]
    assert len(importances) == len(JOINT["space"])
    assert sum(each["importance"] for each in importances) == pytest.approx(1)


def test_a_joint_search_and_values_beyond_its_range_make_a_study(tmp_path):
    trials = [ant_result(seed, epsilon=epsilon) for epsilon in (5.0, 300.0) for seed in range(3)]
    records = write_sweep(tmp_path / "joint", trials, **JOINT)
    study = load(records.folder.uri).study()
    assert sorted(trial.params["epsilon"] for trial in study.trials) == [5.0, 300.0]
    assert not math.isnan(study.best_value)


def test_what_is_no_sweep_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no sweep\.json"):
        load(str(tmp_path))
