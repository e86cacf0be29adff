"""A compiled classifier trains as it does otherwise, up to rounding, and stays the same model."""

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

from gon_core.config import ANT, PGD, TrainingConfig, Vanilla
from gon_core.training import StoppedError, checkpoints, new_state, train
from gon_core.training.compilation import compiler_of

CONFIG = TrainingConfig(batch_size=12, learning_rate=0.05, max_epochs=2)
METHODS = {
    "vanilla": Vanilla(),
    "ant": ANT(epsilon=5, pretraining_steps=1, reset_interval=1),  # eval mode within steps
    "pgd": PGD(epsilon=0.1, step_size=0.05, steps=2),
}


def classifier():
    """Return a small classifier with batch normalisation; always the same."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 5, stride=3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(),
        nn.Linear(4 * 8 * 8, 10),
    )  # fmt: skip


def test_without_it_nothing_is_replaced():
    model = classifier()
    with compiler_of(model, is_compiled=False)():
        assert "forward" not in vars(model)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_it_trains_resumes_and_is_stored_as_without_it(method, digits):
    data, config = digits(30), CONFIG.model_copy(update={"compiled": True})

    def begin(config):
        return new_state(classifier(), config, 0, method)

    def trained(state, config, stop=lambda: False):
        for metrics in train(state, data, method, config, stop):
            assert "forward" not in vars(state.model)  # what measures it does not compile
            assert metrics.train_loss > 0
        return checkpoints.dump(state)

    eager, fused = begin(CONFIG), begin(config)
    trained(eager, CONFIG)
    files = trained(fused, config)
    names = [name for name, _ in fused.model.named_parameters()]
    assert all(p.requires_grad for p in fused.model.parameters())
    for name, found in fused.model.state_dict().items():
        expected = eager.model.state_dict()[name]
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4, msg=name)
    assert not any("_orig_mod" in name for name in names)
    plain = classifier()
    checkpoints.restore_model(plain, files[checkpoints.MODEL])
    copy.deepcopy(fused.model)

    stopped, calls = begin(config), iter([False] * 3 + [True] + [False] * 99)
    with pytest.raises(StoppedError):
        trained(stopped, config, lambda: next(calls))
    again = begin(config)
    checkpoints.restore(again, checkpoints.dump(stopped))
    resumed = trained(again, config)
    for file in (checkpoints.MODEL, checkpoints.TRAINING):
        assert resumed[file] == files[file]


@pytest.mark.slow
@pytest.mark.parametrize("works", [True, False])
def test_a_machine_without_a_compiler_is_noticed(works, tmp_path, monkeypatch):
    from sweeps.engine.system import machine

    if not works:
        monkeypatch.setenv("CXX", str(tmp_path / "no-compiler"))
        monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    machine.compiler_problem.cache_clear()
    problem = machine.compiler_problem("cpu")
    machine.compiler_problem.cache_clear()
    assert ("No working C++ compiler" in problem) if not works else problem == ""


@pytest.mark.slow
@pytest.mark.system
def test_who_does_not_compile_does_not_import_the_compiler():
    code = "import sys, gon_core.training; assert 'torch._dynamo' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
