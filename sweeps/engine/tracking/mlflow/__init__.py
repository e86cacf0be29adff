"""The only door to MLflow.

One thread takes events from an outbox and sends them to MLflow; a slow or absent server costs the
sweep nothing. What was missed is sent once the server answers, at the latest when the sweep ends,
or later by ``python -m sweeps.engine.tracking replay <sweep folder>``: each compares MLflow with
the records and adds what is missing, so that doing it twice changes nothing.

Experiment ``gon/<experiment>``; one parent run per sweep; exactly one child run per trial.
"""
