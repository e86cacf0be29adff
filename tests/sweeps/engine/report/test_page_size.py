"""How large the page is at the length of the paper: 60 trials of 600 epochs, with all its parts."""

import random

import pytest
import torch

from gon_core.corruptions.mnist_c import CORRUPTIONS
from gon_core.evaluation.examples import Examples, dump
from sweeps.engine import report
from sweeps.engine.records import EXAMPLES
from sweeps.engine.report import write_report
from sweeps.engine.report.figures import style
from sweeps.engine.report.pages import html
from tests.sweeps.engine.report.made_up import JOINT, ant_result, noise_file, write_sweep

TRIALS, EPOCHS, MOST = 60, 600, 8e6
METRICS = (
    "train_loss", "train_accuracy", "validation_corrupted", "learning_rate", "seconds",
    "data_seconds", "validation_seconds", "generator_accuracy", "generator_loss",
    "share_unattainable", "resets",
)  # fmt: skip


@pytest.mark.slow
def test_the_page_of_60_trials_of_600_epochs_stays_below_8_mb(tmp_path, monkeypatch):
    from plotly.offline import get_plotlyjs

    monkeypatch.setattr(html, "get_plotlyjs", get_plotlyjs)
    monkeypatch.setattr(report, "render", style.render)
    chance, noise = random.Random(0), torch.Generator().manual_seed(0)
    results = [
        ant_result(
            0, top1=chance.uniform(70, 90), epsilon=chance.uniform(3, 14),
            depth=chance.randint(1, 5), generator_learning_rate=10 ** chance.uniform(-5, -3),
        ).model_copy(
            update={
                "history": [
                    {"epoch": float(epoch)} | {name: 100 * chance.random() for name in METRICS}
                    for epoch in range(1, EPOCHS + 1)
                ]
            }
        )
        for _ in range(TRIALS)
    ]  # fmt: skip
    records = write_sweep(tmp_path / "sweep", results, noise_file(3), **JOINT | {"seeds": 1})

    def images():  # of noise alone: no real image needs more bytes
        return torch.randint(0, 255, (10, 1, 28, 28), dtype=torch.uint8, generator=noise)

    corrupted = {name: {severity: images() for severity in (1, 3, 5)} for name in CORRUPTIONS}
    records.folder.write(EXAMPLES, dump(Examples(images(), corrupted)))
    write_report(records)
    page = records.folder.read("report/report.html")
    assert 6e6 < len(page) < MOST
    assert b"At most 200 epochs of a trial are drawn" in page
