"""One seed, many named and independent random streams."""

import hashlib

import torch


def generator(seed: int, *names: str | int, device: str | torch.device = "cpu") -> torch.Generator:
    """Return the random stream that belongs to ``seed`` and ``names``.

    Streams of different names are independent, and adding a new one leaves the others untouched,
    which a single shared stream would not.

    Args:
        seed: the trial's seed.
        names: what the stream is for, for example ``"data order"``.
        device: where the generator draws.
    """
    digest = hashlib.sha256(repr((seed, *names)).encode()).digest()
    stream = int.from_bytes(digest[:8], "big") >> 1
    return torch.Generator(device).manual_seed(stream)
