"""Trials run by this process, one after the other."""

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any, Self

from sweeps.engine.backend.driver import Driver
from sweeps.engine.backend.protocol import Starts, own, weights_of
from sweeps.engine.planning.plan import Resources
from sweeps.engine.records import TrialResult
from sweeps.engine.trials.measures import TrialData
from sweeps.engine.trials.trial import make_deterministic, run_trial

NODE = "this process"


class ProcessDiedError(BaseException):
    """Raised instead of a trial's run to stand for the death of a process."""


class InProcess:
    """Runs trials in this process, without Ray: a ``Backend``.

    No scheduler stops unpromising trials.

    Args:
        resources: of each trial.
        address: of no cluster.
        run: ``run_trial``, or what stands for it in a test.
    """

    def __init__(
        self,
        resources: Resources,
        address: str | None = None,
        run: Callable[..., TrialResult] = run_trial,
    ) -> None:
        assert address is None, "this process is on no cluster"
        self._resources, self._run = resources, run

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: Any) -> None:
        pass

    def wait(self) -> None:
        """Return at once."""

    def stop(self) -> None:
        """Nothing has been started."""

    def join(self) -> None:
        """Return at once."""

    def run(self, driver: Driver, data: TrialData, starts: Starts | None) -> None:
        """Run the trials that ``driver`` suggests."""
        make_deterministic(self._resources.device, self._resources.cpus)
        on_device = data.to(self._resources.device)
        for name in map(str, count(1)):
            config = None if driver.is_over else driver.suggest(name)
            if config is None:
                break
            run = partial(
                self._run, config, on_device, weights_of(config, starts),
                driver.records.trial(config.trial_id),
                checkpoint_every=driver.plan.checkpoint_every,
                report=partial(driver.reported, name), processes=self._resources.processes,
                node=NODE, evaluates=starts is not None, show=partial(_show, driver, name),
                function=own(config, driver.plan.spec.function),
            )  # fmt: skip
            _run_one(driver, name, run)
        if driver.lost is not None:
            raise driver.lost


def _show(driver: Driver, name: str, metrics: dict[str, float], words: str) -> None:
    driver.reported(name, metrics)
    driver.evaluating(name, words)


def _run_one(driver: Driver, name: str, run: Callable[[], TrialResult]) -> None:
    while True:
        driver.began(name, [NODE])
        try:
            result = run()
        except ProcessDiedError as death:
            if driver.is_abandoned(name, lambda: [NODE], str(death)) or driver.lost is not None:
                break
        else:
            if result.history:  # the last epoch comes with the result
                driver.reported(name, result.history[-1])
            break
    driver.ended(name, failed=False)
