"""The steps of PGD and DDN with the arithmetic of foolbox: on a CPU the same bits.

Two things are added to foolbox. First, an image that is misclassified within the attack's size is
kept and left out of further steps. PGD breaks no fewer images for it, DDN exactly the same.
Second, the gradient of each image's loss is scaled to size 1 at the logits, in float64. Both
attacks use its direction alone, which float32 would lose for images that are classified with great
confidence.

A step changes tensors where they are and reads nothing from the device, so that a GPU can replay it
as a graph. A graph has a fixed number of rows, some of which may be of broken images.
"""

import math
from functools import partial
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Generator, Tensor, nn

from gon_core.benchmarks.attacks import Attack, DDNAttack, PGDAttack
from gon_core.training.adversarial import image_gradient
from gon_core.training.recordings import MakeRecordings, on_device

STEPS_AT_A_TIME = 10
"""Steps between two looks at how many images are left. Of PGD the classifier is asked for it as
well, which costs a third of a step; without graphs DDN looks at each step, which costs nothing."""
LEAST_ROWS = 32  # of a graph: it takes time to record one more
LAST_RATE = 0.01  # of the cosine from 1 with which DDN follows the gradient


class Attacker:
    """Attacks the images of one batch after the other.

    Args:
        model: the classifier, ``frozen``.
        attack: which, and how large.
        stream: source of all that is random, on the images' device.
        recordings: makes what does the steps.
    """

    def __init__(
        self,
        model: nn.Module,
        attack: Attack,
        stream: Generator,
        recordings: MakeRecordings = on_device,
    ) -> None:
        self._steps = (
            _PGD(model, attack, stream)
            if isinstance(attack, PGDAttack)
            else _DDN(model, attack, stream)
        )
        self._count = attack.steps
        self._recordings = recordings(stream.device, [self._steps.noise])
        self._places: dict[tuple[int, int], Any] = {}

    def perturb(
        self, images: Float[Tensor, "batch channel height width"], labels: Int64[Tensor, " batch"]
    ) -> Float[Tensor, "batch channel height width"]:
        """Return what the attack makes of images in [0, 1], at least one; values in [0, 1].

        PGD returns images at most its size away; DDN the first misclassified ones that it found
        within its size, else the nearest that it found, and unchanged those for which it found
        none.
        """
        whole, records = self._rows_for(len(images)), self._recordings.records
        at_a_time = STEPS_AT_A_TIME if records else self._steps.at_a_time
        number = torch.arange(whole, device=images.device)
        begun = _taken(self._steps.begin(images, labels), number % len(images))
        state = self._placed(begun._replace(number=number, broken=number >= len(images)), whole)
        found = begun.found.clone()
        for step in range(self._count):
            if step % at_a_time == 0:
                self._steps.look(state)
                left = int((~state.broken).sum())
                if not left:
                    break
                if self._rows_for(left) < len(state.number):
                    found[state.number] = state.found
                    first = state.broken.int().argsort(stable=True)[: self._rows_for(left)]
                    state = self._placed(_taken(state, first), whole)
            self._steps.begin_step(step)
            work = partial(self._steps.step, state, whole)
            self._recordings.run("step of an attack", work, (len(state.number), whole))
        found[state.number] = state.found
        return found[: len(images)]

    def _rows_for(self, images: int) -> int:
        """Return how many rows work on so many images has: for graphs a power of two."""
        if not self._recordings.records:
            return images
        return max(LEAST_ROWS, 1 << (images - 1).bit_length())

    def _placed(self, state: Any, whole: int) -> Any:
        """Return a state where the graphs of its form read it."""
        if not self._recordings.records:
            return state
        place = self._places.setdefault((len(state.number), whole), state)
        if place is not state:
            for tensor, value in zip(place, state, strict=True):
                tensor.copy_(value)
        return place


class _OfPGD(NamedTuple):
    """Images under attack: their numbers in the batch, what was found, and whether that is it."""

    number: Int64[Tensor, " row"]
    broken: Bool[Tensor, " row"]
    found: Float[Tensor, "row channel height width"]
    images: Float[Tensor, "row channel height width"]
    labels: Int64[Tensor, " row"]


class _OfDDN(NamedTuple):
    """As for PGD, and what the next step begins with.

    Its perturbation, the l2 norm that this had before it was clipped, the largest norm there is,
    and the smallest that fooled.
    """

    number: Int64[Tensor, " row"]
    broken: Bool[Tensor, " row"]
    found: Float[Tensor, "row channel height width"]
    images: Float[Tensor, "row channel height width"]
    labels: Int64[Tensor, " row"]
    delta: Float[Tensor, "row channel height width"]
    size: Float[Tensor, " row"]
    farthest: Float[Tensor, " row"]
    nearest: Float[Tensor, " row"]


def _taken(state: Any, index: Tensor) -> Any:
    return state._make(tensor[index] for tensor in state)


def _numbered(labels: Tensor) -> tuple[Tensor, Tensor]:
    number = torch.arange(len(labels), device=labels.device)
    return number, torch.zeros_like(number, dtype=torch.bool)


class _PGD:
    at_a_time = STEPS_AT_A_TIME

    def __init__(self, model: nn.Module, attack: PGDAttack, stream: Generator) -> None:
        self._model, self._directions = model, Directions(model)
        self._attack, self.noise = attack, stream

    def begin(self, images: Tensor, labels: Tensor) -> _OfPGD:
        size = self._attack.size
        start = torch.empty_like(images).uniform_(-size, size, generator=self.noise)
        found = (images + start).clamp_(0.0, 1.0)
        return _OfPGD(*_numbered(labels), found, images, labels)

    def begin_step(self, step: int) -> None:
        pass

    def look(self, of: _OfPGD) -> None:
        of.broken.logical_or_(misclassified(self._model, of.found, of.labels))

    def step(self, of: _OfPGD, whole: int) -> None:
        attack = self._attack
        _, gradient = image_gradient(self._directions, of.found, of.labels, bf16=False)
        moved = of.found + attack.step_size * gradient.sign_()
        moved = (of.images + (moved - of.images).clamp_(-attack.size, attack.size)).clamp_(0, 1)
        of.found.copy_(torch.where(_each(of.broken), of.found, moved))


class _DDN:
    at_a_time = 1

    def __init__(self, model: nn.Module, attack: DDNAttack, stream: Generator) -> None:
        self._directions, self._attack, self._stream = Directions(model), attack, stream
        self.noise = Generator(stream.device)
        self._rate = torch.zeros((), device=stream.device)

    def begin(self, images: Tensor, labels: Tensor) -> _OfDDN:
        seed = torch.randint(2**62, (), generator=self._stream, device=self._stream.device)
        self.noise.manual_seed(int(seed))
        farthest = _l2(torch.maximum(images, 1 - images))
        size = torch.full_like(farthest, self._attack.init_norm)
        delta = torch.zeros_like(images)
        number, broken = _numbered(labels)
        return _OfDDN(number, broken, images, images, labels, delta, size, farthest, farthest)

    def begin_step(self, step: int) -> None:
        turn = math.cos(math.pi * step / self._attack.steps)
        self._rate.fill_(LAST_RATE + (1 - LAST_RATE) * (1 + turn) / 2)

    def look(self, of: _OfDDN) -> None:
        pass

    def step(self, of: _OfDDN, whole: int) -> None:
        attack, noisy = self._attack, of.images + of.delta
        logits, gradient = image_gradient(self._directions, noisy, of.labels, bf16=False)
        wrong, size = logits.argmax(1) != of.labels, _l2(of.delta)
        now, nearer = wrong & is_near(noisy, of.images, attack), wrong & (size <= of.nearest)
        better = (now | nearer) & ~of.broken
        of.found.copy_(torch.where(_each(better), noisy, of.found))
        of.broken.logical_or_(now)
        of.nearest.copy_(torch.where(nearer, size, of.nearest))
        # A gradient that is exactly 0 leads anywhere.
        anywhere = gradient.new_empty(whole, *gradient.shape[1:]).normal_(generator=self.noise)
        gradient = torch.where(_each(_l2(gradient) == 0), anywhere[of.number], gradient)
        gradient = gradient * _each(1 / _l2(gradient).clamp(min=1e-12))
        delta = of.delta + self._rate * gradient
        of.size.mul_(torch.where(wrong, 1 - attack.gamma, 1 + attack.gamma))
        torch.minimum(of.size, of.farthest, out=of.size)
        delta = delta * _each(of.size / _l2(delta))
        of.delta.copy_((of.images + delta).clamp_(0, 1) - of.images)


def _each(values: Tensor) -> Tensor:
    """Return one value for each image, beside its pixels."""
    return values.view(-1, 1, 1, 1)


def _l2(images: Tensor) -> Tensor:
    # As foolbox computes it; ``torch.linalg.vector_norm`` rounds otherwise.
    return images.flatten(1).square().sum(1).sqrt()


@torch.no_grad()
def misclassified(
    model: nn.Module,
    images: Float[Tensor, "batch channel height width"],
    labels: Int64[Tensor, " batch"],
) -> Bool[Tensor, " batch"]:
    """Return which images ``model`` gets wrong."""
    return model(images).argmax(1) != labels


def is_near(
    found: Float[Tensor, "batch channel height width"],
    images: Float[Tensor, "batch channel height width"],
    attack: Attack,
) -> Bool[Tensor, " batch"]:
    """Return which of ``found`` are no farther than the attack's size from ``images``."""
    distance = (found - images).flatten(1).norm(torch.inf if attack.norm == "linf" else 2, dim=1)
    return distance <= attack.size * (1 + 1e-5)  # but for rounding


class Directions(nn.Module):
    """The classifier, with gradients from its logits backward of which only directions are kept."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, images: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch label"]:
        """Return the logits in float64."""
        logits = self.model(images).double()
        if logits.requires_grad:
            logits.register_hook(_to_one)
        return logits


def _to_one(gradient: Tensor) -> Tensor:
    smallest = torch.finfo(gradient.dtype).tiny
    return gradient / gradient.abs().amax(1, keepdim=True).clamp_min(smallest)
