"""What a noise generator learned: the density, the correlation and samples of its noise."""

from dataclasses import dataclass, fields

import torch
from jaxtyping import Float, UInt8
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Generator, Tensor

from gon_core.noise import NoiseGenerator, add_gaussian_noise, scale_to_sphere

IMAGES, SAMPLES = 256, 16
MOST_VALUES = 2**23  # of images together: of large ones fewer say as much
BINS, WIDEST = 101, 5.0  # of the density, in standard deviations to both sides
REACH = 2  # pixels; generators with 3x3 kernels correlate pixels up to two apart
SIGMAS = torch.linspace(0.05, 2.0, 40)


@dataclass(frozen=True)
class LearnedNoise:
    """The noise of one generator on some images.

    Attributes:
        edges: of the density's bins, in standard deviations of the noise.
        density: of the noise of one pixel before clipping, centred and divided by its standard
            deviation, to stand beside N(0, 1).
        correlation: of two pixels' noise, by their vertical and horizontal distance from -2 to 2.
        clean: some images, 0..255.
        noisy: the same with the noise at the trial's epsilon.
        sigmas: of Gaussian noise, in [0, 1] pixel units.
        gaussian_sizes: mean l2 size of clipped Gaussian noise of each sigma on these images.
    """

    edges: Float[Tensor, " edge"]
    density: Float[Tensor, " bin"]
    correlation: Float[Tensor, "row column"]
    clean: UInt8[Tensor, "sample channel height width"]
    noisy: UInt8[Tensor, "sample channel height width"]
    sigmas: Float[Tensor, " sigma"]
    gaussian_sizes: Float[Tensor, " sigma"]


@torch.no_grad()
def describe(
    generator: NoiseGenerator,
    images: UInt8[Tensor, "image channel height width"],
    epsilon: float,
    stream: Generator,
) -> LearnedNoise:
    """Sample ``generator`` on ``images`` and return what its noise is like.

    Args:
        generator: for their channels, on the images' device.
        images: levels 0..255; the first 256 are used, or fewer large ones.
        epsilon: l2 size of the noise in the samples.
        stream: source of the noise.
    """
    most = max(SAMPLES, MOST_VALUES // images[0].numel())
    clean = images[: min(IMAGES, most)].float() / 255
    noise = generator.sample(clean, stream)
    standard = (noise - noise.mean()) / noise.std()
    edges = torch.linspace(-WIDEST, WIDEST, BINS + 1)
    counts = torch.histc(standard, BINS, -WIDEST, WIDEST)
    noisy = scale_to_sphere(clean[:SAMPLES], noise[:SAMPLES], epsilon)
    return LearnedNoise(
        edges=edges,
        density=counts / (standard.numel() * (edges[1] - edges[0])),
        correlation=_correlation(standard),
        clean=images[:SAMPLES],
        noisy=(noisy * 255).round().to(torch.uint8),
        sigmas=SIGMAS,
        gaussian_sizes=gaussian_sizes(clean, SIGMAS, stream),
    )


@torch.no_grad()
def gaussian_sizes(
    images: Float[Tensor, "image channel height width"],
    sigmas: Float[Tensor, " sigma"],
    stream: Generator,
) -> Float[Tensor, " sigma"]:
    """Return the mean l2 size of clipped Gaussian noise of each sigma on ``images`` in [0, 1].

    This is what makes an epsilon and a sigma comparable: 0.5 has the size 9.5 on MNIST, where the
    paper's best epsilon is 10.
    """
    sizes = [
        (add_gaussian_noise(images, float(sigma), stream) - images).flatten(1).norm(dim=1).mean()
        for sigma in sigmas
    ]
    return torch.stack(sizes)


def _correlation(noise: Float[Tensor, "image channel height width"]) -> Float[Tensor, "row column"]:
    height, width = noise.shape[-2:]
    centre = noise[..., REACH : height - REACH, REACH : width - REACH]
    rows = [
        torch.stack(
            [
                (centre * noise[..., y : y + height - 2 * REACH, x : x + width - 2 * REACH]).mean()
                for x in range(2 * REACH + 1)
            ]
        )
        for y in range(2 * REACH + 1)
    ]
    return torch.stack(rows) / centre.square().mean()


def dump(learned: LearnedNoise, generator: NoiseGenerator) -> bytes:
    """Return both as safetensors; the generator's weights begin with ``generator.``."""
    tensors = {field.name: getattr(learned, field.name).contiguous() for field in fields(learned)}
    weights = {f"generator.{name}": value for name, value in generator.state_dict().items()}
    return save_tensors(tensors | {name: tensor.contiguous() for name, tensor in weights.items()})


def load(content: bytes) -> LearnedNoise:
    """Return what ``dump`` was given.

    Raises:
        SafetensorError, KeyError: the content is not from ``dump``.
    """
    tensors = load_tensors(content)
    return LearnedNoise(**{field.name: tensors[field.name] for field in fields(LearnedNoise)})
