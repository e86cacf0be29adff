"""Folders and files that somebody else made: whatever lies in them, none of it is executed.

Each payload, read by what would believe it, makes a file; nothing of ours may ever make it.
"""

import hashlib
import importlib
import io
import json
import logging
import os
import pickle
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file

from gon_core.corruptions.mnist_c import CORRUPTIONS
from gon_core.data import idx
from gon_core.data.splits import split
from gon_core.models.wong_cnn import wong_small
from gon_core.training.checkpoints import MODEL, STATE, TRAINING
from sweeps import epsilon_sphere
from sweeps.engine import report
from sweeps.engine.cli import command_line
from sweeps.engine.planning import plan
from sweeps.engine.planning.strength import line_spec
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
from sweeps.engine.runs import checkpoint_models, sweep
from sweeps.engine.runs.checkpoint_options import CheckpointOptions
from sweeps.engine.trials import measures, trial
from tests.eager import use_eager_kernels

pytestmark = pytest.mark.usefixtures("small_model")
ROOT = Path(__file__).parents[2]
COMMAND = shlex.split(
    "--epsilons 7 9 --num-trials 0 --seeds 1 --scale demo --training-images 60 --test-images 10 "
    "--validation-images 10 --start-epochs 1 --max-epochs 3 --pretraining-steps 1 --name given"
)
# What Ray, Optuna, joblib and others leave, and read again where they are trusted.
STRAYS = (
    "tuner.pkl", "trainable.pkl", "searcher-state.pkl", "search_gen_state.pkl", "sampler.pkl",
    "study.pkl", "model.joblib", "params.pkl", "experiment_state.json", ".tune_metadata",
)  # fmt: skip


class Evil:
    """Makes a file as soon as it is unpickled."""

    def __init__(self, marker: str):
        self.marker = marker

    def __reduce__(self):
        return open, (self.marker, "w")


def torch_file(marker: str) -> bytes:
    buffer = io.BytesIO()
    torch.save({"weight": torch.zeros(2), "extra": Evil(marker)}, buffer)
    return buffer.getvalue()


def npy_file(marker: str) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([Evil(marker)] * 3, dtype=object), allow_pickle=True)
    return buffer.getvalue()


TRAPS = {
    "pickle": lambda marker: pickle.dumps(Evil(marker)),
    "old pickle": lambda marker: pickle.dumps(Evil(marker), protocol=0),
    "torch.save": torch_file,
    "npy": npy_file,
    "YAML": lambda marker: f"!!python/object/apply:builtins.open ['{marker}', w]\n".encode(),
    "YAML value": lambda marker: (
        f"seeds: !!python/object/apply:builtins.open ['{marker}', w]\n".encode()
    ),
}
BELIEVERS = {
    "pickle": pickle.loads,
    "old pickle": pickle.loads,
    "torch.save": lambda content: torch.load(io.BytesIO(content), weights_only=False),
    "npy": lambda content: np.load(io.BytesIO(content), allow_pickle=True),
    "YAML": yaml.unsafe_load,
    "YAML value": yaml.unsafe_load,
}


@pytest.mark.parametrize("kind", TRAPS)
def test_each_payload_works_on_those_who_believe_it(kind, tmp_path):
    marker = tmp_path / "executed"
    content = TRAPS[kind](str(marker))
    assert not marker.exists()
    BELIEVERS[kind](content)
    assert marker.exists()


@pytest.fixture
def trap(tmp_path):
    """Return a function: a payload of a kind. When the test is over, none may have worked."""
    marker = tmp_path / "executed"
    yield lambda kind="pickle": TRAPS[kind](str(marker))
    assert not marker.exists()


class Killed(BaseException):
    """Stands for a process that dies."""


def make_plan():
    options = command_line.parse(epsilon_sphere.Options, "", COMMAND, plan.line_problems)
    return options, plan.make_plan(line_spec(options, options.epsilons), options)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A storage folder with a sweep: one trial ended, one was killed after its second epoch."""
    with pytest.MonkeyPatch.context() as patch:
        use_eager_kernels(patch)
        patch.chdir(tmp_path_factory.mktemp("prepared"))
        options, made = make_plan()
        digest = plan.data_digest("mnist", None)
        splits = split(*idx.load("mnist"), made.config.data)
        data = measures.prepare_data(splits, made.config.evaluation)
        storage, start = Folder("results"), made.config.start
        records = SweepRecords(storage / made.name)
        records.write_sweep(sweep.describe_sweep(made, options, digest))
        measures.write_examples(records.folder, splits, made.config.evaluation)
        kept = starting_models.folder(storage, start, digest)
        config = starting_models.trial_config(start)
        training = starting_models.training_records(kept, made.name).trial(config.trial_id)
        result = trial.run_trial(config, data, None, training, evaluates=False)
        weights = training.folder.read(MODEL)
        starting_models.keep(kept, start, weights, result.history)

        def die(metrics):
            if metrics["epoch"] == 2:
                raise Killed

        ended, killed = made.known_trials
        trial.run_trial(ended, data, weights, records.trial(ended.trial_id))
        records.trial(killed.trial_id).write_ask_index(1)
        with pytest.raises(Killed):
            trial.run_trial(killed, data, weights, records.trial(killed.trial_id), report=die)
        yield Path("results").absolute(), data, weights, ended, killed


class Given:
    """A copy of that storage folder in the working directory."""

    def __init__(self, prepared):
        storage, self.data, self.weights, self.ended, self.killed = prepared
        shutil.copytree(storage, "results")
        self.records = SweepRecords(Folder("results/given"))
        self.folder = Path("results/given")
        self.start = next(Path("results/starting_models").iterdir())

    def trial(self, config) -> Path:
        return self.folder / "trials" / config.trial_id

    @property
    def checkpoint(self) -> Path:
        return self.trial(self.killed) / "checkpoints/epoch-000002"

    def resume(self, weights=None):
        records = self.records.trial(self.killed.trial_id)
        return trial.run_trial(self.killed, self.data, weights or self.weights, records)


@pytest.fixture
def given(prepared, tmp_path, monkeypatch):
    """What each test spoils."""
    monkeypatch.chdir(tmp_path)
    use_eager_kernels(monkeypatch)
    return Given(prepared)


def run_main(script, arguments, monkeypatch, capsys):
    """Return the exit code of a script's real ``main`` and all that it printed."""
    monkeypatch.setattr(sys, "argv", [f"sweeps/{script}.py", *arguments])
    module = importlib.import_module(f"sweeps.{script}")
    commands = ("engine.report.__main__", "engine.tracking.__main__")
    try:
        code = module.main(list(arguments)) if script in commands else module.main()
    except SystemExit as refused:
        code = refused.code
    printed = capsys.readouterr()
    assert "Traceback" not in printed.out + printed.err
    return code, printed.out + printed.err


def forge(checkpoint: Path, name: str, content: bytes) -> None:
    """Replace a file of a checkpoint and its hash in the manifest."""
    (checkpoint / name).write_bytes(content)
    manifest = json.loads((checkpoint / MANIFEST).read_text())
    manifest["sha256"][name] = hashlib.sha256(content).hexdigest()
    (checkpoint / MANIFEST).write_text(json.dumps(manifest))


# ----------------------------------------------------------------------------- trials carried on

FILES = (MODEL, TRAINING, STATE, HISTORY)


@pytest.mark.parametrize(
    ("name", "kind"), [(MODEL, "torch.save"), *((name, "pickle") for name in (*FILES, MANIFEST))]
)
def test_a_checkpoint_replaced_by_a_payload_gives_way_to_the_one_before(
    name, kind, given, trap, caplog
):
    (given.checkpoint / name).write_bytes(trap(kind))
    with caplog.at_level(logging.WARNING):
        assert given.resume().status == "max_epochs"
    assert "epoch-000002" in caplog.text


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


@pytest.mark.parametrize("name", ["aaa.pkl", "zzz.pkl", "epoch-000009"])
def test_a_stray_file_among_checkpoints_is_passed_over(name, given, trap):
    (given.trial(given.killed) / "checkpoints" / name).write_bytes(trap())
    result = given.resume()
    assert result.status == "max_epochs", result.reason


@pytest.mark.parametrize("kind", ["pickle", "torch.save"])
def test_a_starting_model_replaced_by_a_payload_is_damaged(kind, given, trap, caplog):
    (given.start / MODEL).write_bytes(trap(kind))
    with caplog.at_level(logging.WARNING):
        assert starting_models.stored(Folder(str(given.start))) is None
    assert "damaged" in caplog.text


@pytest.mark.parametrize("kind", ["pickle", "torch.save"])
def test_a_starting_model_that_is_a_payload_under_a_right_hash_fails_trials(kind, given, trap):
    weights = trap(kind)
    result = given.resume(weights)
    assert result.status == "failed"
    assert result.reason.startswith("ValueError: not the weights of a SmallCNN")


@pytest.mark.parametrize("kind", ["pickle", "YAML"])
def test_the_description_of_a_starting_model_may_be_a_payload(kind, given, trap, caplog):
    (given.start / starting_models.DESCRIPTION).write_bytes(trap(kind))
    with caplog.at_level(logging.WARNING):
        assert starting_models.stored(Folder(str(given.start))) is None
    assert "damaged" in caplog.text


@pytest.mark.parametrize("kind", TRAPS)
def test_a_sweep_whose_description_is_a_payload_is_not_carried_on(
    kind, given, trap, monkeypatch, capsys
):
    (given.folder / "sweep.json").write_bytes(trap(kind))

    def started(*arguments):
        raise AssertionError("the sweep was started")

    monkeypatch.setattr(sweep, "Cluster", started)
    code, printed = run_main("epsilon_sphere", COMMAND, monkeypatch, capsys)
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


@pytest.mark.parametrize("kind", ["pickle", "torch.save"])
@pytest.mark.parametrize(("name", "place"), PASSED_OVER)
def test_a_report_passes_over_a_payload_with_a_warning(
    name, place, kind, given, trap, undrawn, monkeypatch, capsys, caplog
):
    if name == RIGHT:
        given.resume()  # or there is nothing to compare with
    if name == PERTURBED:  # its record must name it, or it is not even looked at
        trial = SweepRecords(Folder(str(given.folder))).trial(given.ended.trial_id)
        trial.write_result(trial.result(), {PERTURBED: b""})
    (place(given) / name).write_bytes(trap(kind))
    code, _ = run_main("engine.report.__main__", ["results/given"], monkeypatch, capsys)
    assert code == 0 and name in caplog.text


@pytest.mark.parametrize("kind", ["pickle", "YAML"])
def test_a_report_refuses_a_sweep_that_is_a_payload(
    kind, given, trap, undrawn, monkeypatch, capsys
):
    (given.folder / "sweep.json").write_bytes(trap(kind))
    code, printed = run_main("engine.report.__main__", ["results/given"], monkeypatch, capsys)
    assert code == 2 and printed.startswith("results/given: no report could be made")
    assert printed.count("\n") == 1


@pytest.mark.parametrize("kind", ["pickle", "YAML"])
@pytest.mark.parametrize(("name", "place"), RECORDS)
def test_a_report_passes_over_records_that_are_payloads(
    name, place, kind, given, trap, undrawn, monkeypatch, capsys, caplog
):
    (place(given) / name).write_bytes(trap(kind))
    code, _ = run_main("engine.report.__main__", ["results/given"], monkeypatch, capsys)
    assert code == 0 and f"{name} is damaged and passed over" in caplog.text


def test_a_report_reads_no_stray_file(given, trap, undrawn, monkeypatch, capsys):
    for folder in (given.folder, given.folder / "trials", given.trial(given.ended)):
        for name in STRAYS:
            (folder / name).write_bytes(trap())
    code, _ = run_main("engine.report.__main__", ["results/given"], monkeypatch, capsys)
    assert code == 0


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """An MLflow store that is made already, which takes seconds."""
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"
    MlflowClient(uri).search_experiments()
    return uri


@pytest.mark.parametrize(
    "name", ["turn.json", "trial.json", "result.json", NOISE],
)  # fmt: skip
def test_a_replay_refuses_or_passes_over_a_payload(
    name, given, trap, store, monkeypatch, capsys, caplog
):
    (given.trial(given.ended) / name).write_bytes(trap())
    words = ["replay", "results/given", store]
    code, printed = run_main("engine.tracking.__main__", words, monkeypatch, capsys)
    assert code in (0, 2) and name in printed + caplog.text


def test_a_replay_reads_no_stray_file(given, trap, store, monkeypatch, capsys):
    for folder in (given.folder, given.folder / "trials", given.trial(given.ended)):
        for name in STRAYS:
            (folder / name).write_bytes(trap())
    words = ["replay", "results/given", store]
    code, printed = run_main("engine.tracking.__main__", words, monkeypatch, capsys)
    assert code == 0 and "MLflow holds 2 trials" in printed


def test_a_replay_refuses_a_payload_for_a_sweep(given, trap, store, monkeypatch, capsys):
    for kind in TRAPS:
        (given.folder / "sweep.json").write_bytes(trap(kind))
        words = ["replay", "results/given", store]
        code, printed = run_main("engine.tracking.__main__", words, monkeypatch, capsys)
        assert code == 2 and "sweep.json cannot be read" in printed


# ------------------------------------------------------------------------- weights that are given


@pytest.mark.parametrize("kind", TRAPS)
def test_a_checkpoint_that_is_a_payload_is_not_evaluated(kind, given, trap, monkeypatch, capsys):
    Path("weights").write_bytes(trap(kind))
    (given.trial(given.ended) / MODEL).write_bytes(trap(kind))
    forge(given.checkpoint, MODEL, trap(kind))
    words = ["--checkpoints", "weights", str(given.trial(given.ended)), str(given.checkpoint)]
    code, printed = run_main("evaluate_checkpoint", words, monkeypatch, capsys)
    assert code == 2 and printed.startswith("3 problems, nothing was started")
    says = "a pickle" if kind in ("pickle", "torch.save") else "not a safetensors file"
    assert printed.count(says) == 3


def test_what_lies_beside_weights_is_not_executed(given, trap):
    for name in ("trial.json", "result.json", *STRAYS):
        (given.trial(given.ended) / name).write_bytes(trap())
    options = CheckpointOptions(checkpoints=(given.trial(given.ended),))
    (loaded,), problems = checkpoint_models.load_models(options)
    assert problems == [] and loaded.given.name == given.ended.trial_id
    (given.checkpoint / MANIFEST).write_bytes(trap())
    options = CheckpointOptions(checkpoints=(given.checkpoint,))
    models, (problem,) = checkpoint_models.load_models(options)
    assert models == [] and "manifest.json: damaged" in problem


# ------------------------------------------------------------------------------ data and options


@pytest.mark.parametrize("kind", ["pickle", "old pickle", "npy"])
@pytest.mark.parametrize("part", ["images", "labels"])
def test_images_that_are_a_payload_are_refused(part, kind, tmp_path, trap, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save_file(wong_small().state_dict(), "weights")
    for name in ("identity", *CORRUPTIONS):
        (tmp_path / "set" / name).mkdir(parents=True)
        np.save(tmp_path / "set" / name / "test_images.npy", np.zeros((3, 28, 28), np.uint8))
        np.save(tmp_path / "set" / name / "test_labels.npy", np.arange(3))
    (tmp_path / "set/fog" / f"test_{part}.npy").write_bytes(trap(kind))
    words = ["--checkpoints", "weights", "--mnist-c", "set"]
    code, printed = run_main("evaluate_checkpoint", words, monkeypatch, capsys)
    assert code == 2 and f"--mnist-c: set/fog/test_{part}.npy: " in printed
    assert "pickle, which is never loaded" in printed


@pytest.mark.parametrize("kind", ["pickle", "torch.save", "npy"])
def test_a_data_set_that_is_a_payload_is_refused(kind, tmp_path, trap, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    raw = tmp_path / "data/KMNIST/raw"
    raw.mkdir(parents=True)
    names = [f"{part}-{what}-ubyte" for part in ("train", "t10k")
             for what in ("images-idx3", "labels-idx1")]  # fmt: skip
    for name in (*names, "training.pt", "test.pt"):
        (raw / name).write_bytes(trap(kind))
        (raw.parent / name).write_bytes(trap(kind))
    words = ["--dataset", "kmnist", "--data-dir", "data"]
    code, printed = run_main("sigma_line_search", words, monkeypatch, capsys)
    assert code == 2 and printed.count("not this IDX file") == 4


@pytest.mark.parametrize("kind", TRAPS)
@pytest.mark.parametrize("script", ["sigma_line_search", "joint_search", "evaluate_checkpoint"])
def test_options_that_are_a_payload_are_refused(script, kind, tmp_path, trap, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("options.yaml").write_bytes(trap(kind))
    code, printed = run_main(script, ["--config", "options.yaml"], monkeypatch, capsys)
    assert code == 2 and "--config: " in printed


# ------------------------------------------------------------------------------ an earlier sweep


@pytest.mark.parametrize("kind", TRAPS)
def test_no_search_learns_from_a_payload(kind, given, trap, monkeypatch, capsys):
    (given.folder / "sweep.json").write_bytes(trap(kind))
    words = ["--warm-start", "results/given"]
    code, printed = run_main("joint_search", words, monkeypatch, capsys)
    assert code == 2 and "--warm-start: results/given: sweep.json cannot be read" in printed


def test_a_search_passes_over_trials_that_are_payloads(given, trap, monkeypatch, capsys, caplog):
    other = given.trial(given.killed)
    shutil.copytree(given.trial(given.ended), other, dirs_exist_ok=True)
    (other / "result.json").write_bytes(trap())
    words = ["--warm-start", "results/given", "--dry-run", "--scale", "demo"]
    code, _ = run_main("joint_search", words, monkeypatch, capsys)
    assert code == 0
    from sweeps import joint_search
    from sweeps.engine.planning import warm_start

    options = joint_search.Options(scale="demo", warm_start=("results/given",))
    _, words = warm_start.read(plan.make_plan(joint_search.spec(options), options))
    assert "; 1 others cannot be compared" in words and given.killed.trial_id in caplog.text


# ------------------------------------------------------------------------- all of it, for real


@pytest.mark.slow
def test_a_sweep_is_carried_on_beside_every_kind_of_payload(given, trap, tmp_path):
    """Payloads wherever something is read that can be done without, and where Tune once wrote."""
    places = [given.folder, given.folder / "trials", given.trial(given.ended),
              given.trial(given.killed), Path("results"), given.folder / "report"]  # fmt: skip
    for folder in places:
        folder.mkdir(exist_ok=True)
        for name in STRAYS:
            (folder / name).write_bytes(trap())
    (given.start / MODEL).write_bytes(trap("torch.save"))
    (given.checkpoint / TRAINING).write_bytes(trap("torch.save"))
    for path in (given.trial(given.ended) / NOISE, given.folder / EXAMPLES,
                 given.trial(given.ended) / PERTURBED):  # fmt: skip
        path.write_bytes(trap())
    script = str(ROOT / "sweeps/epsilon_sphere.py")
    environment = os.environ | {"GON_FUSION": "eager"}
    ended = subprocess.run(
        [sys.executable, script, *COMMAND], cwd=tmp_path, capture_output=True, text=True,
        timeout=300, env=environment,
    )  # fmt: skip
    printed = ended.stdout + ended.stderr
    assert ended.returncode == 0, printed
    assert "Traceback" not in printed and "Resumed: 1 trials" in printed
    results = given.records.results()
    assert [result.status for result in results] == ["max_epochs"] * 2
