"""Tests of a real GPU. Where there is none they are skipped: ``uv run pytest -m gpu``."""

import os

import pytest
import torch

from gon_core.data import idx
from sweeps.engine.trials.trial import make_deterministic


@pytest.fixture(autouse=True, scope="module")
def as_in_a_trial():
    """The same bits in every run, as in the process of a trial."""
    matmul, environment = torch.backends.cuda.matmul, dict(os.environ)
    os.environ["GON_FUSION"] = "auto"  # as users have it
    before = matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    make_deterministic("cuda", threads=1)
    yield
    torch.use_deterministic_algorithms(False)
    torch.utils.deterministic.fill_uninitialized_memory = True
    matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
    os.environ.clear()
    os.environ.update(environment)


@pytest.fixture(scope="session")
def images():
    """All digits, on the CPU: training and test."""
    return idx.load("mnist")
