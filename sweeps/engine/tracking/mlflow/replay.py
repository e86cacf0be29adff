"""Sends the records of a sweep to MLflow, from a later process."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from sweeps.engine.records import SweepRecords
from sweeps.engine.records.lock import SweepIsRunningError, SweepLock, holder
from sweeps.engine.records.storage import Folder
from sweeps.engine.system.errors import StorageError
from sweeps.engine.tracking.mlflow.outbox import Outbox
from sweeps.engine.tracking.mlflow.tracked import write_tracked


@contextmanager
def _alone(sweep: Folder) -> Iterator[None]:
    """Hold a sweep. One that can only be read is not run by anybody here: a look is enough."""
    with ExitStack() as stack:
        try:
            stack.enter_context(SweepLock(sweep))
        except StorageError:
            if (claim := holder(sweep)) is not None:
                raise SweepIsRunningError(claim.describe()) from None
        yield


class BehindError(RuntimeError):
    """MLflow did not take everything; the text says why, without passwords."""


class Replayed(NamedTuple):
    """How many trials of a sweep MLflow holds, and the link to their comparison."""

    trials: int
    link: str


def replay(records: SweepRecords, uri: str, logs_models: bool = False) -> Replayed:
    """Send the records of a sweep to MLflow, with or without the final models.

    A trial that was begun and never ended is ``interrupted``: its driver has ended.

    Raises:
        ValueError: there is no sweep, or it cannot be read.
        SweepIsRunningError: a driver runs it, and sends everything itself.
        BehindError: MLflow cannot be reached, or refuses something.
    """
    description = records.read_sweep()
    if description is None:
        raise ValueError(f"{records.folder.uri} holds no sweep.json")
    # Slow: they load torch.
    from sweeps.engine.report import found
    from sweeps.engine.report.figures.learned_noise import render_trial

    with _alone(records.folder):
        results, begun = records.results(), records.trials()
        failed = any(result.status == "failed" for result in results)
        points = len(description.points) + description.proposals
        planned = points * len(description.seeds)

        outbox = Outbox(uri, description, records, artifacts=render_trial, logs_models=logs_models)
        summary = found(records)
        is_short = len(results) < max(planned, len(begun))
        if not outbox.end_sweep(summary, failed, interrupted=is_short):
            raise BehindError(outbox.problem)
        if not is_short:
            write_tracked(records, uri, outbox.link, logs_models)
    return Replayed(len(begun.keys() | {result.trial_id for result in results}), outbox.link)
