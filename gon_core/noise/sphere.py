"""The epsilon sphere: noise scaled so that its size after clipping is exactly epsilon."""

import math
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from gon_core.noise import newton

FIXED_CALLS = 6
"""Of ``newton.solve``: 30 Newton steps. Generators' noise takes up to 15; no noise that was tried
took more than 30, not even with factors of 1e30 between pixels and epsilon all but unattainable."""


def scale_to_sphere(
    images: Float[Tensor, "batch channel height width"],
    delta: Float[Tensor, "batch channel height width"],
    epsilon: float | Float[Tensor, " batch"],
    fixed_steps: bool = False,
) -> Float[Tensor, "batch channel height width"]:
    """Return ``clip(images + eta * delta, 0, 1)`` at l2 distance ``epsilon`` from ``images``.

    The factor eta >= 0 is one number an image. The gradient passes through it to ``delta``. An
    image for which no eta is large enough becomes the farthest that its ``delta`` can lead to, and
    gives no gradient; pixels where ``delta`` is 0 never change.

    In float32 the distance is met to 2e-6 of itself or, for an epsilon so small that the images'
    own rounding shows (well under 0.1), to about 6e-8 a pixel.

    Args:
        images: values in [0, 1], float32 or float64.
        delta: noise of any size: only its direction matters. A NaN spreads over its image; values
            under 1e-15 of the image's largest may count as 0.
        epsilon: l2 norm over all pixels and channels of an image, finite and >= 0; one for all
            images, or one for each.
        fixed_steps: take 30 Newton steps, whatever the images need, instead of reading from the
            device after each five whether they need more. The same bits, without a wait of the
            host, which does not check an epsilon for each image either.

    Raises:
        ValueError: an argument that the above excludes; ``images`` or ``epsilon`` want a gradient.

    References:
        The epsilon sphere of adversarial noise training; appendix B has the paper's values: 10 on
        MNIST, 135 on ImageNet, 70 with 3x3 noise.
    """
    return scale_to_sphere_checked(images, delta, epsilon, fixed_steps)[0]


def scale_to_sphere_checked(
    images: Float[Tensor, "batch channel height width"],
    delta: Float[Tensor, "batch channel height width"],
    epsilon: float | Float[Tensor, " batch"],
    fixed_steps: bool = False,
) -> tuple[Float[Tensor, "batch channel height width"], Bool[Tensor, " batch"]]:
    """Return what ``scale_to_sphere`` does, and for which images epsilon cannot be attained.

    Raises:
        ValueError: as ``scale_to_sphere``.
    """
    check(images, epsilon, reads=not fixed_steps)
    rows = images.flatten(1)
    squared_epsilon = square(epsilon, rows)
    delta = delta.flatten(1).to(rows.dtype)
    noisy, unattainable = OnSphere.apply(rows, delta, squared_epsilon, fixed_steps)
    return noisy.view(images.shape), unattainable


def check(images: Tensor, epsilon: float | Tensor, reads: bool = True) -> None:
    """Raise ValueError with all that is wrong with the arguments; with values if it ``reads``."""
    if isinstance(epsilon, Tensor):
        a_distance = not reads or bool((epsilon.isfinite() & (epsilon >= 0)).all())
    else:
        a_distance = 0 <= epsilon < math.inf
    problems = []
    if images.dtype not in (torch.float32, torch.float64):
        problems.append(f"images must be float32 or float64, got {images.dtype}")
    if not a_distance:
        problems.append(f"epsilon must be finite and >= 0, got {epsilon}")
    if images.requires_grad or (isinstance(epsilon, Tensor) and epsilon.requires_grad):
        problems.append("images and epsilon get no gradient; detach them")
    if problems:
        raise ValueError("; ".join(problems))


def square(epsilon: float | Tensor, rows: Tensor) -> Float[Tensor, "batch 1"]:
    """Return epsilon^2 of each row, in the type and on the device of ``rows``."""
    if isinstance(epsilon, Tensor):
        squares = epsilon.double().square().to(rows)
        return squares.reshape(-1, 1).expand(len(rows), 1).contiguous()
    return rows.new_full((len(rows), 1), min(epsilon * epsilon, torch.finfo(rows.dtype).max))


def solver_name(device_type: str = "cpu") -> str:
    """Return ``"fused"`` or ``"eager"``: how this process solves float32 batches.

    The two differ by rounding, so that the bits of a trial depend on it. The first call decides
    (and compiles); the environment variable ``GON_FUSION`` (auto, fused, eager) can decide before.

    Raises:
        ValueError: ``GON_FUSION`` has another value.
        RuntimeError: it is ``fused`` and the compiler does not work.
    """
    return newton.solver(device_type).name


def kernels(rows: Tensor) -> newton.Solver:
    """Return the kernels for ``rows``: float64 is for checks, and an empty batch needs no speed."""
    if rows.dtype != torch.float32 or not rows.numel():
        return newton.EAGER
    return newton.solver(rows.device.type)


class OnSphere(torch.autograd.Function):
    """``newton.solve`` until no row would move, with the gradient in closed form."""

    @staticmethod
    def forward(
        ctx: Any, images: Tensor, delta: Tensor, squared_epsilon: Tensor, fixed_steps: bool
    ) -> Any:
        """Return noisy rows and, bool [batch], where epsilon cannot be attained."""
        # torch.compile makes one more kernel for each state of autocast, for inputs that want a
        # gradient, for views and for other strides: always show it the same kind.
        images, delta = images.detach().contiguous(), delta.detach().contiguous()
        u = torch.zeros_like(squared_epsilon)
        solve = kernels(images).solve
        with torch.autocast(images.device.type, enabled=False):
            calls = 0
            while True:
                noisy, u, moving, unattainable, *rows = solve(images, delta, squared_epsilon, u)
                calls += 1
                if calls == FIXED_CALLS if fixed_steps else not moving:
                    break
        unattainable = unattainable[:, 0]
        ctx.save_for_backward(noisy, delta, *rows)
        ctx.mark_non_differentiable(unattainable)
        return noisy, unattainable

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Any) -> Any:  # pyrefly: ignore[bad-override]
        """Return the gradient with respect to delta."""
        noisy, *saved = ctx.saved_tensors
        differentiate = kernels(noisy).differentiate
        with torch.autocast(noisy.device.type, enabled=False):
            # Detached for the reason above: it is the output, which wants a gradient.
            gradient = differentiate(grad_outputs[0].contiguous(), noisy.detach(), *saved)
            return None, gradient, None, None
