"""Views of the records, filled while trials run, never on their path: MLflow.

    protocol.py   what a run needs of a tracker
    mlflow/       the only door to MLflow

What knows a tracker by its name is here: another one is a folder beside ``mlflow/``, chosen by
``make_tracker``. A tracker renders nothing; files to show are given to it.
"""

from collections.abc import Callable

from sweeps.engine.records import SweepDescription, SweepRecords
from sweeps.engine.tracking.mlflow.replay import replay
from sweeps.engine.tracking.mlflow.tracker import MLflowTracker
from sweeps.engine.tracking.mlflow.uris import default_uri, ui_command, uri_problem
from sweeps.engine.tracking.protocol import Artifacts, Tracker

__all__ = ["Tracker", "default_uri", "make_tracker", "replay", "ui_command", "uri_problem"]


def make_tracker(
    uri: str,
    description: SweepDescription,
    records: SweepRecords,
    say: Callable[[str], None] | None = None,
    artifacts: Artifacts | None = None,
) -> Tracker:
    """Return the tracker of a sweep.

    Args:
        uri: where it is tracked; every legal one is MLflow's.
        description: what ``sweep.json`` says.
        records: of the sweep.
        say: called once, with one line, if the tracker cannot be reached; from a thread.
        artifacts: makes files to show beside a trial with learned noise; None for none.
    """
    return MLflowTracker(uri, description, records, say, artifacts)
