"""Where MLflow's store is, and how to show that without a password."""

import os
import shlex
from pathlib import Path
from urllib.parse import unquote

from sweeps.engine.cli.storage_checks import checked_tracking_uri
from sweeps.engine.system.provenance import redact

REDACTED = "***"
# MLflow sends what they hold with every request.
SECRETS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
SHOWN_CHARACTERS = 300
UI_HOST, UI_PORT = "127.0.0.1", 5000
LOCAL_UI = f"http://{UI_HOST}:{UI_PORT}"  # of a store that is no server


def default_uri(storage: str) -> str:
    """Return the store beside the sweeps: sqlite, in ``storage`` or, if that is remote, here."""
    folder = Path("results") if "://" in storage else Path(storage)
    return sqlite_uri(folder.expanduser().absolute() / "mlflow.db")


def sqlite_uri(path: Path) -> str:
    """Return the URI of a sqlite store; SQLAlchemy decodes what looks encoded, and ends at a ?."""
    return f"sqlite:///{path}".replace("%", "%25").replace("?", "%3F")


def ui_command(uri: str) -> str:
    """Return how to open the MLflow UI, without any password.

    That is a server's own address, or the command that shows a store, on loopback.
    """
    if uri.startswith("http"):
        return redact(uri)
    store = shlex.quote(redact(uri))
    return f"uv run mlflow ui --backend-store-uri {store} --host {UI_HOST} --port {UI_PORT}"


def how_to_compare(uri: str, link: str) -> str:
    """Return in lines what opens the comparison of a sweep's runs, without any password.

    Args:
        uri: of the store.
        link: see ``Tracker.link``; "" where it is not known.
    """
    opens = [link] if link else []
    if not (opens and uri.startswith("http")):
        opens.insert(0, ui_command(uri))
    return "\n  ".join(["Compare runs in the MLflow UI:", *opens])


def uri_problem(uri: str) -> str | None:
    """Return why ``uri`` cannot be a tracking URI, without any password; None if it can."""
    if REDACTED in uri:
        return f"{redact(uri)}: the password is not recorded, give the whole URI"
    try:
        checked_tracking_uri(uri)
    except ValueError as error:
        return f"the tracking URI {error}"
    return None


def sqlite_path(uri: str) -> Path | None:
    """Return the file of a sqlite store; None for any other."""
    path = unquote(uri.removeprefix("sqlite:///").partition("?")[0])
    return Path(path) if uri.startswith("sqlite:///") and path not in ("", ":memory:") else None


def explain(error: BaseException) -> str:
    """Return what went wrong in one line, without passwords: requests puts the URI into errors."""
    root = error
    while below := root.__cause__ or (None if root.__suppress_context__ else root.__context__):
        root = below
    if isinstance(root, OSError):  # what the system said, below what urllib3, requests, MLflow add
        error = OSError(root.strerror) if root.strerror else root
    text = redact(str(error) or type(error).__name__)
    for name in SECRETS:
        if secret := os.environ.get(name):
            text = text.replace(secret, REDACTED)
    line = " ".join(text.splitlines()[0].split())
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[:SHOWN_CHARACTERS]} ..."
