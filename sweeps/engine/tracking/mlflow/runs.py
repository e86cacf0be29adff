"""What MLflow holds of one run, as far as it is known."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.entities import Run as RecordedRun

PARENT_TAG = "mlflow.parentRunId"
RUNNING, KILLED = "RUNNING", "KILLED"
INTERRUPTED = "interrupted"
STOPPED_BY = "stopped_by"  # a tag: the budget that ended a sweep before its last trial
RUN_STATUS = {
    "converged": "FINISHED",
    "max_epochs": "FINISHED",
    "pruned": KILLED,
    "diverged": "FAILED",
    "failed": "FAILED",
    "evaluated": "FINISHED",
}
FOR_GOOD = RUN_STATUS.keys() - {"failed"}  # such a trial is never run again


@dataclass
class KnownRun:
    """A run as far as MLflow is known to hold it.

    Attributes:
        id: MLflow's.
        status: MLflow's, such as ``RUNNING``.
        tags, parameters: all of them.
        metrics: the latest value of each.
        epochs: whose points it holds; None if it was not looked up yet.
        has_images: whether its data sets are listed.
    """

    id: str
    status: str
    tags: dict[str, str]
    parameters: dict[str, str]
    metrics: dict[str, float]
    epochs: set[int] | None = None
    has_images: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether MLflow holds all of a trial that ended for good."""
        return self.status != RUNNING and self.tags.get("status") in FOR_GOOD

    def forget(self) -> None:
        """Of a complete run keep only what identifies it: a sweep may have very many."""
        if self.is_complete:
            kept = ("status", PARENT_TAG)
            self.tags = {key: text for key, text in self.tags.items() if key in kept}
            self.parameters, self.metrics, self.epochs = {}, {}, None


def known_run(run: "RecordedRun") -> KnownRun:
    """Return what MLflow says of a run."""
    data, info = run.data, run.info
    has_images = bool(run.inputs and run.inputs.dataset_inputs)
    return KnownRun(
        info.run_id, info.status, data.tags, data.params, data.metrics, has_images=has_images
    )
