"""The classifier, compiled by ``torch.compile`` while it is trained.

Fused kernels round in other places: another training, as the configuration says. Evaluation is not
compiled, so that all models are measured alike.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from gon_core import cache

# One compiling thread: by default a pool of processes would stay beside every trial. Deterministic:
# no choice of a kernel by its speed, which could be another one in the next run. Dropout draws
# the masks that it draws without compiling.
OPTIONS: dict[str, Any] = {"compile_threads": 1, "deterministic": True, "fallback_random": True}


def compiler_of(model: nn.Module, is_compiled: bool) -> Callable[[], AbstractContextManager[None]]:
    """Return a context in which ``model`` is compiled; one that does nothing if it is not to be.

    Neither the model's type nor the names of its weights change. It is compiled once for each shape
    of a batch and each mode: kernels for any shape would depend on which comes first, and so the
    bits of a training that resumes. In evaluation mode its weights get no gradient.

    Args:
        model: that takes images; contexts that change its layers have been entered.
        is_compiled: whether it is compiled; if not, torch's compiler is not even imported.
    """
    if not is_compiled:
        return nullcontext
    cache.keep_kernels()
    torch._dynamo.reset()  # models that this process trained before count towards torch's limit
    # Layers that several processes share stay eager: kernels for other numbers of rows would round
    # their running statistics differently in each process.
    for layer in model.modules():
        if shared := vars(layer).get("forward"):
            vars(layer)["forward"] = torch.compiler.disable(shared)
    eager = model.forward
    fused = torch.compile(eager, dynamic=False, options=OPTIONS)
    weights = [weight for weight in model.parameters() if weight.requires_grad]

    def forward(images: Tensor) -> Any:
        if not len(images):  # of a batch with fewer rows than processes
            return eager(images)
        if model.training:
            return fused(images)
        # A compiled backward pass is for all that wants a gradient, not only for what is asked.
        for weight in weights:
            weight.requires_grad_(False)
        try:
            return fused(images)
        finally:
            for weight in weights:
                weight.requires_grad_(True)

    @contextmanager
    def compiled():
        own = vars(model).get("forward")
        vars(model)["forward"] = forward
        try:
            yield
        finally:
            del vars(model)["forward"]  # that of its class again
            if own is not None:
                vars(model)["forward"] = own

    return compiled


def try_out(device_type: str) -> None:
    """Compile a line of arithmetic for a kind of device; once done, a machine has it on disk.

    Raises:
        RuntimeError: this machine has no compiler that works.
    """
    cache.keep_kernels()
    numbers = torch.ones(8, device=device_type)
    torch.compile(_line, options=OPTIONS)(numbers)


def _line(numbers: Tensor) -> Tensor:
    return (numbers * 2 + 1).relu()
