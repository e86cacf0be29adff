"""MNIST-C, the fifteen corruptions of Mu & Gilmer (2019), as batched torch functions."""

from gon_core.corruptions.mnist_c.blocks import BLOCK, corrupt
from gon_core.corruptions.mnist_c.definitions import CORRUPTIONS, FUNCTIONS, Corruption
from gon_core.corruptions.mnist_c.severities import PUBLISHED_SEVERITY, SEVERITIES

__all__ = [
    "BLOCK",
    "CORRUPTIONS",
    "FUNCTIONS",
    "PUBLISHED_SEVERITY",
    "SEVERITIES",
    "Corruption",
    "corrupt",
]
