"""What this machine has: cores, memory and GPUs. Imports torch only where there may be a GPU."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

# The drivers of NVIDIA (also under WSL and on Jetson) and of AMD make one of these.
GPU_FILES = ("/dev/nvidiactl", "/dev/dxg", "/dev/nvmap", "/dev/nvhost-gpu", "/dev/kfd")


def gpu_count() -> int:
    """Return how many CUDA devices this machine has."""
    if sys.platform == "linux" and not any(Path(path).exists() for path in GPU_FILES):
        return 0
    import torch  # slow, so only where there may be one

    return torch.cuda.device_count()


def cpu_count() -> int:
    """Return how many cores this process may use, also in a container."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
    cores = len(allowed) or os.cpu_count() or 1
    return max(1, min(cores, container_cores() or cores))


def memory(limit: Path = Path("/sys/fs/cgroup/memory.max")) -> int:
    """Return the bytes of memory that this process may use, also in a container."""
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(found, int(limit.read_text()))
    except (OSError, ValueError):  # no container, or one without a limit
        return found


def has_bf16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Return whether the CPU has bfloat16 instructions; True where that cannot be known."""
    try:
        flags = cpuinfo.read_text()
    except OSError:
        return True
    return any(flag in flags for flag in ("avx512_bf16", "amx_bf16", " bf16")) or not flags


@cache
def compiler_problem(device: str) -> str:
    """Return why torch.compile does not work here for a kind of device; empty if it does.

    It is tried out in a process of its own: seconds, a minute the first time on a busy machine.
    """
    code = f"from gon_core.training.compilation import try_out; try_out({device!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    lines = [line for line in done.stderr.splitlines() if "Error: " in line]
    if not done.returncode:
        return ""
    return lines[-1].strip() if lines else f"it ended with exit code {done.returncode}"


def container_cores(limit: Path = Path("/sys/fs/cgroup/cpu.max")) -> int | None:
    """Return how many whole cores a container may use at a time; None if nothing limits it.

    Args:
        limit: the kernel's file (cgroup v2): microseconds of CPU, or ``max``, and the period.
    """
    try:
        quota, period = limit.read_text().split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else max(1, int(quota) // int(period))
