"""What a run needs of a tracker: of MLflow, or of another one beside it."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from gon_core.config import TrialConfig
from sweeps.engine.records import TrialResult

if TYPE_CHECKING:  # it loads torch
    from sweeps.engine.trials.machine_load import Sample

Artifacts = Callable[[TrialResult, bytes], dict[str, bytes]]
"""From a result and its noise.safetensors to files that a tracker shows beside it, by name."""


ANSWER, FIGURE = "answer", "figure"  # in what ``Tracker.close`` is given


class Tracker(Protocol):
    """Is notified of trials, and passes everything on without ever delaying them."""

    def started(self, config: TrialConfig) -> None:
        """A trial runs."""
        ...

    def reported(self, config: TrialConfig, metrics: Mapping[str, float]) -> None:
        """An epoch ended."""
        ...

    def sampled(self, config: TrialConfig, samples: Sequence["Sample"]) -> None:
        """These samples of the load of a trial's machine were taken; no record has them."""
        ...

    def ended(self, result: TrialResult) -> None:
        """A trial ended; its record is written."""
        ...

    @property
    def link(self) -> str:
        """Address of a page that compares the trials; "" while it is not known, without secrets."""
        ...

    def close(self, summary: dict[str, str], failed: bool, interrupted: bool) -> str:
        """Send what is missing and end all runs; wait for that, for a limited time.

        Args:
            summary: what was found, by name, as text; ``ANSWER`` is sentences, ``FIGURE`` the name
                of the report's picture that shows it.
            failed: whether some trial failed.
            interrupted: whether there is more to run.

        Returns:
            "" if everything was sent, else why not, with the command that sends it.
        """
        ...
