"""Training on a GPU: the same mathematics as on a CPU, and the same bits in every run."""

import pytest
import torch

from gon_core.config import ANT, TrainingConfig, Vanilla
from gon_core.models import MadryCNN
from gon_core.noise import scale_to_sphere
from gon_core.seeding import generator
from gon_core.training import StoppedError, checkpoints, new_state, train
from tests.gon_core.training.test_every_method import EVERY_METHOD, own, proceed

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]
CONFIG = TrainingConfig(batch_size=25, learning_rate=0.05, max_epochs=2)


@pytest.fixture
def data(images):
    """Two full batches and a smaller one."""
    return images[0][:60].to("cuda")


def begin(method, config=CONFIG, seed=0, device="cuda"):
    model = MadryCNN(generator(seed, "initial weights")).to(device)
    return new_state(model, config, seed, method, own_images=own(method, 60))


@EVERY_METHOD
def test_equal_seeds_give_equal_bits(method, data):
    assert proceed(begin(method), data, method, CONFIG) == proceed(
        begin(method), data, method, CONFIG
    )


@EVERY_METHOD
def test_it_goes_on_to_the_same_bits_after_every_step(method, data):
    history, dumps = proceed(begin(method), data, method, CONFIG)
    assert history[0].train_loss != history[1].train_loss
    for steps in range(1, 6):
        left = iter(range(steps))
        first = begin(method)
        with pytest.raises(StoppedError):
            list(train(first, data, method, CONFIG, lambda left=left: next(left, None) is None))
        state = begin(method, seed=99)
        checkpoints.restore(state, checkpoints.dump(first))
        found, written = proceed(state, data, method, CONFIG)
        assert found == history[-len(found) :] and written == dumps[-len(written) :]


@EVERY_METHOD
def test_it_trains_in_bf16_with_fp32_weights(method, data):
    losses = []
    for precision in ("fp32", "bf16"):
        config = TrainingConfig(batch_size=60, max_epochs=1, precision=precision)
        state = begin(method, config)
        (metrics,) = train(state, data, method, config)
        losses.append(metrics.train_loss)
        assert all(parameter.dtype == torch.float32 for parameter in state.model.parameters())
    assert losses[0] != losses[1] and losses[0] == pytest.approx(losses[1], rel=0.05)


@EVERY_METHOD
def test_it_begins_as_on_a_cpu(method, data):
    """Noise is drawn where the images are; of so many pixels its mean effect is the same."""
    config = TrainingConfig(batch_size=60, max_epochs=1)
    losses = []
    for device in ("cpu", "cuda"):
        (metrics,) = train(begin(method, config, 0, device), data.to(device), method, config)
        losses.append(metrics.train_loss)
    assert losses[0] == pytest.approx(losses[1], rel=0.1)


def test_without_noise_it_trains_as_on_a_cpu(data):
    curves = []
    for device in ("cpu", "cuda"):
        state = begin(Vanilla(), CONFIG, 0, device)
        curves.append([m.train_loss for m in train(state, data.to(device), Vanilla(), CONFIG)])
    assert curves[0] == pytest.approx(curves[1], rel=1e-4)


def test_a_checkpoint_of_a_cpu_is_refused(data):
    """Its streams of noise cannot go on here; a trial begins anew then."""
    method = ANT(epsilon=5, pretraining_steps=1)
    on_cpu = begin(method, device="cpu")
    next(train(on_cpu, data.to("cpu"), method, CONFIG))
    with pytest.raises(ValueError, match="not the checkpoint of such a training"):
        checkpoints.restore(begin(method), checkpoints.dump(on_cpu))


@pytest.mark.parametrize("epsilon", [0.0, 1.0, 10.0, 20.0])
def test_the_sphere_is_exact(epsilon, images):
    """The kernels of the GPU against float64 on the CPU."""
    stream = generator(0, "noise")
    pictures = images[0].images[:200].float() / 255
    delta = torch.randn(pictures.shape, generator=stream)
    exact = scale_to_sphere(pictures.double(), delta.double(), epsilon)
    wanted = torch.randn(pictures.shape, generator=stream)

    def found(device, dtype):
        noise = delta.to(device, dtype, copy=True).requires_grad_()
        noisy = scale_to_sphere(pictures.to(device, dtype), noise, epsilon)
        (noisy * wanted.to(device, dtype)).sum().backward()
        return noisy.detach().cpu().double(), noise.grad.cpu().double()

    (noisy, gradient), (_, expected) = found("cuda", torch.float32), found("cpu", torch.float64)
    sizes = (noisy - pictures.double()).flatten(1).norm(dim=1)
    assert sizes == pytest.approx((exact - pictures.double()).flatten(1).norm(dim=1), rel=1e-5)
    assert (noisy - exact).abs().max() < 5e-5
    assert (gradient - expected).abs().max() <= 1e-4 * max(expected.abs().max(), 1)
