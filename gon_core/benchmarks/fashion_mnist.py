"""Fashion-MNIST: clothes in the place of digits, the same corruptions, and nothing published."""

from gon_core.benchmarks.idx_folder import like_mnist

FASHION_MNIST = like_mnist("fashion_mnist", "Fashion-MNIST")
