"""What this machine has: cores and GPUs. Imports torch only where there may be a GPU."""

import os
import sys
from pathlib import Path

# The drivers of NVIDIA (also under WSL and on Jetson) and of AMD make one of these.
GPU_FILES = ("/dev/nvidiactl", "/dev/dxg", "/dev/nvmap", "/dev/nvhost-gpu", "/dev/kfd")


def gpu_count() -> int:
    """Return how many CUDA devices this machine has."""
    if sys.platform == "linux" and not any(Path(path).exists() for path in GPU_FILES):
        return 0
    import torch  # slow: only those who may have one pay for it

    return torch.cuda.device_count()


def cpu_count() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
