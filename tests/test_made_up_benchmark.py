"""A benchmark of one's own, in forty lines: every method, a line search, a report, a measure."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import sweeps.sigma_line_search as script
from gon_core import architectures, benchmarks
from gon_core.benchmarks import CorruptionSuite
from gon_core.benchmarks.mnist import MNIST
from gon_core.config import ANT, DDN, PGD, TrainingConfig
from gon_core.data.splits import LabelledImages
from gon_core.models.madry_cnn import initialise
from gon_core.training import new_state, train

SHAPE, CLASSES = (3, 16, 16), 5


def small_model(classes, image_shape, generator):
    model = nn.Sequential(
        nn.Conv2d(image_shape[0], 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, classes),
    )  # fmt: skip
    initialise(model, generator or torch.Generator().manual_seed(0))
    return model


def read(data_dir):
    def images(count, seed):
        stream = torch.Generator().manual_seed(seed)
        pixels = torch.randint(0, 256, (count, *SHAPE), dtype=torch.uint8, generator=stream)
        return LabelledImages(pixels, torch.arange(count) % CLASSES)

    return images(60, 0), images(20, 1)


def corrupt(images, name, severity, seed, first):
    return 255 - images if name == "inverted" else images // (1 + severity)


SUITE = CorruptionSuite("made_up_c", "Made-up-C", ("inverted", "dark"), (1, 2), corrupt,
                        in_memory=False)  # fmt: skip
SMALL = replace(MNIST.scales["demo"], training_images=40, validation_images=10, test_images=20)
MADE_UP = replace(
    MNIST, name="made_up", title="Made-up", image_shape=SHAPE, classes=CLASSES,
    training_images=60, test_images=20, held_out=10, read=read, check=lambda folder: "made up",
    model="small", scales={"demo": SMALL, "paper": SMALL},
    suites={"validation": SUITE, "test": SUITE}, measures=("attacks", "epsilon_star"),
    published=None,
)  # fmt: skip
CHEAP = {PGD: {"steps": 2}, DDN: {"steps": 2}, ANT: {"pretraining_steps": 1}}


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setattr(benchmarks, "_BENCHMARKS", dict(benchmarks._BENCHMARKS))
    monkeypatch.setattr(architectures, "ARCHITECTURES", dict(architectures.ARCHITECTURES))
    architectures.register("small", architectures.Description(small_model, CLASSES, SHAPE))
    benchmarks.register(MADE_UP)


@pytest.mark.parametrize("variant", MNIST.methods)
def test_every_method_trains_on_it(registered, variant):
    method = MADE_UP.methods[variant]
    method = method.model_copy(update=CHEAP.get(type(method), {}))
    config = TrainingConfig(batch_size=20, max_epochs=1)
    state = new_state(MADE_UP.make_model(), config, 0, method, SHAPE[0])
    (metrics,) = train(state, read(None)[0], method, config)
    assert metrics.event == "max_epochs" and metrics.train_loss > 0


@pytest.mark.system
def test_a_line_search_ends_in_a_report_and_its_checkpoint_is_measured(
    registered, tmp_path, monkeypatch, capsys
):
    from sweeps.engine.backend.in_process import InProcess
    from sweeps.engine.planning.strength import line_spec
    from sweeps.engine.records import SweepRecords
    from sweeps.engine.records.storage import Folder
    from sweeps.engine.runs.checkpoint_evaluation import evaluate_checkpoints
    from sweeps.engine.runs.checkpoint_options import CheckpointOptions, problems
    from sweeps.engine.runs.sweep import run_sweep

    monkeypatch.chdir(tmp_path)
    options = script.Options(
        dataset="made_up", scale="demo", sigmas=(0.1, 0.5), seeds=1, num_trials=0, max_epochs=1,
        start_epochs=1, name="sweep", storage=str(tmp_path),
    )  # fmt: skip
    assert options.problems() == {}
    assert run_sweep(line_spec(options, options.sigmas), options, backend=InProcess) == 0
    page = re.sub('base64,[^"]*', "", (tmp_path / "sweep/report/report.html").read_text())
    document = (tmp_path / "sweep/report/table.md").read_text()
    assert "Made-up-C mean test accuracy" in page and "Made-up-C mean" in document
    assert "mnist" not in (page + document).lower()
    (trial, *_) = Path(tmp_path, "sweep/trials").iterdir()
    given = CheckpointOptions(
        checkpoints=(trial,), evaluate=("attacks",), name="again", storage=str(tmp_path)
    )
    assert given.problems() == problems(given) == {}
    assert evaluate_checkpoints(given) == 0
    trained = SweepRecords(Folder(str(tmp_path / "sweep"))).trial(trial.name).result()
    (result,) = SweepRecords(Folder(str(tmp_path / "again"))).results()
    assert result.of("top1") == trained.of("top1") and result.config.data.dataset == "made_up"
    rows = [(row.setting, row.severity) for row in result.of("top1", "test")]
    assert rows == [("clean", 0), *SUITE.versions] and result.of("attacks")
    assert (tmp_path / "again/report/report.html").exists()
