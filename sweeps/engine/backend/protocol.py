"""What a sweep needs of whatever runs its trials: Ray, or this process."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, Self

from gon_core.config import OwnFunction, TrialConfig
from sweeps.engine.backend.driver import Driver
from sweeps.engine.planning.plan import Resources

if TYPE_CHECKING:  # it loads torch: whatever can be refused is refused before
    from sweeps.engine.trials.measures import TrialData


Starts = Mapping[str, bytes]
"""The weights of the vanilla model of each architecture that trials start from, by its name."""


def weights_of(config: TrialConfig, starts: Starts | None) -> bytes | None:
    """Return the weights that a trial starts from; None if it starts from random ones."""
    return None if config.start is None or starts is None else starts[config.start.model]


def own(config: TrialConfig, function: Callable[..., None] | None) -> Callable[..., None] | None:
    """Return the sweep's own training function for a trial that it trains, None for others."""
    return function if isinstance(config.method, OwnFunction) else None


class Backend(Protocol):
    """Runs trials, and reports to a ``Driver`` what happens to them.

    As a context: what it needs begins to start when it is made, and has ended when the block is
    left.
    """

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: Any) -> None: ...

    def wait(self) -> None:
        """Return when trials can run; raise ClusterError if they never will."""

    def run(self, driver: Driver, data: "TrialData", starts: Starts | None) -> None:
        """Run the trials that ``driver`` suggests; return when it suggests no more.

        Each is run by ``run_trial``, which writes its record. ``driver`` is notified when a process
        of it begins (``began``), of each epoch (``reported``), of a process that died
        (``is_abandoned``) and of its end (``ended``).

        Args:
            driver: suggests trials.
            data: the images, the same in every call.
            starts: the vanilla models; None while one of them is the trial, which is only trained.

        Raises:
            StorageError: a record could not be written by the driver either.
            UnsharedStorageError: a trial ran on a machine that does not see the records.
        """

    def stop(self) -> None:
        """Begin to end all processes of trials."""

    def join(self) -> None:
        """Return when all of them have ended, after ``stop``."""


BackendFactory = Callable[[Resources, str | None], Backend]
"""Makes a backend for trials that occupy so much, on the cluster at an address if any."""
