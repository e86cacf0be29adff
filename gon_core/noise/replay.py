"""Experience replay: past noise generators play again, lest the classifier forget them."""

import copy

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from gon_core.noise.generator import NoiseGenerator
from gon_core.noise.share import EVERY_ROW, counted_from


class Replay:
    """The noise generators that were replaced, in memory.

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
        self._player = copy.deepcopy(like).requires_grad_(False)
        self.states = parameters_to_vector(self._player.parameters()).new_empty(0, count(like))

    def __len__(self) -> int:
        return len(self.states)

    def add(self, generator: NoiseGenerator) -> None:
        """Keep the parameters that ``generator`` has now."""
        state = parameters_to_vector(generator.parameters()).detach()
        self.states = torch.cat([self.states, state[None]])

    def sample(
        self,
        images: Float[Tensor, "batch channel height width"],
        choice: Generator,
        noise: Generator,
        rows: slice = EVERY_ROW,
    ) -> Float[Tensor, "row channel height width"]:
        """Return unscaled noise for ``images`` from two random past generators, half from each.

        Args:
            images: their shape counts, not their values; of an odd number one more is in the
                first half.
            choice: draws which two, different ones if there are two; on the CPU.
            noise: what the generators make their noise of, on the images' device; it draws for
                every image.
            rows: for which images to return noise.

        Raises:
            ValueError: no generator has been replaced yet.
        """
        if not len(self):
            raise ValueError("there is no past generator to replay")
        chosen = torch.randperm(len(self), generator=choice)[:2].tolist()
        half = -(-len(images) // 2)
        return torch.cat(
            [
                self._play(chosen[i % len(chosen)], part, noise, counted_from(rows, i * half))
                for i, part in enumerate(images.split(half))
            ]
        )

    @torch.no_grad()
    def _play(self, index: int, images: Tensor, noise: Generator, rows: slice) -> Tensor:
        # A copy has the alignment in memory that a restored one has: the same kernels, the same
        # bits. A view would be overwritten through, too.
        vector_to_parameters(self.states[index].clone(), self._player.parameters())
        return self._player.sample(images, noise, rows)


def count(generator: torch.nn.Module) -> int:
    """Return the number of parameters."""
    return sum(parameter.numel() for parameter in generator.parameters())
