"""Views of the records, filled while trials run, never on their path: MLflow.

    protocol.py   what a run needs of a tracker
    mlflow/       the only door to MLflow

What knows a tracker by its name is here: another one is a folder beside ``mlflow/``. A tracker
renders nothing; files to show are given to it.
"""

from sweeps.engine.tracking.mlflow.replay import replay
from sweeps.engine.tracking.mlflow.sqlite_store import store_problem
from sweeps.engine.tracking.mlflow.tracker import MLflowTracker
from sweeps.engine.tracking.mlflow.uris import default_uri, how_to_compare, uri_problem
from sweeps.engine.tracking.protocol import Tracker

__all__ = [
    "Tracker",
    "default_uri",
    "how_to_compare",
    "make_tracker",
    "replay",
    "store_problem",
    "uri_problem",
]

make_tracker = MLflowTracker  # of every legal URI
