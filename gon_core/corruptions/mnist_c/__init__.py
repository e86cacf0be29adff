"""MNIST-C, the fifteen corruptions of Mu & Gilmer (2019), as batched torch functions."""

from gon_core.corruptions.mnist_c.blocks import BLOCK, corrupt
from gon_core.corruptions.mnist_c.definitions import CORRUPTIONS, FUNCTIONS, Corruption

__all__ = ["BLOCK", "CORRUPTIONS", "FUNCTIONS", "Corruption", "corrupt"]
