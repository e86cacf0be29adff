"""The arithmetic of the epsilon sphere on rows of pixels, fused by torch.compile where it can be.

For one image x with noise d, room r = 1 - x where d >= 0 and x elsewhere, and u = eta^2, the
squared size after clipping is g(u) = sum min(u d^2, r^2): concave, increasing and piecewise linear.
Newton's method on g(u) = epsilon^2 climbs from u = 0 and arrives after finitely many steps.
"""

import functools
import logging
from collections.abc import Callable
from typing import Any, NamedTuple, no_type_check

import torch
from torch import Tensor

from gon_core import cache

log = logging.getLogger(__name__)

STEPS = 5
"""Steps of one call, enough for digits at epsilon 10 and photos at 135. A row that needs more is
called for again: nearly 30 of them where noise is all but zero in most pixels and epsilon all but
unattainable."""


class Solver(NamedTuple):
    """The two kernels and which kind they are."""

    name: str
    """``"fused"`` or ``"eager"``."""
    solve: Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, ...]]
    differentiate: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]


# In these functions the tests' run-time type checker would stand in the way of torch.compile, and
# constants are literals, which it folds into the kernels; module variables it would look up.
@no_type_check
def solve(images, delta, squared_epsilon, u):
    """Take up to ``STEPS`` Newton steps from ``u``; rows that have arrived stay where they are.

    Args:
        images: [batch, pixel] in [0, 1].
        delta: [batch, pixel].
        squared_epsilon: [batch, 1].
        u: [batch, 1], squared factor of the rescaled noise, from which g is still <= epsilon^2.

    Returns:
        the noisy images; the new ``u``; whether any row would still move; which rows cannot attain
        epsilon, bool [batch, 1]; and what ``differentiate`` wants to know of rows, both [batch, 1]:
        the factor that rescales ``delta``, and the one by which ``delta`` itself was multiplied, 0
        where epsilon cannot be attained.
    """
    # Divided by the largest |delta| or, for rows of zeros, by 1e-30.
    scale = delta.abs().amax(1, keepdim=True).clamp(min=1e-30).reciprocal()
    direction = delta * scale
    weight = direction.square()
    room = torch.where(delta >= 0, 1 - images, images).square()
    enough = squared_epsilon * (1 - 2 * torch.finfo(images.dtype).eps)  # but for rounding
    climbed = u
    for _ in range(STEPS + 1):  # the last evaluates u only: whether it has arrived
        u = climbed
        full = u * weight >= room
        taken = torch.where(full, room, 0.0).sum(1, keepdim=True)
        free = torch.where(full, 0.0, weight).sum(1, keepdim=True)
        attained = taken + u * free
        # Never downward, or rounding could make two steps alternate without end; and never to where
        # a product of u would overflow.
        climbed = torch.maximum(u, (squared_epsilon - taken) / free).clamp(max=1e36)
        climbed = torch.where((attained < enough) & (free > 0), climbed, u)
    eta = u.sqrt()
    unattainable = attained < squared_epsilon * 0.999999  # more than rounding takes away
    noisy = (images + eta * direction).clamp(0, 1)
    factor = torch.where(unattainable, 0.0, (eta * scale).clamp(max=1e30))
    return noisy, u, (climbed > u).any(), unattainable, scale, factor


@no_type_check
def differentiate(gradient, noisy, delta, scale, factor):
    """Return dL/ddelta from dL/dnoisy: eta (g - d <g, d> / <d, d>) over the pixels not clipped."""
    # As numbers: the compiler vectorises them, and not a mask that it would have to store.
    inside = torch.where(noisy * (1 - noisy) > 0, 1.0, 0.0)
    direction = inside * (delta * scale)
    along = (gradient * direction).sum(1, keepdim=True)
    along = along / direction.square().sum(1, keepdim=True).clamp(min=1e-36)
    return factor * (inside * gradient - along * direction)


EAGER = Solver("eager", solve, differentiate)


def fused() -> Solver:
    """Return the compiled kernels; they are compiled at the first call of each kind of input.

    Inductor keeps them on disk, so that the next process only loads them.
    """
    cache.keep_kernels()
    # One compiling thread: by default a pool of processes would stay beside every trial.
    compiled: Callable[..., Any] = functools.partial(
        torch.compile, dynamic=True, fullgraph=True, options={"compile_threads": 1}
    )
    return Solver("fused", compiled(solve), compiled(differentiate))


@functools.cache
def solver(device_type: str) -> Solver:
    """Return the kernels that this process uses on a kind of device, for all of its life."""
    return choose(device_type)


def choose(device_type: str) -> Solver:
    """Return fused kernels where they can be compiled, the eager ones elsewhere.

    The environment variable ``GON_FUSION`` decides: ``auto`` (the default) tries the compiler once
    and falls back to ``eager`` with a warning, ``fused`` raises where there is none, ``eager`` does
    not try.

    Raises:
        ValueError: ``GON_FUSION`` has another value.
        RuntimeError: it is ``fused`` and the kernels cannot be compiled.
    """
    try:
        choice = cache.kernels()
    except ValueError as error:
        raise ValueError(f"{cache.FUSION} {error}") from None
    if choice == "eager":
        return EAGER
    kernels = fused()
    try:
        try_out(kernels, device_type)
    except (RuntimeError, OSError) as error:  # among them all that the compiler raises
        if choice == "fused":
            raise
        reason = str(error).strip().partition("\n")[0]
        log.warning(
            "The epsilon sphere runs unfused, some 15 times slower: %s. Trials that run fused on "
            "another machine differ from these by rounding.", reason,
        )  # fmt: skip
        return EAGER
    return kernels


def try_out(kernels: Solver, device_type: str) -> None:
    """Compile the kernels for batches of small images by using them once."""
    # No tensor twice: that would be another kind of input.
    images, delta = (torch.zeros(8, 784, device=device_type) for _ in range(2))
    epsilon, u = (torch.ones(8, 1, device=device_type) for _ in range(2))
    with torch.no_grad():
        noisy, _, _, _, *rows = kernels.solve(images, delta, epsilon, u)
        kernels.differentiate(images, noisy, delta, *rows)
