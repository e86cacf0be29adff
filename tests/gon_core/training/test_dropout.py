"""Several processes drop what one does: each has the masks of its rows."""

import pytest
import torch
from torch import nn
from torchvision.ops import StochasticDepth

from gon_core.config import TrainingConfig
from gon_core.training import new_state
from gon_core.training.dropout import STREAM, dropped_together, drops
from gon_core.training.parallel import Group

BATCH = 7
SIZES = (2, 3, BATCH + 2)  # of these some have no row


@pytest.mark.parametrize("blocks", [1, 3])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    "layer",
    [nn.Dropout(0.3), nn.Dropout(0.3, inplace=True), nn.Dropout2d(0.5), nn.AlphaDropout(0.4),
     StochasticDepth(0.5, "row"), StochasticDepth(0.5, "batch")],
    ids=repr,
)  # fmt: skip
def test_each_process_has_the_masks_of_its_rows(layer, order, blocks):
    model = nn.Sequential(layer)

    def dropped(features):
        torch.manual_seed(5)
        return model(features.clone().contiguous(memory_format=order))

    def own(features, group):  # as AugMix has them: block after block
        return torch.cat([block[group.rows] for block in features.split(BATCH)])

    features = torch.rand(blocks * BATCH, 4, 3, 3) + 1
    whole = dropped(features)
    for size in SIZES:
        for group in (Group(rank, size) for rank in range(size)):
            with dropped_together(model, group, lambda: BATCH):
                assert torch.equal(dropped(own(features, group)), own(whole, group))
    assert "forward" not in vars(layer)


def test_the_gradient_is_that_of_own_rows():
    model, group = nn.Sequential(nn.Dropout(0.5)), Group(1, 2)
    features = torch.ones(3, 50, requires_grad=True)
    with dropped_together(model, group, lambda: BATCH):
        kept = model(features)
    kept.sum().backward()
    assert torch.equal(features.grad, kept.detach()) and 0 < kept.count_nonzero() < kept.numel()


def test_a_model_that_cuts_images_into_parts_has_masks_by_process():
    model, masks = nn.Sequential(nn.Dropout(0.5)), []
    for rank in range(2):
        with dropped_together(model, Group(rank, 2), lambda: 4):
            torch.manual_seed(0)
            masks.append(model(torch.ones(5, 40)))  # of 2 rows
    assert not torch.equal(*masks)


@pytest.mark.parametrize(
    ("layer", "draws"),
    [(nn.Dropout(0.1), True), (nn.Dropout(0.0), False), (StochasticDepth(0.1, "row"), True),
     (StochasticDepth(0.0, "row"), False), (nn.ReLU(), False)],
    ids=repr,
)  # fmt: skip
def test_what_draws_has_a_stream(layer, draws):
    assert drops(layer) == draws
    state = new_state(nn.Sequential(nn.Linear(2, 2), layer), TrainingConfig(), 0)
    assert (STREAM in state.streams) == draws
