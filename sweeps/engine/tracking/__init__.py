"""The only door to MLflow: a view of the records, filled while trials run, never on their path.

One thread takes events from an outbox and tells MLflow; a slow or absent server costs the sweep
nothing. What was missed is sent once the server answers, at the latest when the sweep ends, or
later by ``python -m sweeps.engine.tracking replay <sweep folder>``: each compares MLflow with the
records and adds what is not there, so that doing it twice changes nothing.

Experiment ``gon/<question>``; one parent run per sweep; one child run per trial, exactly one.

    tracker.py       what a sweep holds: it listens to trials, and a thread passes on what it hears
    outbox.py        what MLflow has not been told yet, and the order in which it is
    replay.py        the same from the records alone
    store.py         MLflow's side: runs, points and artifacts, each exactly once
    points.py        the metrics of epochs and of final models, and when they were measured
    sqlite_store.py  a new sqlite store, whole or not there
    tracked.py       ``tracked.json``: MLflow holds all of it
    uris.py          where the store is, and how to show it without its password
"""

from sweeps.engine.tracking.replay import replay
from sweeps.engine.tracking.tracker import Tracker
from sweeps.engine.tracking.uris import default_uri, ui_command, uri_problem

__all__ = ["Tracker", "default_uri", "replay", "ui_command", "uri_problem"]
