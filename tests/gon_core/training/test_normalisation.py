"""Batch normalisation of a batch that several processes share: that of one process.

Threads stand for the processes here; ``test_parallel`` has real ones.
"""

import pytest
import torch
from torch import nn
from torch.nn.functional import batch_norm

from gon_core.seeding import generator
from gon_core.training.normalisation import normalised_together
from gon_core.training.parallel import ALONE, Group
from tests.gon_core.training.threads import Meeting, Thread, in_threads


def network():
    """Return two layers with their own statistics, in double precision."""
    layers = nn.Sequential(
        nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, momentum=None), nn.ReLU(),
        nn.Flatten(), nn.Linear(4 * 4, 5), nn.BatchNorm1d(5, affine=False),
    ).double()  # fmt: skip
    for number, parameter in enumerate(layers.parameters()):
        nn.init.normal_(parameter, generator=generator(number, "test"))
    return layers


def batch(rows, mean=0.0):
    """Return images, and what their gradients are weighted by."""
    images = torch.randn(rows, 3, 4, 4, generator=generator(7, "test"), dtype=torch.float64) + mean
    return images, torch.randn(rows, 5, generator=generator(8, "test"), dtype=torch.float64)


def passes(model, images, weights, group):
    """Run two steps' forward and backward; return what the rows and the parameters got."""
    model.train()
    own, rows = images[group.rows].clone().requires_grad_(), weights[group.rows]
    for _ in range(2):
        answer = model(own)
        loss = (answer.cos() * rows).sum(1).mean()  # over own rows, as every method's
        own.grad = None
        model.zero_grad()
        loss.backward()
    share = len(own) / len(images)
    gradients = [p.grad * share for p in model.parameters()]
    return answer.detach(), own.grad * share, gradients, [b.clone() for b in model.buffers()]


def together(size, rows, parts=1, mean=0.0):
    """Return what every thread found."""

    def one(group):
        model = network()
        with normalised_together(model, group, parts):
            return passes(model, *batch(rows, mean), group)

    return [future.result() for future in in_threads(size, one)]


@pytest.mark.parametrize(("size", "rows"), [(2, 8), (3, 7), (4, 3), (3, 2)])
@pytest.mark.parametrize("mean", [0.0, 1e4])
def test_it_is_that_of_one_process(size, rows, mean):
    # 1e4 deviations from 0 cost half of the digits, in whatever order one sums.
    close = {"rtol": 1e-10, "atol": 1e-10} if not mean else {"rtol": 1e-6, "atol": 1e-6}
    found = together(size, rows, mean=mean)
    answer, of_images, gradients, buffers = passes(network(), *batch(rows, mean), ALONE)
    for rank, (own_answer, own_images, _, own_buffers) in enumerate(found):
        torch.testing.assert_close(own_answer, answer[rank::size], **close)
        torch.testing.assert_close(own_images, of_images[rank::size], **close)
        torch.testing.assert_close(own_buffers, buffers, **close)
        assert all(map(torch.equal, own_buffers, found[0][3])), "the same bits for all"
    for number, whole in enumerate(gradients):
        summed = sum(each[2][number] for each in found)
        torch.testing.assert_close(summed, whole, **close)


def test_parts_have_their_own_statistics_and_share_the_running_ones():
    (images, weights), size = batch(7), 2
    found = together(size, 7, parts=size)
    running = torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    for rank, (answer, of_images, _, _) in enumerate(found):
        own = images[rank::size]
        alone = passes(network(), own, weights[rank::size], ALONE)
        torch.testing.assert_close(answer, alone[0])
        torch.testing.assert_close(of_images, alone[1] * len(own) / len(images))
        variance, mean = torch.var_mean(own, (0, 2, 3))
        for sum_, each in zip(running, (mean, variance), strict=True):
            sum_ += each * len(own) / len(images)
    for _, _, _, (mean, variance, *_) in found:
        torch.testing.assert_close(mean, running[0] * (1 - 0.9**2))
        torch.testing.assert_close(variance, 0.9**2 + running[1] * (1 - 0.9**2))


def test_evaluation_and_what_comes_after_are_torchs_own():
    model, (images, _) = network(), batch(4)
    expected = model.eval()(images)
    with normalised_together(model, Thread(0, 2, Meeting(2))):
        assert torch.equal(model(images), expected), "no other process was waited for"
    assert all("forward" not in vars(layer) for layer in model)
    with normalised_together(model, ALONE):
        assert all("forward" not in vars(layer) for layer in model)


def test_one_value_a_channel_is_refused_by_all():
    def one(group):
        layer = nn.BatchNorm1d(3)
        with normalised_together(layer, group):
            layer(torch.ones(1, 3)[group.rows])

    with pytest.raises(ValueError, match="more than 1 value per channel"):
        batch_norm(torch.ones(1, 3), None, None, training=True)  # as torch does
    for result in in_threads(2, one):
        with pytest.raises(ValueError, match="one value a channel cannot be normalised"):
            result.result()


class Another(nn.BatchNorm2d):
    """Batch normalisation that does something else as well."""

    def forward(self, images):
        return super().forward(images).relu()


@pytest.mark.parametrize(
    ("layer", "parts", "match"),
    [
        (Another(3), 1, "several processes cannot train Sequential: its Another is not torch's"),
        (nn.BatchNorm2d(3, track_running_stats=False), 1, "keeps no running statistics"),
        (nn.BatchNorm2d(3), 3, "batch_norm_parts must be 1 or 2"),
    ],
)
def test_what_cannot_be_done_is_refused(layer, parts, match):
    model = nn.Sequential(layer)
    with pytest.raises(ValueError, match=match), normalised_together(model, Group(0, 2), parts):
        pass


def test_one_process_cannot_train_in_parts():
    with (
        pytest.raises(ValueError, match="must be 1, as many"),
        normalised_together(network(), ALONE, 2),
    ):
        pass
