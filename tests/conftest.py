"""What all tests share. Imports nothing of gon_core: pytest's hook must see its first import."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """One thread a process, as in a trial: the same bits on every machine with the same kernels."""
    torch.set_num_threads(1)
