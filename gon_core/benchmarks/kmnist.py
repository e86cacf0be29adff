"""KMNIST: letters in the place of digits, the same corruptions, and nothing published."""

from gon_core.benchmarks.idx_folder import like_mnist

KMNIST = like_mnist("kmnist", "KMNIST")
