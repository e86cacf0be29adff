"""The only door to MLflow.

One thread takes events from an outbox and sends them to MLflow; a slow or absent server costs the
sweep nothing. What was missed is sent once the server answers, at the latest when the sweep ends,
or later by ``python -m sweeps.engine.tracking replay <sweep folder>``: each compares MLflow with
the records and adds what is missing, so that doing it twice changes nothing.

Experiment ``gon/<experiment>``; one parent run per sweep; exactly one child run per trial.

    tracker.py       is notified of trials; a thread passes everything on
    outbox.py        what was not sent to MLflow yet, and the order in which it is
    replay.py        the same from the records alone
    store.py         MLflow's side: runs, points and artifacts, each exactly once
    runs.py          what MLflow holds of one run, as far as it is known
    points.py        the metrics of epochs and of final models, and when they were measured
    sqlite_store.py  a new sqlite store, whole or not there
    tracked.py       ``tracked.json``: MLflow holds all of it
    uris.py          where the store is, and how to show it without its password
"""
