"""What all tests share. Imports nothing of gon_core: pytest's hook must see its first import."""

import signal

import pytest
import torch

# Who is started in the background by a shell script ignores Ctrl-C, and so would all children.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """One thread a process, as in a trial: the same bits on every machine with the same kernels."""
    torch.set_num_threads(1)
