"""What a sweep of 100, 1,000 and 10,000 trials costs its driver: study, records, tracking, report.

Run it as ``python benchmarks/scale.py``. Trials are simulated: nothing is trained, all else is what
a sweep does. The real driver uses the real search, writes and reads real records on a local disk,
updates the live table (here: its lines) and a real sqlite MLflow store; the real report is
written; then the search is rebuilt from the records, as a resumed sweep does. What a
worker would write, its attempt and its result with some epochs and all accuracies, is written in
between and timed apart; checkpoints are not written, and of its weights an empty file. Each sweep
has a process of its own, so that its memory is its own. MLflow is imported and its store made
before the clock starts.

Four searches: ``grid``, 9 noise generators with as many seeds as it takes; ``line``, 20 sigmas and
5 refinements, likewise; ``random`` and ``tpe``, joint searches of as many points as trials. CPU
time is the main thread's for the driver, and that of all other threads for tracking. The driver
waits for MLflow after each trial, as it would if trials took longer than telling of them.

``--with-ray`` measures Ray Tune instead: trials that do nothing, and results that say nothing.
"""

import argparse
import contextlib
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SEARCHES = ("grid", "line", "random", "tpe")
SIZES = (100, 1_000, 10_000)
SLOTS = 16
LINE_POINTS, REFINEMENTS = 20, 5
GROWTH_TARGET, REPORT_TARGET = 1.5, 60.0
RAY_SIZES = (200, 600)
RAY_RESULTS = 500  # of each of two trials, to see how many a second Tune takes in
COLUMNS = {
    "driver_ms": "driver ms", "search_ms": "search ms", "tracking_ms": "tracking ms",
    "worker_ms": "worker ms", "close_s": "close s", "report_s": "report s", "page_mb": "page MB",
    "restart_s": "restart s", "rss_mb": "RSS MB", "rss_report_mb": "with report",
}  # fmt: skip


def plan_of(search: str, trials: int) -> Any:
    """Return the plan of a sweep of that many trials, and its options."""
    from search_spaces.generator_depth import rows
    from sweeps import generator_depth, joint_search, sigma_line_search
    from sweeps.engine.planning.plan import make_plan
    from sweeps.engine.planning.strength import line_spec

    if search == "grid":
        depths = {"scale": "demo", "seeds": trials // len(rows())}
        options = generator_depth.Options.model_validate(depths)
        return make_plan(generator_depth.spec(options), options), options
    if search == "line":
        sigmas = tuple(round(0.05 * step, 2) for step in range(LINE_POINTS))
        seeds = trials // (LINE_POINTS + REFINEMENTS)
        given = {"scale": "demo", "sigmas": sigmas, "seeds": seeds, "num_trials": REFINEMENTS}
        options = sigma_line_search.Options.model_validate(given)
        return make_plan(line_spec(options, sigmas), options), options
    points = {"scale": "demo", "num_trials": trials, "sampler": search}
    options = joint_search.Options.model_validate(points)
    return make_plan(joint_search.spec(options), options), options


@dataclass
class Worker:
    """What the processes of trials do beside training: they write records.

    Attributes:
        epochs: of each trial.
        cpu, wall: seconds that writing took so far.
    """

    epochs: int
    cpu: float = 0.0
    wall: float = 0.0

    def history(self, config: Any) -> list[dict[str, float]]:
        """Return the metrics of the epochs, as ``sweeps.engine.trials.trial`` has them."""
        from sweeps.engine.records import VALIDATION_METRIC

        return [
            {
                "epoch": float(epoch), "train_loss": 1 / epoch, "train_accuracy": 98.7 - 9 / epoch,
                "learning_rate": 0.01, "seconds": 2.0, VALIDATION_METRIC: top1(config) - 5 / epoch,
                "validation_seconds": 0.25,
            }
            for epoch in range(1, self.epochs + 1)
        ]  # fmt: skip

    def end(self, records: Any, config: Any) -> None:
        """Write the attempt and the result of a trial."""
        from gon_core.corruptions.mnist_c import CORRUPTIONS
        from gon_core.measurement import accuracy_row, mean_top1
        from sweeps.engine.records import MODEL, Attempt, TrialResult
        from sweeps.engine.system.provenance import now

        images = {"validation": 2_000, "test": 10_000}
        rows = [
            accuracy_row(split, name, int(bool(index)), round(count * accuracy / 100), count)
            for split, count in images.items()
            for index, name in enumerate(("clean", *CORRUPTIONS))
            for accuracy in [top1(config) + (index % 5 - 2 if index else 12)]
        ]
        result = TrialResult(
            trial_id=config.trial_id, config=config, status="max_epochs", measurements=rows,
            history=self.history(config), objective=mean_top1(rows, "validation"),
            best_epoch=self.epochs, ended=now(), device="cpu, 1 thread(s)",
            seconds={"training": 2.0 * self.epochs, "evaluation": 9.0},
        )  # fmt: skip
        wall, cpu = time.perf_counter(), time.thread_time()
        trial = records.trial(config.trial_id)
        trial.write_attempt(Attempt("simulated", os.getpid(), now(), 0, []))
        trial.write_result(result, {MODEL: b""})
        self.cpu += time.thread_time() - cpu
        self.wall += time.perf_counter() - wall


def top1(config: Any) -> float:
    """Return a made-up accuracy in percent: a smooth function of the point, and a little chance."""
    method = config.method
    chance = int(config.trial_id[:6], 16) / 16**6
    if method.method == "gnt":
        return 84 - 25 * (method.sigma - 0.55) ** 2 + 0.4 * chance
    found = 82 - 0.2 * (method.epsilon - 9.5) ** 2 + 0.8 * min(method.depth, 4)
    rate = math.log10(method.generator_learning_rate)
    return found - 2 * (method.kernel_size == 3) - 0.7 * (rate + 3.5) ** 2 + 0.4 * chance


@dataclass
class Clock:
    """CPU seconds of the main thread, by what they were for."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def of(self, what: str) -> Iterator[None]:
        """Count the block."""
        started = time.thread_time()
        try:
            yield
        finally:
            spent = time.thread_time() - started
            self.seconds[what] = self.seconds.get(what, 0.0) + spent


def peak_mb() -> float:
    """Return the most memory that this process has had so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run_trials(driver: Any, tracker: Any, worker: Worker, clock: Clock) -> int:
    """Run all trials, ``SLOTS`` at a time; return how many."""
    running: deque[tuple[str, Any]] = deque()
    started = 0
    while True:
        while len(running) < SLOTS:
            with clock.of("driver"), clock.of("search"):
                is_exhausted = driver.search.is_exhausted
            if is_exhausted:
                break
            with clock.of("driver"):
                config = driver.suggest(f"tune-{started}")
            if config is None:
                break
            running.append((f"tune-{started}", config))
            started += 1
        if not running:
            return started
        name, config = running.popleft()
        for metrics in worker.history(config):
            with clock.of("driver"):
                driver.reported(name, metrics)
        worker.end(driver.records, config)
        with clock.of("driver"):
            driver.ended(name, failed=False)
        while tracker.waiting:
            time.sleep(0.0005)


def measure(search: str, trials: int, epochs: int, folder: Path) -> dict[str, float]:
    """Run one simulated sweep; return what it cost."""
    import mlflow  # noqa: F401  # and what follows: fixed costs, of whatever size
    from rich.console import Console

    from sweeps.engine.backend.driver import Driver
    from sweeps.engine.planning.warm_start import rebuild_search
    from sweeps.engine.records import SweepRecords
    from sweeps.engine.records.storage import Folder
    from sweeps.engine.runs.progress import Progress
    from sweeps.engine.runs.sweep import describe_sweep
    from sweeps.engine.tracking import default_uri, make_tracker
    from sweeps.engine.tracking.mlflow import tracker
    from sweeps.engine.tracking.mlflow.sqlite_store import ensure_store

    # To see how long it takes, and not that it took too long.
    tracker.DRAIN_SECONDS = 24 * 3600
    ensure_store(folder / "mlflow.db")
    plan, options = plan_of(search, trials)
    records = SweepRecords(Folder(str(folder)) / "sweep")
    description = describe_sweep(plan, options, "sha256:simulated")
    records.write_sweep(description)
    base = peak_mb()
    found, _ = rebuild_search(plan, records, {})
    clock, worker = Clock(), Worker(epochs)
    with open(os.devnull, "w") as nowhere:
        console = Console(file=nowhere)
        telling = make_tracker(default_uri(str(folder)), description, records, print)
        timed = [Timed(Progress(plan, console, 0, ledger=found.ledger), clock, "progress"),
                 Timed(telling, clock, "events")]  # fmt: skip
        search_of: Any = TimedSearch(found, clock)  # stands in for the search, method by method
        driver = Driver(plan, search_of, records, timed)
        process, main = time.process_time(), time.thread_time()
        count = run_trials(driver, telling, worker, clock)
        others = time.process_time() - process - (time.thread_time() - main)
        rss = peak_mb()
        import sweeps.engine.report as reports  # as late as a sweep imports it

        started, used = time.perf_counter(), time.process_time()
        report = reports.write_report(records)
        report_s, report_cpu = time.perf_counter() - started, time.process_time() - used
        terminal = time.perf_counter()
        reports.print_report(report, console)
        terminal_s = time.perf_counter() - terminal
        started = time.perf_counter()
        missing = telling.close(report.found, False, False)
        close_s = time.perf_counter() - started
        assert not missing, missing
    assert threading.active_count() == 1
    rss_report = peak_mb()
    del report
    started = time.perf_counter()
    again, finished = rebuild_search(plan, records, {})
    Driver(plan, again, records, [])
    assert finished == count and again.is_exhausted
    restart_s = time.perf_counter() - started
    each = 1000 / count
    sizes = {name: len(records.folder.read(name)) / 1e6
             for name in ("report/report.html", "report/table.md", "results.parquet")}  # fmt: skip
    return {
        "trials": count, "driver_ms": clock.seconds["driver"] * each,
        "search_ms": clock.seconds["search"] * each,
        "progress_ms": clock.seconds["progress"] * each, "tracking_ms": others * each,
        "worker_ms": worker.cpu * each, "worker_wall_ms": worker.wall * each, "close_s": close_s,
        "report_s": report_s, "report_cpu_s": report_cpu, "terminal_s": terminal_s,
        "page_mb": sizes["report/report.html"], "markdown_mb": sizes["report/table.md"],
        "parquet_mb": sizes["results.parquet"],
        "mlflow_mb": (folder / "mlflow.db").stat().st_size / 1e6, "restart_s": restart_s,
        "base_mb": base, "rss_mb": rss, "rss_report_mb": rss_report,
    }  # fmt: skip


class Timed:
    """A listener whose time is counted."""

    def __init__(self, listener: Any, clock: Clock, what: str) -> None:
        self._listener, self._clock, self._what = listener, clock, what

    def started(self, config: Any) -> None:
        with self._clock.of(self._what):
            self._listener.started(config)

    def reported(self, config: Any, metrics: dict[str, float]) -> None:
        with self._clock.of(self._what):
            self._listener.reported(config, metrics)

    def ended(self, result: Any) -> None:
        with self._clock.of(self._what):
            self._listener.ended(result)


class TimedSearch:
    """A search whose time is counted."""

    def __init__(self, search: Any, clock: Clock) -> None:
        self._search, self._clock, self.ledger = search, clock, search.ledger

    @property
    def is_exhausted(self) -> bool:
        return self._search.is_exhausted

    def next_trial(self) -> Any:
        with self._clock.of("search"):
            return self._search.next_trial()


def measure_ray(trials: int, results: int) -> dict[str, float]:
    """Run trials that do nothing in Ray Tune, as the engine runs its own; return what they cost.

    Args:
        trials: how many.
        results: that each reports.
    """
    import logging

    import ray
    from ray import tune
    from ray.tune.search import Searcher

    class Points(Searcher):
        """Suggests trials one by one, as the engine does."""

        def __init__(self) -> None:
            super().__init__(metric="score", mode="max")
            self.proposed = 0

        def suggest(self, trial_id: str) -> Any:
            self.proposed += 1
            return {"x": self.proposed} if self.proposed <= trials else Searcher.FINISHED

        def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
            pass

        def save(self, checkpoint_path: str) -> None:
            pass

        def restore(self, checkpoint_path: str) -> None:
            pass

    def nothing(config: dict[str, Any]) -> None:
        for number in range(results):
            tune.report({"epoch": number + 1, "score": 1.0})

    ray.init(num_cpus=2, include_dashboard=False, logging_level=logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="gon-tune-") as scratch:
        started, used = time.perf_counter(), time.process_time()
        tune.Tuner(
            tune.with_resources(nothing, {"cpu": 1}),
            tune_config=tune.TuneConfig(
                num_samples=trials, search_alg=Points(), max_concurrent_trials=2, reuse_actors=True
            ),
            run_config=tune.RunConfig(name="scratch", storage_path=scratch, verbose=0),
        ).fit()
        wall, cpu = time.perf_counter() - started, time.process_time() - used
        kept = sum(path.stat().st_size for path in Path(scratch).rglob("*") if path.is_file())
    ray.shutdown()
    return {"trials": trials, "results": trials * results, "wall_s": wall, "cpu_s": cpu,
            "scratch_mb": kept / 1e6, "rss_mb": peak_mb()}  # fmt: skip


def in_process(arguments: list[str], folder: Path) -> dict[str, float]:
    """Return what a process of its own measured."""
    command = [sys.executable, __file__, *arguments, "--worker", str(folder)]
    settings = {"RAY_ADDRESS": "local", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
                "RAY_USAGE_STATS_ENABLED": "0"}  # fmt: skip
    done = subprocess.run(command, env=os.environ | settings, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True, check=False)  # fmt: skip
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} ended with {done.returncode}\n{done.stdout}")
    return json.loads(done.stdout.splitlines()[-1])


def show(search: str, found: list[Mapping[str, float]]) -> None:
    """Print a table of one search: what each size cost, and the ratio to the smallest."""
    print(f"\n{search:>9} " + " ".join(f"{head:>11}" for head in COLUMNS.values()))
    for row in found:
        print(f"{row['trials']:9,.0f} " + " ".join(f"{row[key]:11.2f}" for key in COLUMNS))
    first = found[0]
    for row in found[1:]:
        parts = [f"{head} {row[key] / first[key]:.2f}x" for key, head in list(COLUMNS.items())[:4]]
        both = "driver and tracking together"
        total = sum(row[key] for key in ("driver_ms", "tracking_ms"))
        ratio = total / sum(first[key] for key in ("driver_ms", "tracking_ms"))
        print(f"{row['trials']:,.0f} / {first['trials']:,.0f}: {', '.join(parts)}; "
              f"{both} {ratio:.2f}x, target {GROWTH_TARGET:g}", flush=True)  # fmt: skip
    print(f"report of {found[-1]['trials']:,.0f}: {found[-1]['report_s']:.1f} s, "
          f"target {REPORT_TARGET:g}", flush=True)  # fmt: skip


def main() -> None:
    """Print what sweeps of each size cost per trial, and how that grows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--searches", nargs="+", choices=SEARCHES, default=list(SEARCHES))
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), metavar="TRIALS")
    parser.add_argument("--epochs", type=int, default=5, help="of each simulated trial")
    parser.add_argument("--folder", type=Path, help="where to keep it; default: a temporary one")
    parser.add_argument("--with-ray", action="store_true", help="measure Ray Tune instead")
    parser.add_argument("--results", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        if given.with_ray:
            found = measure_ray(given.sizes[0], given.results)
        else:
            found = measure(given.searches[0], given.sizes[0], given.epochs, given.worker)
        print(json.dumps(found))
        return
    with tempfile.TemporaryDirectory(dir=given.folder, ignore_cleanup_errors=True) as name:
        if given.with_ray:
            sizes = RAY_SIZES if given.sizes == list(SIZES) else given.sizes
            for trials, results in [*((size, 1) for size in sizes), (2, RAY_RESULTS)]:
                arguments = ["--with-ray", "--sizes", str(trials), "--results", str(results)]
                row = in_process(arguments, Path(name))
                print(f"{trials:,} trials of {results} results: {row['wall_s']:.1f} s, CPU of the "
                      f"driver {row['cpu_s']:.1f} s: {1000 * row['cpu_s'] / row['results']:.1f} ms "
                      f"a result; {row['scratch_mb']:.1f} MB of its own files, "
                      f"{row['rss_mb']:.0f} MB of memory", flush=True)  # fmt: skip
            return
        for search in given.searches:
            rows: list[Mapping[str, float]] = []
            for size in given.sizes:
                folder = Path(name) / f"{search}-{size}"
                folder.mkdir()
                arguments = ["--searches", search, "--sizes", str(size)]
                arguments += ["--epochs", str(given.epochs)]
                rows.append(in_process(arguments, folder))
                print(search, json.dumps({key: round(v, 3) for key, v in rows[-1].items()}),
                      flush=True)  # fmt: skip
            show(search, rows)


if __name__ == "__main__":
    main()
