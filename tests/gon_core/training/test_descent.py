"""The loss of a model with a second classifier, as InceptionV3 has one while it trains."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gon_core.config import GNT, AugMix, TrainingConfig, Vanilla
from gon_core.data.splits import LabelledImages
from gon_core.training import new_state, train
from gon_core.training.descent import classify, cross_entropy


class TwoHeads(nn.Module):
    """A linear classifier with an auxiliary one, whose logits it returns while it trains."""

    def __init__(self):
        super().__init__()
        self.main, self.auxiliary = nn.Linear(28 * 28, 10), nn.Linear(28 * 28, 10)

    def forward(self, images):
        pixels = images.flatten(1)
        return (self.main(pixels), self.auxiliary(pixels)) if self.training else self.main(pixels)


def test_the_second_classifier_counts_four_tenths():
    model, images = TwoHeads(), torch.rand(4, 1, 28, 28)
    labels = torch.arange(4)
    loss = cross_entropy(*classify(model, images, bf16=False), labels)
    first, second = model(images)
    expected = F.cross_entropy(first, labels) + 0.4 * F.cross_entropy(second, labels)
    assert torch.equal(loss, expected)
    logits, auxiliary = classify(model.eval(), images, bf16=False)
    assert auxiliary is None and torch.equal(logits, first)


@pytest.mark.parametrize("method", [Vanilla(), GNT(sigma=0.1), AugMix()])
def test_methods_train_both(method):
    torch.manual_seed(0)
    images = torch.randint(0, 256, (40, 1, 28, 28), dtype=torch.uint8)
    data = LabelledImages(images, torch.arange(40) % 10)
    model = TwoHeads()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    config = TrainingConfig(batch_size=20, max_epochs=1)
    (metrics,) = train(new_state(model, config, 0, method), data, method, config)
    after = model.state_dict()
    assert all(not torch.equal(after[name], tensor) for name, tensor in before.items())
    assert metrics.train_loss > 2.3  # of both
