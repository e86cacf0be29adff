"""The comparison of methods, and the evaluation of what it trained, for real on a tiny scale."""

import json
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from mlflow import MlflowClient
from safetensors.torch import save_file

from gon_core.benchmarks.mnist import MNIST
from gon_core.corruptions.mnist_c import CORRUPTIONS
from gon_core.evaluation import examples
from gon_core.models import make
from gon_core.models.wong_cnn import wong_small
from sweeps.engine.records import EXAMPLES, RIGHT, SweepRecords
from sweeps.engine.records.storage import Folder
from tests.sweeps.here import run_here

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("small_model")]
SWEEPS = Path(__file__).parents[2] / "sweeps"
TINY = ("--training-images", "100", "--validation-images", "10", "--test-images", "12",
        "--start-epochs", "1", "--max-epochs", "1", "--seeds", "1", "--storage", "results",
        "--name", "tiny", "--evaluation-images", "4")  # fmt: skip
ENVIRONMENT = os.environ | {"COLUMNS": "100"}
# How a generator is trained against each final model is test_measures.py's.
QUICK = ("--evaluate", "attacks", "severities")
FIGURES = (
    "accuracy_vs_severity", "examples_by_sigma", "epsilon_star_and_attacks",
    "mnist_c_per_corruption", "corruptions",
)  # fmt: skip


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("comparison")
    methods = ("--method", "vanilla", "gnt", "pgd")
    return folder, *run_here(folder, "method_comparison", *methods, *QUICK, *TINY)


@pytest.fixture(scope="module")
def evaluated(compared):
    folder, *_ = compared
    trials = sorted((folder / "results/tiny/trials").iterdir())
    save_file(wong_small().state_dict(), folder / "other.safetensors")
    arguments = (
        "--checkpoints", trials[0], folder / "other.safetensors", "--names", "ours",
        "provable_wong", "--test-images", 12, "--validation-images", 10, "--evaluate", "attacks",
        "--evaluation-images", 4, "--name", "given",
    )  # fmt: skip
    return *run_here(folder, "evaluate_checkpoint", *arguments), arguments


def client_of(folder):
    return MlflowClient(f"sqlite:///{folder}/results/mlflow.db")


def test_every_method_ends_in_tables_figures_parquet_and_mlflow(compared):
    folder, code, printed = compared
    assert code == 0 and "Traceback" not in printed, printed
    for words in ("Table 6", "Table 7", "Paired comparison with variant vanilla", "86.9"):
        assert words in printed
    records = SweepRecords(Folder(str(folder / "results/tiny")))
    assert records.folder.exists(EXAMPLES)
    for result in records.results():
        assert [row.setting for row in result.of("attacks")] == ["pgd", "ddn"]
        assert {row.count for row in result.of("attacks")} == {4}
        assert sum(row.split == "test_severities" for row in result.measurements) == 76
        trial = records.trial(result.trial_id).folder
        assert trial.exists(RIGHT)
    table = pq.read_table(folder / "results/tiny/results.parquet").to_pylist()
    kinds = [row["measure"] for row in table]
    assert (kinds.count("top1"), kinds.count("attacks")) == (3 * (32 + 76), 3 * 2)
    assert {row["variant"] for row in table} == {"vanilla", "gnt", "pgd"}
    assert all(row["top5"] >= row["value"] for row in table if row["measure"] == "top1")
    client = client_of(folder)
    experiment = client.get_experiment_by_name("gon/method_comparison").experiment_id
    runs = client.search_runs([experiment])
    (parent,) = [r for r in runs if r.data.tags["kind"] == "sweep"]
    shown = {item.path for item in client.list_artifacts(parent.info.run_id, "report")}
    for name in FIGURES:
        assert f"report/{name}.png" in shown and f"report/{name}.svg" in shown
    child = next(r for r in runs if r.data.tags["kind"] == "trial")
    assert {"attacks/PGD_linf_0.1", "attacks/DDN_l2_1.5", "clean/top5", "mnist_c/fog",
            "test_severities/mnist_c/severity_5"} <= child.data.metrics.keys()  # fmt: skip


def test_a_dry_run_names_every_method(tmp_path):
    words = ("--dry-run", "--scale", "demo", "--seeds", 1)
    code, printed = run_here(tmp_path, "method_comparison", *words)
    assert code == 0 and "12 trials" in printed, printed
    assert all(f" {name} " in printed for name in MNIST.methods)


def test_checkpoints_are_evaluated_like_trials_and_once(compared, evaluated):
    folder, *_ = compared
    code, printed, arguments = evaluated
    assert code == 0 and "Traceback" not in printed, printed
    assert "ours" in printed and "68.6" in printed  # the published row of provable_wong
    assert "2 models to measure: about" in printed
    assert printed.count("  attack PGD, 4 images") == 2
    records = SweepRecords(Folder(str(folder / "results/given")))
    results = {r.config.method.variant: r for r in records.results()}
    assert {name: r.status for name, r in results.items()} == {
        "ours": "evaluated", "provable_wong": "evaluated",
    }  # fmt: skip
    trained = SweepRecords(Folder(str(folder / "results/tiny"))).results()[0]
    rows = [row for row in trained.measurements if row.split != "test_severities"]
    assert results["ours"].measurements == rows  # to the digit what its own trial measured
    client = client_of(folder)
    experiment = client.get_experiment_by_name("gon/evaluate_checkpoint").experiment_id
    runs = client.search_runs([experiment])
    assert len(runs) == 3 and {r.info.status for r in runs} == {"FINISHED"}
    for result in results.values():
        kept = set((records.folder / "trials" / result.trial_id).names())
        assert kept - {"trial.json", "result.json"} == set(result.files), "each has its hash"
    code, printed = run_here(folder, "evaluate_checkpoint", *arguments)
    assert code == 0 and printed.count("recorded already") == 2, printed


@pytest.mark.slow
def test_an_evaluation_that_is_terminated_leaves_no_run_running(compared, evaluated):
    folder, *_ = compared
    command = [sys.executable, "-u", str(SWEEPS / "evaluate_checkpoint.py"), "--checkpoints",
               "other.safetensors", "--test-images", "40", "--validation-images", "30",
               "--evaluate", "epsilon_star", "--name", "abandoned"]  # fmt: skip
    process = subprocess.Popen(
        command, cwd=folder, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    said = []
    for line in process.stdout:
        said.append(line)
        if "evaluated now" in line:  # what follows takes an hour
            process.send_signal(signal.SIGTERM)
            break
    out, err = process.communicate(timeout=120)
    said = "".join(said) + out
    assert process.returncode == 130, said + err
    assert "Resume with" in said and "Traceback" not in said + err
    client = client_of(folder)
    experiment = client.get_experiment_by_name("gon/evaluate_checkpoint").experiment_id
    abandoned = [r for r in client.search_runs([experiment]) if r.data.tags["sweep"] == "abandoned"]
    assert abandoned and {run.info.status for run in abandoned} == {"KILLED"}
    records = SweepRecords(Folder(str(folder / "results/abandoned")))
    assert not (records.folder / "drivers").names()


def mnist_c(folder, fault=""):
    """Write a small set in the published layout; one with a fault."""
    for name in ("identity", *CORRUPTIONS):
        (folder / name).mkdir(parents=True)
        images = np.zeros((5, 28, 28, 1), np.uint8)
        labels = np.arange(5)
        if name == "fog":
            match fault:
                case "labels":
                    labels = labels + 8
                case "range":
                    images = np.full((5, 28, 28, 1), 1.5, np.float32)
                case "shape":
                    images = np.zeros((5, 32, 32, 1), np.uint8)
                case "type":
                    images = np.zeros((5, 28, 28, 1), np.int16)
        np.save(folder / name / "test_images.npy", images)
        np.save(folder / name / "test_labels.npy", labels)
    return folder


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def bad_commands(folder):
    """Yield arguments and what their refusal must say."""
    good = folder / "good.safetensors"
    state = {name: tensor.clone() for name, tensor in wong_small().state_dict().items()}
    save_file(state, good)
    pickled = folder / "evil.pt"
    pickled.write_bytes(pickle.dumps(Evil(folder / "touched")))
    truncated = folder / "truncated.safetensors"
    truncated.write_bytes(good.read_bytes()[:-500])
    missing = folder / "missing.safetensors"
    save_file({k: v for k, v in state.items() if k != "0.bias"}, missing)
    unexpected = folder / "unexpected.safetensors"
    save_file(state | {"extra": torch.ones(2)}, unexpected)
    imagenet = folder / "imagenet_c"
    for severity in (1, 2, 4, 5):
        (imagenet / "gaussian_noise" / str(severity)).mkdir(parents=True)
    yield [], "--checkpoints: needs at least one"
    yield ["--checkpoints", folder / "no"], "no such file or folder"
    yield ["--checkpoints", good, good], "given twice"
    yield ["--checkpoints", good, "--architecture", "madry_cn"], "did you mean madry_cnn?"
    yield ["--checkpoints", good, "--names", "a", "b"], "must be as many as checkpoints"
    yield ["--checkpoints", good, "--names", "a\nb"], "--names: each must be 1 to 100 of"
    yield ["--checkpoints", good, "--architecture", "resnet50"], "is for ImageNet"
    yield ["--checkpoints", good, "--mnist-c", folder / "no"], "no such folder"
    yield ["--checkpoints", good, "--architecture", "madry_cnn"], "the weights of a wong_small"
    yield ["--checkpoints", pickled], "a pickle, which may hold code and is never loaded"
    yield ["--checkpoints", truncated], "truncated"
    yield ["--checkpoints", missing, "--architecture", "wong_small"], "missing 0.bias"
    yield ["--checkpoints", unexpected, "--architecture", "wong_small"], "unexpected extra"
    save_file(make("resnet18").state_dict(), folder / "resnet.safetensors")
    yield ["--checkpoints", folder / "resnet.safetensors"], "a resnet18 is for ImageNet"
    yield ["--checkpoints", folder], "a folder without model.safetensors"
    for fault, says in {
        "labels": "labels from 8 to 12", "range": "values from 1.5", "shape": "32", "type": "int16",
    }.items():  # fmt: skip
        yield ["--checkpoints", good, "--mnist-c", mnist_c(folder / fault, fault)], says
    arguments = ["--checkpoints", good, "--imagenet-c", imagenet]
    yield [*arguments, "--architecture", "resnet18"], "gaussian_noise/3: no such folder"
    yield arguments, "must be one of resnet18"


def test_bad_checkpoints_and_folders_are_refused_and_run_no_code(tmp_path, capsys, monkeypatch):
    from sweeps.engine.cli.command_line import parse
    from sweeps.engine.runs.checkpoint_evaluation import evaluate_checkpoints
    from sweeps.engine.runs.checkpoint_options import CheckpointOptions, problems

    monkeypatch.chdir(tmp_path)
    for arguments, says in bad_commands(tmp_path):
        with pytest.raises(SystemExit) as refused:
            options = parse(CheckpointOptions, "", list(map(str, arguments)), check=problems)
            evaluate_checkpoints(options)
        message = capsys.readouterr().err
        assert refused.value.code == 2 and says in message, (arguments, message)
        assert "Traceback" not in message and "nothing was started" in message
    assert not (tmp_path / "touched").exists() and not (tmp_path / "results").exists()


@pytest.mark.slow
def test_the_published_layout_of_mnist_c_is_evaluated(compared, tmp_path):
    folder, *_ = compared
    trial = next((folder / "results/tiny/trials").iterdir())
    code, printed = run_here(
        tmp_path, "evaluate_checkpoint", "--checkpoints", trial, "--mnist-c",
        mnist_c(tmp_path / "set"), "--evaluate", "none", "--validation-images", 10, "--test-images",
        12, "--name", "published",
    )  # fmt: skip
    assert code == 0 and "Traceback" not in printed, printed
    (result,) = SweepRecords(Folder(str(tmp_path / "results/published"))).results()
    assert {row.count for row in result.of("top1", "test")} == {5}
    recorded = json.loads((tmp_path / "results/published/sweep.json").read_text())
    (asked,) = recorded["config"]["trials"]
    assert asked["evaluation"]["corruption_set"] and asked["data"]["test_images"] == 5
    assert "5 of 10,000 test images" in recorded["deviations"]
    # The figures show the images that were evaluated, which are all black here.
    shown = examples.load((tmp_path / "results/published" / EXAMPLES).read_bytes())
    assert all(int(images.max()) == 0 for by in shown.corrupted.values() for images in by.values())


@pytest.fixture
def imagenet(tmp_path, monkeypatch):
    """Return the options of an evaluation of a made-up model on a made-up ImageNet-C."""
    from torchvision.io import write_png

    from gon_core import architectures
    from gon_core.evaluation.corruption_error import ALEXNET_ERRORS
    from sweeps.engine.runs.checkpoint_options import CheckpointOptions

    class Mean(torch.nn.Module):
        """Says class 1 of bright images and class 0 of dark ones."""

        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(1))

        def forward(self, images):
            bright = images.mean((1, 2, 3)) - 0.5
            return torch.stack([-bright, bright * self.scale], 1)

    monkeypatch.chdir(tmp_path)
    tiny = architectures.Description(lambda *made: Mean(), 2, (3, 224, 224))
    monkeypatch.setattr(architectures, "ARCHITECTURES", {"resnet18": tiny})
    for corruption in ALEXNET_ERRORS:
        for severity in range(1, 6):
            for label in (0, 1):
                wrong = corruption == "fog" and severity == 1  # one of the two is taken for dark
                level = 255 * (label and not wrong)
                folder = tmp_path / "set" / corruption / str(severity) / f"class{label}"
                folder.mkdir(parents=True)
                image = torch.full((3, 224, 224), level, dtype=torch.uint8)
                write_png(image, str(folder / "a.png"), 0)
    save_file({"scale": torch.ones(1)}, tmp_path / "mean.safetensors")
    options = CheckpointOptions(
        checkpoints=(tmp_path / "mean.safetensors",), architecture="resnet18",
        imagenet_c=tmp_path / "set", name="imagenet", evaluate=(),
    )  # fmt: skip
    assert options.problems() == {}
    return options


@pytest.mark.slow
def test_an_imagenet_c_folder_is_evaluated_with_the_corruption_error(imagenet, tmp_path, capsys):
    from gon_core.evaluation.corruption_error import ALEXNET_ERRORS
    from sweeps.engine.runs.checkpoint_evaluation import evaluate_checkpoints

    assert evaluate_checkpoints(imagenet) == 0
    printed = capsys.readouterr().out
    expected = 10 / ALEXNET_ERRORS["fog"] / 15  # 10 % wrong under fog, over its severities
    assert f"mCE {expected:.1f} %" in printed, printed
    (result,) = SweepRecords(Folder(str(tmp_path / "results/imagenet"))).results()
    assert len(result.measurements) == 75
    document = (tmp_path / "results/imagenet/report/table.md").read_text()
    assert (
        "ImageNet-C mean" in document
        and "jpeg_compression" in document
        and "zigzag" not in document
    )
    row = next(line for line in document.splitlines() if line.startswith("| checkpoint mean"))
    assert f"| {expected:.1f} |" in row and f"| {15 * expected:.1f} |" in row  # mCE, and fog's
    client = MlflowClient(f"sqlite:///{tmp_path}/results/mlflow.db")
    (experiment,) = [e for e in client.search_experiments() if "checkpoint" in e.name]
    runs = client.search_runs([experiment.experiment_id])
    (metrics,) = [run.data.metrics for run in runs if run.data.tags["kind"] == "trial"]
    assert metrics["imagenet_c/mce"] == pytest.approx(expected)
    assert metrics["imagenet_c/corruption_error/fog"] == pytest.approx(15 * expected)
    assert metrics["imagenet_c/mean_without_noise"] == pytest.approx(100 - 10 / 12)


def test_a_second_evaluation_of_the_same_name_is_refused(imagenet, tmp_path, capsys):
    from sweeps.engine.records.lock import SweepLock
    from sweeps.engine.runs.checkpoint_evaluation import evaluate_checkpoints

    folder = Folder(str(tmp_path / "results/imagenet"))
    with SweepLock(folder), pytest.raises(SystemExit) as refused:
        evaluate_checkpoints(imagenet)
    said = capsys.readouterr().err
    assert refused.value.code == 2 and f"process {os.getpid()} on " in said
    assert not folder.exists("sweep.json") and not folder.exists("trials")


def test_an_image_that_cannot_be_read_ends_in_one_line_and_leaves_no_run_running(
    imagenet, tmp_path, capsys
):
    from sweeps.engine.runs.checkpoint_evaluation import evaluate_checkpoints

    broken = tmp_path / "set/snow/3/class1/a.png"
    broken.write_bytes(b"no image")
    with pytest.raises(SystemExit) as refused:
        evaluate_checkpoints(imagenet)
    said = capsys.readouterr().err
    assert refused.value.code == 2 and said.startswith("1 problem, the sweep ended:\n")
    assert "--imagenet-c: " in said and "a.png" in said and said.count("\n") == 3
    client = MlflowClient(f"sqlite:///{tmp_path}/results/mlflow.db")
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    assert "RUNNING" not in {run.info.status for run in client.search_runs(ids)}
