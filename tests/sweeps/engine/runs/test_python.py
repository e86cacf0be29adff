"""``sweeps.Sweep``: a sweep from Python."""

import os
import sqlite3
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn, optim

import sweeps
from sweeps import Sweep, experience_replay, load, sigma_line_search
from sweeps.engine import report
from sweeps.engine.backend.in_process import InProcess
from sweeps.engine.runs import sweep
from sweeps.engine.system.exit_codes import SOME_FAILED
from tests.sweeps.here import render_nothing, run_here

SMALL = {
    "scale": "demo", "seeds": 2, "max_epochs": 1, "start_epochs": 1, "training_images": 300,
    "validation_images": 30, "test_images": 20,
}  # fmt: skip


def train(trial, seed, report):
    """Train with plain gradient descent."""
    optimizer = optim.SGD(trial.model.parameters(), lr=trial["rate"])
    loss = torch.zeros(())
    for images, labels in trial.batches():
        loss = nn.functional.cross_entropy(trial.model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    report(loss.item())


@pytest.fixture
def here(tmp_path, monkeypatch, small_model):
    """Sweeps are run in this process, their figures not drawn."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sweep, "run_sweep", partial(sweep.run_sweep, backend=InProcess))
    monkeypatch.setattr(report, "render", render_nothing)
    return tmp_path


@pytest.mark.system
def test_a_function_is_searched_beside_a_method(here, capsys):
    asked = Sweep(
        "Which rate?", train=train, space={"rate": [0.01, 0.1]}, method="gnt", **SMALL
    )  # fmt: skip
    found = asked.run()
    assert len(found.trials) == 6 and set(found.trials["baseline"].dropna()) >= {"gnt"}
    assert sorted(found.trials["rate"].dropna()) == [0.01, 0.01, 0.1, 0.1]
    assert (found.trials["corrupted"] > 0).all()
    assert found.answer[0].startswith("Best: rate ")
    text = capsys.readouterr().out
    assert "Which rate? Sweep which_rate-demo-" in text and "Traceback" not in text
    again = asked.run()
    assert "nothing to train" in capsys.readouterr().out
    assert again.trials.equals(found.trials)
    assert len(found.study().trials) == 2


@pytest.mark.slow
def test_another_function_of_that_name_is_another_sweep(here):
    given = {"space": {"rate": [0.1]}, "name": "one", **SMALL | {"seeds": 1}}
    Sweep("Which rate?", train=train, **given).run()
    first = train

    def train_otherwise(trial, seed, report):
        report(0.5)

    train_otherwise.__name__ = first.__name__
    with pytest.raises(ValueError, match=r"one holds another sweep, choose another name"):
        Sweep("Which rate?", train=train_otherwise, **given).run()


@pytest.mark.slow
def test_optuna_searches_a_range_of_a_method(here):
    found = Sweep(
        "How much?", method="gnt", space={"sigma": (0.0, 1.0), "momentum": [0.5, 0.9]},
        num_trials=3, **SMALL | {"seeds": 1},
    ).run()  # fmt: skip
    assert len(found.trials) == 3 and found.trials["sigma"].between(0, 1).all()
    assert set(found.trials["momentum"]) <= {0.5, 0.9}
    assert not any("paper's values" in line for line in found.answer)


@pytest.mark.system
def test_a_scripts_sweep_is_the_same_from_python(here):
    options = [word for name, value in SMALL.items() for word in (_flag(name), value)]
    code, printed = run_here(
        here, "sigma_line_search", "--sigmas", 0, 0.5, "--num-trials", 0, *options, draws=False
    )
    assert code == 0, printed
    found = Sweep(sigma_line_search, sigmas=[0, 0.5], num_trials=0, **SMALL).run()
    (folder,) = (path for path in (here / "results").iterdir() if path.name.startswith("sigma"))
    assert found.name == folder.name
    assert found.trials.equals(load(str(folder)).trials)


def _flag(name):
    return "--" + name.replace("_", "-")


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        (
            {"question": "x", "method": "gnt", "space": {"sgima": [1]}, "seeds": 0},
            ["sgima: is no field of gnt", "did you mean sigma?", "seeds: must be at least 1"],
        ),
        (
            {"question": "x", "train": lambda trial: None, "space": {"a": (1,), "seed": [1]}},
            ["a: must be a list of values", "seed: is the name of a part",
             "train: must have a name"],
        ),
        ({"question": "x", "train": train, "space": {"a": [1]}, "processes_per_trial": 2},
         ["processes_per_trial: must be 1"]),
        ({"question": "x", "train": len, "space": {"a": [1]}}, ["train: its source"]),
        ({"question": sigma_line_search, "sigmas": [-1], "space": {"sigma": [1]}, "sede": 1},
         ["sigmas: -1 is below 0", "space: is of one's own question",
          "sede: unknown option; did you mean seed?"]),
        ({"question": sigma_line_search, "method": "ant"}, ["method: must be among"]),
        ({"question": sigma_line_search, "fresh": True, "dry_run": True},
         ["fresh: is of a new sweep", "dry_run: is of the command line"]),
        ({"question": sweeps}, ["question: must be a module of a sweep"]),
        ({"question": 3}, ["question: must be a module of a sweep"]),
        ({"question": "x", "method": "gnt"}, ["space: has no parameter"]),
        ({"question": experience_replay, "benchmark": "minst"}, ["dataset: must be one of"]),
    ],
)  # fmt: skip
def test_every_problem_is_in_one_error(here, given, problems):
    with pytest.raises(ValueError, match="nothing was started") as error:
        Sweep(**given)
    text = str(error.value)
    assert all(problem in text for problem in problems), text
    assert not os.listdir(here)


@pytest.mark.slow
def test_what_ends_the_sweep_itself_is_an_error(here, monkeypatch):
    asked = Sweep("Q", train=train, space={"rate": [0.1]}, **SMALL)
    asked.run()
    monkeypatch.setattr(sweep, "run_sweep", lambda spec, options: SOME_FAILED)
    with pytest.raises(RuntimeError, match="for the reason that was printed"):
        asked.run()


def test_its_text_repeats_it():
    asked = Sweep(
        "Which rate?", train=train, space={"rate": [0.1]}, seeds=2, storage="elsewhere",
        tracking_uri="http://me:secret@host/",
    )  # fmt: skip
    assert repr(asked) == (
        "Sweep('Which rate?', train=train, space={'rate': [0.1]}, storage='elsewhere', "
        "tracking_uri='http://me:***@host/', seeds=2).run()"
    )


PLAIN = """
from sweeps import Sweep

def train(trial, seed, report):
    report(sum(float(images.mean()) for images, _ in trial.batches()))

found = Sweep("Q", train=train, space={"x": [1, 2]}, seeds=1, scale="demo", max_epochs=1,
              training_images=600, start_epochs=1, system_metrics=True).run()
print(found.trials["corrupted"].notna().sum(), "measured")
"""


@pytest.mark.slow
def test_a_plain_script_with_a_function_runs_on_ray(tmp_path):
    (tmp_path / "mine.py").write_text(PLAIN)
    command = [sys.executable, "mine.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "2 measured" in done.stdout and "Traceback" not in done.stdout + done.stderr
    assert (tmp_path / "results/mlflow.db").exists(), "which it made"
    with sqlite3.connect(tmp_path / "results/mlflow.db") as database:
        query = "SELECT DISTINCT run_uuid, key FROM metrics WHERE key LIKE 'system/%'"
        kinds = Counter(key for _, key in database.execute(query))
    assert kinds["system/cpu_utilization_percentage"] == 2 and set(kinds.values()) == {2}
    assert "system" not in "".join(map(Path.read_text, tmp_path.glob("results/*/trials/*/*.json")))
