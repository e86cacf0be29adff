"""What a default command takes and finds: wall time, memory, and the accuracies it reaches.

Run it as ``python benchmarks/demo.py [sweep]``, by default ``sigma_line_search``, on an otherwise
idle machine. The sweep starts from nothing in a folder of its own. Memory is the proportional share
(PSS) of all its processes together, Ray's and the object store among them, looked at each second.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

from pyarrow import compute, parquet

SWEEPS = Path(__file__).parent.parent / "sweeps"
MARK = "GON_BENCHMARK_RUN"  # inherited by every process of the sweep


def memory(mark: str) -> int:
    """Return the bytes that all processes with ``mark`` in their environment hold."""
    total = 0
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            if f"{MARK}={mark}".encode() in (process / "environ").read_bytes():
                rollup = (process / "smaps_rollup").read_text()
                total += int(rollup.split("Pss:")[1].split()[0]) * 1024
        except (OSError, IndexError):  # it has just ended, or is not ours to look at
            continue
    return total


def run(sweep: str, folder: str, arguments: list[str]) -> tuple[float, int]:
    """Run a sweep; return its wall time in seconds and its greatest memory in bytes."""
    mark, most = uuid.uuid4().hex, 0
    command = [sys.executable, str(SWEEPS / f"{sweep}.py"), "--storage", folder, *arguments]
    started = time.perf_counter()
    process = subprocess.Popen(command, env=os.environ | {MARK: mark}, stdin=subprocess.DEVNULL)
    while process.poll() is None:
        most = max(most, memory(mark))
        time.sleep(1)
    if process.returncode:
        sys.exit(f"{sweep} ended with {process.returncode}")
    return time.perf_counter() - started, most


def accuracies(folder: str) -> dict[tuple, tuple[float, float]]:
    """Return by point the mean validation and test accuracy over corruptions and seeds."""
    (path,) = Path(folder).glob("*/results.parquet")
    table = parquet.read_table(path)
    columns = table.column_names
    searched = columns[columns.index("trial_id") + 1 : columns.index("seed")]
    corrupted = table.filter(compute.field("corruption") != "clean")
    means = corrupted.group_by([*searched, "split"]).aggregate([("top1", "mean")]).to_pylist()
    found: dict[tuple, dict[str, float]] = {}
    for row in means:
        point = tuple(row[name] for name in searched)
        found.setdefault(point, {})[row["split"]] = row["top1_mean"]
    return {point: (of["validation"], of["test"]) for point, of in sorted(found.items(), key=str)}


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sweep", nargs="?", default="sigma_line_search")
    parser.add_argument("arguments", nargs="*", help="of the sweep, after --")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seconds, most = run(given.sweep, folder, given.arguments)
        found = accuracies(folder)
    print(f"\n{given.sweep}: {seconds / 60:.1f} minutes, at most {most / 1e9:.1f} GB of memory")
    best = max(found, key=lambda point: found[point][0])
    for point, (validation, test) in found.items():
        name = " ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in point)
        mark = "  best on validation" if point == best else ""
        print(f"{name:>12}  validation {validation:5.1f} %  test {test:5.1f} %{mark}")


if __name__ == "__main__":
    main()
