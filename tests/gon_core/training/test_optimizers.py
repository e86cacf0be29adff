import subprocess
import sys

import pytest
import torch

from gon_core.training.optimizers import SGD, Adam


def trained(kind, **options):
    """Return the weights and the optimizer's state after four steps, half of them resumed."""
    torch.manual_seed(3)
    model = torch.nn.Linear(5, 2)
    optimizer = kind(model.parameters(), **options)
    for step in range(4):
        if step == 2:
            state = optimizer.state_dict()
            optimizer = kind(model.parameters(), **options)
            optimizer.load_state_dict(state)
        optimizer.zero_grad()
        model(torch.randn(7, 5)).square().sum().backward()
        optimizer.step()
    return [*model.parameters(), *torch.utils._pytree.tree_leaves(optimizer.state_dict())]


@pytest.mark.parametrize(
    ("ours", "torchs", "options"),
    [
        (SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
        (Adam, torch.optim.Adam, {"lr": 0.01}),
    ],
)
def test_they_do_what_torchs_do_to_the_bit(ours, torchs, options):
    found, expected = (trained(kind, **options, fused=True) for kind in (ours, torchs))
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other) if torch.is_tensor(one) else one == other


@pytest.mark.slow
@pytest.mark.system
def test_a_training_does_not_import_torchs_compiler():
    code = (
        "import sys, torch\n"
        "from gon_core.config import GNT, TrainingConfig\n"
        "from gon_core.data.splits import LabelledImages\n"
        "from gon_core.training import checkpoints, new_state, train\n"
        "images = LabelledImages(torch.zeros(4, 1, 2, 2, dtype=torch.uint8), torch.arange(4))\n"
        "model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 4))\n"
        "config, method = TrainingConfig(batch_size=2, max_epochs=1), GNT(sigma=0.5)\n"
        "state = new_state(model, config, 0, method)\n"
        "assert list(train(state, images, method, config))\n"
        "checkpoints.restore(state, checkpoints.dump(state))\n"
        "assert 'torch._dynamo' not in sys.modules\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
