"""How exactly a GPU multiplies: in float32, or with factors that are rounded to TF32."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from gon_core.config import TrainingConfig


@contextmanager
def products_of(config: TrainingConfig, device: torch.device) -> Iterator[None]:
    """Let matrix products and convolutions have the precision of a training, as a context.

    torch's own default rounds the factors of convolutions, and not those of matrix products. Here
    ``tf32`` alone rounds: to 10 bits behind the point instead of 23; sums stay in float32. A CPU
    does not know it.
    """
    if device.type != "cuda":
        yield
        return
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    rounds = config.precision == "tf32"
    try:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = rounds, rounds
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def check(config: TrainingConfig, device: torch.device) -> None:
    """Raise ValueError if a kind of device cannot train in the precision of ``config``."""
    if config.precision == "tf32" and device.type == "cpu":
        raise ValueError("precision must be fp32 or bf16 on a CPU, which has no TF32; given: tf32")
