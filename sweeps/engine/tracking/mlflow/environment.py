"""The environment variables that MLflow reads."""

import os

# A sweep must not find itself in an experiment or run that the surrounding shell had in mind.
SCRUBBED = (
    "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_ID", "MLFLOW_TRACKING_URI",
)  # fmt: skip
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # it would repeat without looking
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # into the live table, with the password
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",  # what is said to be tracked was acknowledged
}


def settle_environment() -> None:
    """Set the environment variables that MLflow reads; best done while there is one thread."""
    for name in SCRUBBED:
        os.environ.pop(name, None)
    for name, value in SETTINGS.items():
        if os.environ.get(name) != value:
            os.environ[name] = value
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")  # seconds
