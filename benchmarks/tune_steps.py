"""What does a step of Ray Tune's controller cost, with many trials that wait, or that have ended?

Run it as ``python benchmarks/tune_steps.py``. Tune takes a step for each event, and at least every
tenth of a second: it asks the scheduler which trial to run, and looks through those that wait. The
methods are Tune's own; trials, actors and everything else of the controller are made up.
"""

import argparse
import statistics
import tempfile
import time
from types import SimpleNamespace
from typing import Any, cast

from ray.air.execution._internal.actor_manager import RayActorManager
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial

from sweeps.engine.backend.budget import Meter
from sweeps.engine.backend.schedulers import _FIFO
from sweeps.engine.records import SweepRecords
from sweeps.engine.records.storage import Folder
from sweeps.engine.records.usage import Budget
from sweeps.engine.resources.resources import Resources

STEPS = 20
RUNNING = 16


class Controller:
    """As much of a controller as its method ``_maybe_add_actors`` needs."""

    _max_pending_trials = 10**9
    _actor_cache = SimpleNamespace(num_cached_objects=0)

    def __init__(self, waiting: int, running: int, ended: int) -> None:
        counts = {Trial.TERMINATED: ended, Trial.RUNNING: running, Trial.PENDING: waiting}
        self._trials = [
            Stub(f"{status} {number}", status)
            for status, count in counts.items()
            for number in range(count)
        ]
        pending = [trial for trial in self._trials if trial.status == Trial.PENDING]
        self._pending_trials, self._pending_trials_list = set(pending), pending
        self._staged_trials = set(pending)
        self._trial_to_actor = {trial: object() for trial in pending}
        self._actor_manager = cast(Any, object.__new__(RayActorManager))
        self._actor_manager._pending_actors_to_attrs = dict.fromkeys(self._trial_to_actor.values())
        driver: Any = SimpleNamespace(cancel_waiting=lambda: None)
        self._scheduler_alg = _FIFO(driver)

    def _wrapped(self) -> "Controller":
        return self

    def get_trials(self) -> list[Any]:
        return self._trials

    def _maybe_reuse_cached_actor(self, trial: Any) -> bool:
        return False


class Stub:
    """A trial, of which Tune looks at these."""

    def __init__(self, trial_id: str, status: str) -> None:
        self.trial_id, self.status = trial_id, status


def step_ms(waiting: int, running: int, ended: int) -> float:
    """Return the CPU time of a step in ms, the median of some."""
    controller: Any = Controller(waiting, running, ended)
    taken = []
    for _ in range(STEPS):
        started = time.process_time()
        TuneController._maybe_add_actors(controller)
        taken.append(time.process_time() - started)
    return 1000 * statistics.median(taken)


def budget_ms(running: int) -> float:
    """Return the CPU time in ms of asking the budget whether what waits may go on waiting."""
    with tempfile.TemporaryDirectory() as folder:
        records = SweepRecords(Folder(folder))
        meter = Meter(records, Resources(1, 1.0, running), Budget(gpu_hours=1e9), estimate=1200.0)
        for number in range(running + 1):
            config: Any = SimpleNamespace(trial_id=str(number), start="vanilla")
            meter.started(config)
            if number:  # one waits, so that there is something to ask
                meter.allocated(config)
        taken = []
        for _ in range(STEPS):
            started = time.process_time()
            meter.may_wait()
            taken.append(time.process_time() - started)
    return 1000 * statistics.median(taken)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--waiting", type=int, nargs="+", default=[0, 100, 1000, 3000, 6000])
    parser.add_argument("--ended", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--running", type=int, nargs="+", default=[16, 100, 1000])
    arguments = parser.parse_args()
    print("waiting  ended  ms of CPU a step")
    for waiting in arguments.waiting:
        print(f"{waiting:7,} {0:6,} {step_ms(waiting, RUNNING, 0):8.2f}")
    for ended in arguments.ended:
        print(f"{0:7,} {ended:6,} {step_ms(0, RUNNING, ended):8.2f}")
    print("running  ms of CPU to ask the budget, at each step while trials wait")
    for running in arguments.running:
        print(f"{running:7,} {budget_ms(running):8.2f}")


if __name__ == "__main__":
    main()
