"""Batch normalisation where several processes share each batch.

By default its statistics are those of the whole batch, so that several processes train what one
does, up to rounding; torch's own ``SyncBatchNorm`` needs GPUs and equal shares. With statistics of
each process's own rows the training is another one, which the configuration says.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

from gon_core.training.parallel import ALONE, Group


@contextmanager
def normalised_together(model: nn.Module, group: Group, parts: int = 1) -> Iterator[None]:
    """Let the batch normalisation of ``model`` count with all processes, as a context.

    Evaluation mode stays as it is: it uses running statistics, which all processes have alike.

    Args:
        model: what they train; each must call it equally often.
        group: the processes.
        parts: of a batch that are normalised by their own statistics: 1, or as many as there are
            processes. Running statistics are then the means over the parts.

    Raises:
        ValueError: there is another number of parts, or ``model`` has batch normalisation of a kind
            that is not torch's own.
    """
    if parts not in (1, group.size):
        legal = "1" if group.size == 1 else f"1 or {group.size}"
        raise ValueError(f"batch_norm_parts must be {legal}, as many as processes; got {parts}")
    layers = [layer for layer in model.modules() if isinstance(layer, _BatchNorm)]
    if group.size == 1 or not layers:
        yield
        return
    for layer in layers:
        if type(layer).forward is not _BatchNorm.forward or layer.running_mean is None:
            raise ValueError(
                f"several processes cannot train {type(model).__name__}: its "
                f"{type(layer).__name__} is not torch's, or keeps no running statistics"
            )
    try:
        for layer in layers:
            vars(layer)["forward"] = partial(_normalised, layer, group, parts > 1)
        yield
    finally:
        for layer in layers:
            del vars(layer)["forward"]  # that of its class again


def _normalised(layer: _BatchNorm, group: Group, is_local: bool, images: Tensor) -> Tensor:
    """Do what ``_BatchNorm.forward`` does, with the statistics of all rows of the batch."""
    if not layer.training:
        return _BatchNorm.forward(layer, images)
    layer._check_input_dim(images)
    with torch.no_grad():
        moments = torch.zeros(
            group.size, 3, images.shape[1], dtype=torch.float64, device=images.device
        )
        moments[group.rank] = _moments(images)
        every = group.total(moments)  # each process adds its own to zeros: the same bits for all
        if not is_local:
            every = _joined(every)
        own = every[group.rank if is_local else 0]
        if _values(images) <= 1 and own[0, 0].item() == 1:
            raise ValueError(f"one value a channel cannot be normalised: {list(images.shape)}")
        _keep(layer, every)
        kind = images.dtype if images.dtype == torch.float64 else torch.float32
        mean, variance = own[1].to(kind), (own[2] / own[0].clamp(min=1)).to(kind)
    weight, bias = layer.weight, layer.bias
    if weight is None:
        weight, bias = torch.ones_like(mean), torch.zeros_like(mean)
    together = ALONE if is_local else group
    return _Normalise.apply(images, weight, bias, mean, variance, own[0, 0], layer.eps, together)


def _values(images: Tensor) -> int:
    """Return of how many values each channel consists."""
    return images.numel() // images.shape[1]


def _axes(images: Tensor) -> list[int]:
    return [axis for axis in range(images.dim()) if axis != 1]


def _moments(images: Tensor) -> Float64[Tensor, "3 channel"]:
    """Return by channel: number of values, mean, and sum of squared distances from it."""
    if not (count := _values(images)):
        return torch.zeros(3, images.shape[1], dtype=torch.float64, device=images.device)
    exact = images if images.dtype == torch.float64 else images.float()
    variance, mean = torch.var_mean(exact, _axes(images), correction=0)
    mean, variance = mean.double(), variance.double()
    return torch.stack([torch.full_like(mean, count), mean, variance * count])


def _joined(parts: Float64[Tensor, "part 3 channel"]) -> Float64[Tensor, "1 3 channel"]:
    """Return the moments of all parts as one.

    References:
        Chan, Golub & LeVeque, "Updating formulae and a pairwise algorithm for computing sample
        variances", 1979: nothing is lost where the mean is far greater than the deviation.
    """
    counts, means, squares = parts.unbind(1)
    count = counts.sum(0)
    mean = (counts * means).sum(0) / count.clamp(min=1)
    squares = (squares + counts * (means - mean) ** 2).sum(0)
    return torch.stack([count, mean, squares]).unsqueeze(0)


def _keep(layer: _BatchNorm, parts: Float64[Tensor, "part 3 channel"]) -> None:
    """Move running statistics towards those of the batch: of its parts the mean."""
    assert layer.running_mean is not None and layer.running_var is not None
    assert layer.num_batches_tracked is not None
    layer.num_batches_tracked.add_(1)
    factor = layer.momentum
    if factor is None:  # the mean over all batches so far
        factor = 1.0 / float(layer.num_batches_tracked)
    counts, means, squares = parts.unbind(1)
    shares = counts / counts.sum(0).clamp(min=1)
    variances = squares / (counts - 1).clamp(min=1)
    for running, found in ((layer.running_mean, means), (layer.running_var, variances)):
        running.mul_(1 - factor).add_((shares * found).sum(0).to(running.dtype), alpha=factor)


class _Normalise(torch.autograd.Function):
    """Normalises by given statistics; the gradient knows that they follow from the images.

    A process's loss is a mean over its own rows (``Group.add_gradients``): what the other rows'
    losses add to a gradient is weighted by the shares of the batch.
    """

    @staticmethod
    def forward(
        ctx: Any, images: Tensor, weight: Tensor, bias: Tensor,
        mean: Float[Tensor, " channel"], variance: Float[Tensor, " channel"],
        count: Float64[Tensor, ""], eps: float, group: Group,
    ) -> Tensor:  # fmt: skip
        ctx.save_for_backward(images, weight, mean, (variance + eps).rsqrt(), count)
        ctx.group = group
        return nn.functional.batch_norm(images, mean, variance, weight, bias, eps=eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Any) -> Any:  # pyrefly: ignore[bad-override]
        (gradient,), (images, weight, mean, scale, count) = gradients, ctx.saved_tensors
        shape = [-1 if axis == 1 else 1 for axis in range(images.dim())]
        gradient = gradient.to(mean.dtype)
        normalised = (images - mean.view(shape)) * scale.view(shape)
        of_bias = gradient.sum(_axes(images))
        of_weight = (gradient * normalised).sum(_axes(images))
        own = _values(images)
        sums = ctx.group.total(torch.stack([of_bias, of_weight]) * own)
        level, slope = (sums / (max(1, own) * count).to(sums.dtype)).view(2, *shape)
        change = (gradient - level - normalised * slope) * (weight * scale).view(shape)
        return (
            change.to(images.dtype), of_weight.to(weight.dtype), of_bias.to(weight.dtype),
            None, None, None, None, None,
        )  # fmt: skip
