"""The embedded digits, unpacked once."""

import pytest


@pytest.fixture(scope="session")
def mnist():
    """MNIST's training and test images."""
    from gon_core.data import idx

    return idx.load("mnist")
