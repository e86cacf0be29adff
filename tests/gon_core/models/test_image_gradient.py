"""The fast gradient of the images is the gradient of the images."""

import pytest
import torch
from torch import nn

from gon_core.models import MadryCNN
from gon_core.models.image_gradient import convolve
from gon_core.seeding import generator


def layer(size, dtype):
    """Return a convolution with weights of its own."""
    made = nn.utils.skip_init(nn.Conv2d, 1, 6, size, padding=size // 2, dtype=dtype)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(generator=generator(size))
    return made


def images_for(dtype):
    """Return images that want a gradient; one is taller than wide."""
    images = torch.rand(3, 1, 9, 7, generator=generator(0), dtype=dtype)
    return images.requires_grad_()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", [1, 3, 5])
def test_all_gradients_are_those_of_the_layer(size, memory_format, dtype):
    convolution = layer(size, dtype).to(memory_format=memory_format)
    weights = torch.rand(3, 6, 9, 7, generator=generator(1), dtype=dtype)
    found = []
    for function in (lambda x: convolve(convolution, x), convolution):
        images = images_for(dtype)
        output = function(images)
        inputs = [images, convolution.weight, convolution.bias]
        found.append([output, *torch.autograd.grad((output * weights).sum(), inputs)])
    assert torch.equal(found[0][0], found[1][0])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_images_that_want_no_gradient_take_the_layer_as_it_is():
    convolution = layer(5, torch.float32)
    output = convolve(convolution, images_for(torch.float32).detach())
    assert output.grad_fn.name() == "ConvolutionBackward0"


def test_autocast_is_left_to_torch():
    model, images = MadryCNN(), torch.rand(4, 1, 28, 28, generator=generator(0))
    images.requires_grad_()
    found = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            logits = model(images)
        (gradient,) = torch.autograd.grad(logits.float().square().sum(), images)
        found.append(gradient)
    assert found[1].dtype == torch.float32
    assert (found[0] - found[1]).norm() < 0.2 * found[0].norm()
