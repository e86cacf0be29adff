"""What all tests share. Imports nothing of gon_core: pytest's hook must see its first import."""

import signal
from pathlib import Path

import pytest
import torch

# Who is started in the background by a shell script ignores Ctrl-C, and so would all children.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# So does nohup with SIGHUP. A handler that does nothing keeps its word, for this process alone.
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *received: None)


REAL_SWEEPS = Path(__file__).parent / "sweeps"


def pytest_collection_modifyitems(items):
    """Begin with the real sweeps: the longest tests, at the end, would leave other cores idle."""
    items.sort(key=lambda item: item.path.parent != REAL_SWEEPS)


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """One thread a process, as in a trial: the same bits on every machine with the same kernels."""
    torch.set_num_threads(1)
