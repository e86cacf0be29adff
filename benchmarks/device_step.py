"""What does a step of each training method cost on a device, in steps of plain training?

Run it as ``python benchmarks/device_step.py``; on a GPU where there is one. A dry run prices
trials by these ratios (``sweeps.engine.planning.trial_cost.SHARES``), which are printed beside what
is measured.
With ``--sharing`` eight trials of a sweep share the GPU, one to eight at a time, instead.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

BATCH, ATTACK_STEPS, ALONE_STEPS = 300, 10, 50
SHARED = (1, 2, 4, 8)
SWEEP = (
    "--scale demo --training-images 50000 --max-epochs 8 --start-epochs 1 --seeds 1 --num-trials 0 "
    "--sigmas 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 --evaluate none --name shared"
)


def seconds(method: Any, images: Any, epochs: int) -> float:
    """Return what a step takes in the fastest epoch but the first; of a CPU, in CPU time."""
    from gon_core.config import TrainingConfig
    from gon_core.models import MadryCNN
    from gon_core.training import new_state, train

    config = TrainingConfig(batch_size=BATCH, max_epochs=epochs, patience=10**6)
    device = images.labels.device
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    state, times = new_state(MadryCNN().to(device), config, 0, method), [clock()]
    times += [clock() for _ in train(state, images, method, config)]
    return min(after - before for before, after in pairwise(times[1:])) / (len(images) / BATCH)


def steps(device: str, images: int, epochs: int) -> None:
    """Print the table of methods."""
    from gon_core.config import ANT, DDN, GNT, PGD, AugMix, GNTMult, PatchGaussian, Speckle, Vanilla
    from gon_core.data import idx
    from sweeps.engine.planning.trial_cost import SHARES
    from sweeps.engine.trials.trial import describe, make_deterministic

    make_deterministic(device, threads=1)
    data = idx.load("mnist")[0][:images].to(device)
    fewer = data[: max(images // 5, BATCH)]  # a reset an epoch
    shares = SHARES[device]
    print(f"{describe(device)}; {images:,} images in batches of {BATCH}, one process")
    plain = seconds(Vanilla(), data, epochs)
    rows: list[tuple[str, float, float, float]] = []
    for method in (GNT(sigma=0.5), GNTMult(), Speckle(), PatchGaussian()):
        each = seconds(method, data, epochs)
        rows.append((method.method, each, each - plain, 0.0))
    ant = ANT(epsilon=10, pretraining_steps=0, reset_interval="never")
    for method, share in ((ant, shares.adversary), (AugMix(), shares.mixtures)):
        each = seconds(method, data, epochs)
        rows.append((method.method, each, each - plain, share))
    for attack in (PGD(steps=ATTACK_STEPS), DDN(steps=ATTACK_STEPS)):
        each = (seconds(attack, fewer, epochs) - plain) / ATTACK_STEPS
        rows.append((f"{attack.method}, a step of the attack", each, each, shares.gradient))
    resets = [ant.model_copy(update={"reset_interval": 1, "pretraining_steps": count})
              for count in (0, ALONE_STEPS)]  # fmt: skip
    without, with_it = (seconds(method, fewer, epochs) * len(fewer) / BATCH for method in resets)
    alone = (with_it - without) / ALONE_STEPS
    rows.append(("a generator alone", alone, alone, shares.alone))
    print(f"plain training: {1000 * plain:.2f} ms a step")
    print(f"{'':26} {'ms a step':>10} {'beside plain training, in its steps':>36} {'expected':>9}")
    for name, each, beside, share in rows:
        print(f"{name:26} {1000 * each:10.2f} {beside / plain:36.2f} {share:9.2f}", flush=True)


def sharing(folder: Path) -> None:
    """Print how fast eight trials of 8 epochs on 50,000 images end that share a GPU."""
    from sweeps.engine.records import SweepRecords
    from sweeps.engine.records.storage import Folder

    script = Path(__file__).parents[1] / "sweeps" / "sigma_line_search.py"
    print("trials at a time, median s an epoch, s from the first start to the last end", flush=True)
    for count in SHARED:
        storage = folder / str(count)
        command = [sys.executable, str(script), *SWEEP.split(), "--gpus-per-trial", str(1 / count)]
        subprocess.run([*command, "--storage", str(storage)], check=True, stdout=subprocess.DEVNULL)
        records = SweepRecords(Folder(str(storage / "shared")))
        results = records.results()
        epochs = [entry["seconds"] for result in results for entry in result.history[1:]]
        began = min(a.began for r in results for a in records.trial(r.trial_id).attempts())
        ended = max(result.ended for result in results)
        wall = datetime.fromisoformat(ended) - datetime.fromisoformat(began)
        print(f"{count:6} {median(epochs):8.2f} {wall.total_seconds():8.0f}", flush=True)


def main() -> None:
    """Print what steps cost here, or how trials share a GPU."""
    import torch

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", choices=["cpu", "cuda"], default=found)
    parser.add_argument("--images", type=int, help="default: 15,000 on a GPU, 1,500 on a CPU")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--sharing", action="store_true", help="a sweep on a shared GPU instead")
    given = parser.parse_args()
    if given.sharing:
        with tempfile.TemporaryDirectory() as folder:
            sharing(Path(folder))
        return
    steps(given.device, given.images or {"cpu": 1_500, "cuda": 15_000}[given.device], given.epochs)


if __name__ == "__main__":
    main()
