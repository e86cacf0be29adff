"""What MLflow costs the trials while its server is down, or takes 5 s a request.

Run it as ``python benchmarks/tracking.py``. Trials of the engine train in their own processes,
one per core, while this process listens to them and logs to MLflow, as the driver of a
sweep does. A working sqlite store, a closed port, and a real server behind a proxy that delays each
response alternate with the same trials, in another order each round; ratios are taken within a
round, and the store runs twice to show the noise.

CPU time is that of the trials and of this process together. Wall time is given with and without
what the trials waited for a core, by Linux's own account. What MLflow missed is sent after each
turn, outside of what is timed, and has to be all of it.
"""

import argparse
import contextlib
import http.client
import json
import os
import random
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

from turns import ENGINE_ENVIRONMENT, cpu

from gon_core.benchmarks.mnist import MNIST
from gon_core.config import GNT, DataConfig, TrainingConfig, TrialConfig
from search_spaces.strength import strength
from sweeps.engine.records import SweepDescription, SweepRecords
from sweeps.engine.records.storage import Folder
from sweeps.engine.tracking import default_uri, make_tracker

WORKING, DEAD, SLOW = "a working sqlite store", "a dead server", "a server at 5 s a request"
AGAIN = "the sqlite store again"  # what it differs by is noise
DELAY_SECONDS = 5.0
TARGET_PERCENT = 2.0
SUMMARY = {"trials": "1"}
HOP = {"host", "connection", "transfer-encoding", "content-length"}


class Turn(NamedTuple):
    """What the trials of one turn took, in seconds."""

    wall: float
    unhindered: float
    trials_cpu: float
    driver_cpu: float

    @property
    def cpu(self) -> float:
        """CPU time of all processes."""
        return self.trials_cpu + self.driver_cpu


def waiting() -> float:
    """Return how many seconds this thread could have run so far, but had no core."""
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9


def train() -> None:
    """Be a worker: at each line read, run the trial it names and print its epochs."""
    import torch

    from gon_core.config import EvaluationConfig
    from gon_core.data import idx
    from gon_core.data.splits import split
    from sweeps.engine.trials.measures import prepare_data
    from sweeps.engine.trials.trial import make_deterministic, run_trial

    make_deterministic("cpu", threads=1)
    torch.set_num_threads(1)
    data = None
    for line in sys.stdin:
        order = json.loads(line)
        config = TrialConfig.model_validate(order["config"])
        if data is None:
            data = prepare_data(split(*idx.load("mnist"), config.data), EvaluationConfig())
        records = SweepRecords(Folder(order["folder"])).trial(config.trial_id)
        wall, used, waited = time.perf_counter(), time.process_time(), waiting()
        run_trial(config, data, None, records, report=lambda entry: print(json.dumps(entry)))
        took = {
            "wall": time.perf_counter() - wall,
            "cpu": time.process_time() - used,
            "waited": waiting() - waited,
        }
        print(json.dumps(took), flush=True)


@contextlib.contextmanager
def workers(count: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Start processes that train; they end when their input does."""
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-u", __file__, "--worker"], text=True,
                    env=os.environ | ENGINE_ENVIRONMENT | {"GON_FUSION": "eager"},
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                )
            )
            for _ in range(count)
        ]  # fmt: skip


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.contextmanager
def server(folder: Path) -> Iterator[int]:
    """Run ``mlflow server``; give its port once it answers."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/server.db"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    settings = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    with open(folder / "server.log", "wb") as log:
        process = subprocess.Popen(
            command, env=os.environ | settings, stdout=log, stderr=log, start_new_session=True
        )
    try:
        while process.poll() is None:
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5),
            ):
                break
            time.sleep(0.2)
        yield port
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


class Brake:
    """A proxy before a server that holds each answer back for ``seconds``."""

    def __init__(self, server_port: int) -> None:
        self.seconds = DELAY_SECONDS
        brake = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:
                pass

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                time.sleep(brake.seconds)
                server = http.client.HTTPConnection("127.0.0.1", server_port)
                headers = {key: text for key, text in self.headers.items()
                           if key.lower() not in HOP}  # fmt: skip
                server.request(self.command, self.path, body or None, headers)
                answer = server.getresponse()
                content = answer.read()
                self.send_response_only(answer.status)
                for key, text in answer.getheaders():
                    if key.lower() not in HOP:
                        self.send_header(key, text)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815

        self._listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._listener.daemon_threads = True
        threading.Thread(target=self._listener.serve_forever, daemon=True).start()
        self.uri = f"http://127.0.0.1:{self._listener.server_address[1]}"


def describe(name: str) -> SweepDescription:
    """Return what ``sweep.json`` says."""
    return SweepDescription(
        name=name, experiment="benchmark", title="A benchmark", created="2026-01-01", scale="demo",
        search="line", parameters=(strength(MNIST, "gnt"),),
        objectives=("corrupted",), seeds=(0,), grid=(),
    )  # fmt: skip


def configs(count: int, images: int, epochs: int) -> list[TrialConfig]:
    """Return as many trials, which differ in their seeds."""
    data = DataConfig(training_images=images, validation_images=60, test_images=60)
    training = TrainingConfig(max_epochs=epochs)
    return [
        TrialConfig(method=GNT(sigma=0.5), data=data, training=training, start=None, seed=seed)
        for seed in range(count)
    ]


def driver_seconds() -> float:
    """Return the CPU time of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def take_turn(
    name: str, uri: str, folder: Path, trials: list[TrialConfig],
    processes: list[subprocess.Popen[str]], brake: Brake,
) -> Turn:  # fmt: skip
    """Train every trial in its own process while MLflow is updated; return what that took."""
    records = SweepRecords(Folder(str(folder)))
    description = describe(folder.name)
    records.write_sweep(description)
    tracker = make_tracker(uri, description, records)
    took: list[dict[str, float]] = []

    def follow(config: TrialConfig, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None and process.stdout is not None
        tracker.started(config)
        order = {"config": config.model_dump(mode="json"), "folder": str(folder)}
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        for line in process.stdout:
            if "wall" in (entry := json.loads(line)):
                took.append(entry)
                break
            tracker.reported(config, entry)
        result = records.trial(config.trial_id).result()
        assert result is not None and result.status == "max_epochs", result
        tracker.ended(result)

    used = driver_seconds()
    threads = [
        threading.Thread(target=follow, args=each) for each in zip(trials, processes, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    used = driver_seconds() - used
    brake.seconds = 0.0
    missing = tracker.close(SUMMARY, failed=False, interrupted=False)
    brake.seconds = DELAY_SECONDS
    if bool(missing) != (name == DEAD):
        sys.exit(f"{name}: {missing or 'logged everything, which cannot be'}")
    wall = statistics.fmean(entry["wall"] for entry in took)
    unhindered = wall - statistics.fmean(entry["waited"] for entry in took)
    return Turn(wall, unhindered, sum(entry["cpu"] for entry in took), used)


def slowdown(above: list[float], below: list[float]) -> str:
    """Return by how many percent more one side takes: the median, the least and the greatest."""
    percents = [100 * (one / other - 1) for one, other in zip(above, below, strict=True)]
    return f"{statistics.median(percents):+5.1f} % ({min(percents):+.1f} to {max(percents):+.1f})"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--epochs", type=int, default=2, help="of a trial")
    parser.add_argument("--images", type=int, default=3000, help="that a trial trains on")
    parser.add_argument("--at-a-time", type=int, default=os.cpu_count() or 1, help="trials")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        return train()
    trials = configs(given.at_a_time, given.images, given.epochs)
    turns: dict[str, list[Turn]] = {WORKING: [], AGAIN: [], DEAD: [], SLOW: []}
    with (
        tempfile.TemporaryDirectory() as name,
        server(Path(name)) as port,
        workers(len(trials)) as processes,
    ):
        brake = Brake(port)
        uris = {WORKING: default_uri(name), AGAIN: default_uri(name), SLOW: brake.uri,
                DEAD: f"http://127.0.0.1:{free_port()}"}  # fmt: skip
        print(f"{cpu()[0]}; {len(trials)} trials at a time, {given.epochs} epochs of "
              f"{given.images:,} images, {given.rounds} rounds", flush=True)  # fmt: skip
        for number in range(-1, given.rounds):  # the first one imports MLflow, and loads kernels
            for side in random.Random(number).sample(list(turns), len(turns)):
                folder = Path(name) / f"{number}-{list(turns).index(side)}"
                turn = take_turn(side, uris[side], folder, trials, processes, brake)
                if number >= 0:
                    turns[side].append(turn)
                    print(f"round {number + 1}, {side}: {turn.wall:.1f} s, {turn.cpu:.1f} s of "
                          "CPU time", flush=True)  # fmt: skip
    print(f"\n{'':28} {'wall, s':>8} {'with a core, s':>15} {'CPU, s':>8} {'of it driver':>13}")
    for side, found in turns.items():
        wall, unhindered, used, driver = (
            statistics.median(getattr(turn, what) for turn in found)
            for what in ("wall", "unhindered", "cpu", "driver_cpu")
        )
        print(f"{side:28} {wall:8.1f} {unhindered:15.1f} {used:8.1f} {driver:13.2f}")
    print(f"\nslower than with {WORKING}: median (least to greatest), target {TARGET_PERCENT:g} %")
    for side in (AGAIN, DEAD, SLOW):
        for what, name in (("wall", "wall"), ("unhindered", "with a core"), ("cpu", "CPU")):
            values = [[getattr(turn, what) for turn in turns[one]] for one in (side, WORKING)]
            print(f"{side:28} {name:12} {slowdown(*values)}")


if __name__ == "__main__":
    main()
