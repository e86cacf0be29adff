"""What the MLflow UI opens with: the comparison of a sweep, descriptions, data sets, settings."""

import base64
import json
import re
import zlib
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from mlflow import MlflowClient

from search_spaces.parameter import Choice
from sweeps.engine.records import MODEL
from sweeps.engine.report import write_report
from sweeps.engine.tracking import default_uri, how_to_compare, replay, store_problem
from sweeps.engine.tracking.__main__ import main
from sweeps.engine.tracking.mlflow import notes, sqlite_store, view
from sweeps.engine.tracking.mlflow.store import Store
from tests.spaces import JOINT_SPACE
from tests.sweeps.engine.descriptions import describe
from tests.sweeps.engine.report.made_up import measured_sigmas, write_sweep
from tests.sweeps.engine.tracking.browser import CHROMIUM, Browser
from tests.sweeps.engine.tracking.mlflow_server import Server
from tests.sweeps.engine.tracking.tracked_sweeps import ended, runs

# fmt: off
HISTORY = [{"epoch": 1.0, "train_loss": 0.9, "validation_corrupted": 71.0, "seconds": 2.0},
           {"epoch": 2.0, "train_loss": 0.5, "validation_corrupted": 82.5, "seconds": 2.0}]
CONFIG = {"data": {"dataset": "mnist"}, "training": {"max_epochs": 2}, "sampler": "tpe",
          "seeds": [0, 1], "grid": [[0.5]]}
# fmt: on


def state_of(name, text):
    """Return the view that a tag holds, as the UI unpacks it."""
    assert name.startswith("mlflow.sharedViewState.")
    kept = json.loads(text)
    assert kept["createdAt"] == kept["updatedAt"] > 10**12 and kept["name"].startswith("Sweep ")
    head, _, packed = kept["state"].partition(";")
    assert head == "deflate"
    return json.loads(zlib.decompress(base64.b64decode(packed)))


@pytest.fixture
def uri(tmp_path):
    return default_uri(str(tmp_path))


def test_the_view_shows_what_was_searched_and_found():
    description = describe(search="joint", parameters=JOINT_SPACE, grid=())
    state = state_of(*view.saved_view(description, "abc"))
    searched = [parameter.name for parameter in JOINT_SPACE]
    names = [re.fullmatch(r"(\w+)\.`(.+)`", column).groups() for column in state["selectedColumns"]]
    assert names == [
        *(("params", name) for name in (*searched, "seed")), ("tags", "status"),
        ("metrics", "accuracy/objective"), ("metrics", "mnist_c/mean"), ("metrics", "clean/top1"),
    ]  # fmt: skip
    assert set(state["columnWidths"]) == set(state["selectedColumns"]) == set(state["columnOrder"])
    charts = state["compareRunCharts"]
    kinds = [chart["type"] for chart in charts]
    assert kinds == ["SCATTER"] * len(searched) + ["PARALLEL", "LINE", "LINE"]
    for name, chart in zip(searched, charts, strict=False):
        assert chart["xaxis"]["key"] == name and chart["yaxis"]["key"] == "mnist_c/mean"
    assert len({chart["uuid"] for chart in charts}) == len(charts)
    assert {chart["metricSectionId"] for chart in charts} <= {
        section["uuid"] for section in state["compareRunSections"]
    }
    # Sorted by time the UI folds trials into the sweep's run.
    assert "start_time" not in state["orderByKey"]
    assert state["searchFilter"] == "tags.sweep_id = 'abc' and tags.kind = 'trial'"


def test_the_view_of_the_same_sweep_is_the_same_text_also_when_it_has_grown():
    first = view.saved_view(describe(), "abc")
    assert view.saved_view(describe(seeds=(0, 1, 2), grid=((0.5,), (0.7,))), "abc") == first


def test_evaluated_checkpoints_are_sorted_by_what_was_measured_of_them():
    names = ("a", "b")
    parameters = (Choice("variant", names, "checkpoint", "a"),)
    description = describe(scale="checkpoint", search="grid", parameters=parameters,
                           config={"trials": [{"data": {"dataset": "cifar10"}}]})  # fmt: skip
    assert state_of(*view.saved_view(description, "x"))["orderByKey"] == "metrics.`cifar10_c/mean`"


@pytest.mark.parametrize(
    ("uri", "base"),
    [
        ("sqlite:////data/mlflow.db", "http://127.0.0.1:5000"),
        ("https://me:s%40crt@host.org:8443/tracking/", "https://host.org:8443/tracking"),
        ("http://host", "http://host"),
    ],
)
def test_the_link_is_complete_and_holds_no_password(uri, base):
    link = view.link(uri, "7", "abc")
    assert link.startswith(f"{base}/#/experiments/7/runs?") and "crt" not in link
    query = parse_qs(urlsplit(link).fragment.partition("?")[2])
    assert query == {"viewStateShareKey": ["abc"], "workflowType": ["machine_learning"]}
    said = how_to_compare(uri, link)
    assert said.endswith(f"\n  {link}") and ("mlflow ui" in said) == uri.startswith("sqlite")
    assert "--port 5000" in said or not uri.startswith("sqlite")


@pytest.mark.system
def test_a_view_that_somebody_changed_is_kept(config, records, uri):
    description = describe(tracking_uri=uri)
    records.write_sweep(description)
    first = replay(records, uri)
    client = MlflowClient(uri)
    (experiment,) = (e for e in client.search_experiments() if e.name == "gon/sigma")
    (name,) = (name for name in experiment.tags if name.startswith(view.TAG))
    client.set_experiment_tag(experiment.experiment_id, name, "theirs")
    assert replay(records, uri).link == first.link
    assert client.get_experiment(experiment.experiment_id).tags[name] == "theirs"


@pytest.mark.system
def test_the_sweep_has_its_settings_question_answer_figure_and_command(tmp_path, uri):
    command = "python -m sweeps.sigma_line_search --scale demo"
    records = write_sweep(tmp_path / "line", measured_sigmas(2), config=CONFIG, command=command,
                          seeds=2, grid=[[0.5]])  # fmt: skip
    for name in ("mnist_c_vs_sigma.svg", "report.html"):
        (records.folder / "report").write(name, b"<p>Best: sigma 0.5</p>")
    found = []
    for _ in range(2):
        replay(records, uri)
        client, (parent,), children = runs(uri, "sigma-demo")
        found.append((parent.data.params, parent.data.tags, client.list_artifacts(
            parent.info.run_id, "report")))  # fmt: skip
    assert found[0] == found[1], "a second replay changes nothing"
    parameters, tags, files = found[0]
    expected = {"data.dataset": "mnist", "training.max_epochs": "2", "sampler": "tpe",
                "searched": "sigma", "scale": "demo", "packages.torch": "2.9.1",
                "training.batch_size": "300"}  # fmt: skip
    assert expected.items() <= parameters.items()
    assert tags["seeds"] == "0 1" and tags["points"] == "0.5" and "seeds" not in parameters
    note = tags[notes.NOTE]
    assert note.startswith("**Which sigma of Gaussian noise training?**\n\nBest: sigma 0.5, ")
    (address,) = re.findall(r"!\[.*\]\((.*)\)", note)
    asked = parse_qs(urlsplit(address).query)
    assert asked["run_uuid"] == [parent.info.run_id]
    assert asked["path"][0] in {file.path for file in files} and asked["path"][0].endswith(".svg")
    assert "report/report.html" in {file.path for file in files}
    linked = re.findall(r"\]\(#(/experiments/.*?)\)", note)
    (place, mode), (comparison, _) = (page.split("?") for page in linked)
    run = f"/experiments/{parent.info.experiment_id}/runs"
    assert place == f"{run}/{parent.info.run_id}/artifacts/report/report.html"
    assert mode == "workflowType=machine_learning" and comparison == run
    assert f"```sh\n{command} --storage {tmp_path} --name line\n```" in note
    one = next(run for run in children if run.info.run_name == "sigma=0.5 seed 0")
    mean, clean = (one.data.metrics[name] for name in ("mnist_c/mean", "clean/top1"))
    line = f"gnt on MNIST, sigma=0.5 seed 0: converged after 2 epochs; MNIST-C {mean:.1f} %; "
    assert one.data.tags[notes.NOTE] == f"{line}clean {clean:.1f} %"


def test_a_sweep_that_runs_says_so_and_settings_that_grow_follow(config, records, uri):
    Store(uri, describe(tracking_uri=uri), records).begin_sweep()
    grown = describe(tracking_uri=uri, seeds=(0, 1), config={"sampler": "tpe"})
    records.write_sweep(grown)
    Store(uri, grown, records).begin_sweep()
    _, (parent,), _ = runs(uri)
    assert parent.data.tags["seeds"] == "0 1" and parent.data.params["sampler"] == "tpe"
    assert parent.data.tags[notes.NOTE] == "**Which sigma?**\n\nIt has not ended yet."


def test_trials_name_their_images_once(config, records, uri):
    description = describe(tracking_uri=uri, data_digest="0123456789abcdef" * 4)
    records.write_sweep(description)
    records.trial(config.trial_id).write_config(config)
    store = Store(uri, description, records)
    store.begin(config)
    records.trial(config.trial_id).write_result(ended(config))
    for _ in range(2):
        replay(records, uri)
    _, _, (child,) = runs(uri)
    inputs = child.inputs.dataset_inputs
    images = {each.tags[0].value: each.dataset for each in inputs}
    assert set(images) == {"training", "test"} and len(inputs) == 2
    assert images["training"].name == "MNIST training"
    assert images["training"].digest == "0123456789abcdef01234567-300"
    assert json.loads(images["test"].profile) == {"num_rows": config.data.test_images}
    assert json.loads(images["test"].source)["sha256"] == description.data_digest


@pytest.fixture
def trained(config, records, uri):
    """A sweep with a trial whose model is recorded; its weights."""
    from gon_core.training import checkpoints

    records.write_sweep(describe(tracking_uri=uri))
    model = config.data.benchmark.make_model(config.model).eval()
    weights = checkpoints.dump_model(model)
    records.trial(config.trial_id).write_config(config)
    records.trial(config.trial_id).write_result(ended(config), {MODEL: weights})
    return model, weights


@pytest.mark.system
def test_model_json_loads_the_weights_in_three_lines(trained, config, records, uri, tmp_path,
                                                     monkeypatch):  # fmt: skip
    import torch

    replay(records, uri)
    client, _, (child,) = runs(uri)
    names = [file.path for file in client.list_artifacts(child.info.run_id)]
    assert "model.json" in names and "model" not in names, "weights are stored once"
    facts = client.download_artifacts(child.info.run_id, "model.json", str(tmp_path))
    said = json.loads(Path(facts).read_text())
    model, weights = trained
    assert said["weights"].startswith(f"trials/{config.trial_id}/{MODEL}")
    assert len(said["load"]) == 3
    monkeypatch.chdir(tmp_path)
    (tmp_path / MODEL).write_bytes(weights)
    names = {}
    exec("\n".join(said["load"]), names)
    images = torch.rand(2, *said["image_shape"], generator=torch.Generator().manual_seed(0))
    assert torch.equal(names["model"](images), model(images))


@pytest.mark.system
def test_mlflow_opens_a_logged_model_also_of_a_sweep_that_was_sent_without(
    trained, config, records, uri, monkeypatch
):
    import mlflow
    import numpy as np
    import torch

    replay(records, uri)
    for _ in range(2):
        replay(records, uri, logs_models=True)
    client, _, (child,) = runs(uri)
    assert child.data.tags["status"] == "max_epochs" and child.info.status == "FINISHED"
    places = [file.path for file in client.list_artifacts(child.info.run_id, "model/data")]
    assert sorted(places) == ["model/data/model.json", f"model/data/{MODEL}"], "and no pickle"
    folder = client.download_artifacts(child.info.run_id, "model")
    opened = mlflow.pyfunc.load_model(folder)
    images = np.random.default_rng(0).random((3, 1, 28, 28), dtype=np.float32)
    with torch.inference_mode():
        expected = trained[0](torch.from_numpy(images)).numpy()
    assert np.array_equal(opened.predict(images), expected)
    with pytest.raises(mlflow.exceptions.MlflowException, match="shape"):
        opened.predict(images[:, :, :20])


@pytest.mark.parametrize("version", ["older", "newer"])
def test_a_store_of_another_mlflow_is_refused_in_one_line(version, records, uri, capsys):
    import sqlite3

    from sweeps.engine.tracking.mlflow.sqlite_store import _schema_steps, ensure_store
    from sweeps.engine.tracking.mlflow.uris import sqlite_path

    records.write_sweep(describe(tracking_uri=uri))
    path = sqlite_path(uri)
    ensure_store(path)
    assert store_problem(uri) == ""
    with sqlite3.connect(path) as database:
        (head,) = database.execute("SELECT version_num FROM alembic_version").fetchone()
        other = _schema_steps()[head] if version == "older" else "abcdef012345"
        database.execute("UPDATE alembic_version SET version_num = ?", (other,))
    database.close()
    assert main(["replay", records.folder.uri]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and f"is of a{'n' * (version == 'older')} {version} MLflow" in err
    assert ("uv run mlflow db upgrade sqlite:////" in err) == (version == "older")


def test_an_mlflow_that_could_make_no_store_where_it_is_installed_is_refused(uri, monkeypatch):
    place = Path("/home/a %20/.venv/mlflow")
    monkeypatch.setattr(sqlite_store, "_installed", lambda: [place])
    assert store_problem(uri).endswith(f"install again, given: {place}")
    assert store_problem("http://127.0.0.1:5000") == ""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium to look at the UI with")
def test_the_printed_link_opens_the_comparison(tmp_path, capsys):
    """A real UI and a real browser; PNG files of what it shows are kept in the test's folder."""
    trials = [result.model_copy(update={"history": HISTORY}) for result in measured_sigmas(seeds=2)]
    records = write_sweep(tmp_path / "line", trials, config=CONFIG, id="0123456789abcdef", seeds=2)
    write_report(records)
    server = Server(tmp_path)
    server.start()
    try:
        assert main(["replay", records.folder.uri, server.uri]) == 0
        (link,) = re.findall(rf"{server.uri}\S+", capsys.readouterr().out)
        last = min(trials, key=lambda trial: trial.objective or 0)
        values = [str(trial.objective)[:6] for trial in trials]
        with Browser(tmp_path / "browser", 2000, 1000) as browser:
            table, picture = browser.open(link, ("sigma=0.5 seed 0", *values))
            (tmp_path / "table.png").write_bytes(picture)
            charts, picture = browser.open(
                f"{link}&compareRunsMode=CHART",
                ("sigma vs. mnist_c/mean", "clean/top1"),
                then=5,
            )
            (tmp_path / "charts.png").write_bytes(picture)
            _, (sweep_run,), _ = runs(server.uri, "sigma-demo")
            (page,) = re.findall(r"\[report\]\((.*?)\)", sweep_run.data.tags[notes.NOTE])
            # In a frame; the second text is of an axis, so that its charts are drawn there.
            texts = ("Best: sigma 0.5", "corrupted validation accuracy (%)")
            report, picture = browser.open(f"{server.uri}/{page}", texts)
            (tmp_path / "report.png").write_bytes(picture)
    finally:
        server.kill()
    for trial, value in zip(trials, values, strict=True):  # each has a line, none is folded away
        name = records.read_sweep().trial_name(trial.config)
        assert name in table and name in charts
        assert value in table
    heads = ("sigma", "seed", "status", "accuracy/objective", "mnist_c/mean", "clean/top1")
    assert all(head in table for head in heads)
    order = [table.index(records.read_sweep().trial_name(t.config)) for t in (trials[-3], last)]
    assert order == sorted(order), "the best comes first"
    assert all(text in report for text in texts), "MLflow shows the report"
    assert not any("Evaluation runs" in page for page in (table, charts, report)), "GenAI's menu"
    # Of sections that are open alone: an axis of the parallel coordinates, and the curves.
    assert "clean/top1" in charts and "validation_corrupted" in charts and "train_loss" in charts
