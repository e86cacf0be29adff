"""Experience replay: noise of past generators, so that the classifier does not forget it."""

import copy

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from gon_core.noise.generator import NoiseGenerator
from gon_core.noise.share import EVERY_ROW, counted_from


class Replay:
    """The noise generators that were replaced, in memory, and two of them that are in use.

    Args:
        like: a generator of the architecture that all of them have, on the device to keep them on.

    Attributes:
        states: the parameters of each, in the order in which they were replaced.

    References:
        Section "Adversarial noise training" of the paper: past generators are replayed to the
        classifier to keep it from forgetting what it was robust to.
    """

    states: Float[Tensor, "generator parameter"]

    def __init__(self, like: NoiseGenerator) -> None:
        self._in_use = [_FlatGenerator(like) for _ in range(2)]
        self.states = self._in_use[0].parameters.new_empty(0, count(like))

    def __len__(self) -> int:
        return len(self.states)

    def add(self, generator: NoiseGenerator) -> None:
        """Keep the parameters that ``generator`` has now."""
        state = parameters_to_vector(generator.parameters()).detach()
        self.states = torch.cat([self.states, state[None]])

    @torch.no_grad()
    def choose(self, choice: Generator) -> None:
        """Put two random past generators in use: different ones if there are two.

        Args:
            choice: draws which two, on the CPU.

        Raises:
            ValueError: no generator has been replaced yet.
        """
        if not len(self):
            raise ValueError("there is no past generator to replay")
        chosen = torch.randperm(len(self), generator=choice)[:2].tolist()
        for i, generator in enumerate(self._in_use):
            generator.parameters.copy_(self.states[chosen[i % len(chosen)]])

    @torch.no_grad()
    def sample(
        self,
        images: Float[Tensor, "batch channel height width"],
        noise: Generator,
        rows: slice = EVERY_ROW,
    ) -> Float[Tensor, "row channel height width"]:
        """Return unscaled noise for ``images``, half from each of the two generators in use.

        Args:
            images: only their shape, type and device are read; of an odd number one more is in
                the first half.
            noise: what the generators make their noise of, on the images' device; it draws for
                every image.
            rows: for which images to return noise.
        """
        half = -(-len(images) // 2)
        parts = zip(self._in_use, images.split(half), strict=False)
        return torch.cat(
            [
                generator.network.sample(part, noise, counted_from(rows, i * half))
                for i, (generator, part) in enumerate(parts)
            ]
        )


class _FlatGenerator:
    """A generator whose parameters are views of one tensor, so that one copy replaces them all.

    That tensor stays where it is in memory: its alignment decides the kernels, and so the bits.
    """

    def __init__(self, like: NoiseGenerator) -> None:
        self.network = copy.deepcopy(like).requires_grad_(False)
        self.parameters = parameters_to_vector(self.network.parameters()).clone()
        vector_to_parameters(self.parameters, self.network.parameters())


def count(generator: torch.nn.Module) -> int:
    """Return the number of parameters."""
    return sum(parameter.numel() for parameter in generator.parameters())
