"""Whether a sweep's folder and its MLflow store can be where the options want them."""

import re
import tempfile
from pathlib import Path
from urllib.parse import unquote

from sweeps.engine.records import object_store
from sweeps.engine.system.provenance import encoding_problem

RESERVED_NAMES = ("starting_models", "mlartifacts", ".", "..")
DATABASES = ("postgresql", "mysql", "mssql")  # that MLflow knows, in addition to sqlite
PROBE = bytes(4096)


def checked_name(name: str) -> str:
    """Return the name of a sweep's folder; raise ValueError, with one that can be, if it cannot."""
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", name):
        nearest = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-")[:100]
        hint = f"; for example {nearest}" if nearest else ""
        raise ValueError(f"must be 1 to 100 of the characters A-Z a-z 0-9 . _ -{hint}")
    if name in RESERVED_NAMES or name.lstrip(".").startswith("mlflow.db"):
        raise ValueError("is reserved, choose another")
    return name


def checked_storage(storage: str) -> str:
    """Return ``storage``; raise ValueError unless it is a writable folder, or an object store."""
    local = storage.removeprefix("file://")
    if "://" in local:
        if not re.fullmatch(r"(s3|gs|gcs)://[^/\s]+(/.*)?", local):
            raise ValueError("must be a local folder, s3://BUCKET, gs://BUCKET or file:///...")
        object_store.check(storage)
    elif local != storage and not local.startswith("/"):
        raise ValueError("needs an absolute path after file://, which begins with /")
    else:
        refuse_unwritable(local)
    return storage


def checked_tracking_uri(uri: str) -> str:
    """Return ``uri``; raise ValueError unless it can be that of an MLflow store."""
    if re.match(rf"(https?|({'|'.join(DATABASES)})(\+\w+)?)://[^/\s]", uri):
        if rule := encoding_problem(uri):
            raise ValueError(rule)
        return uri
    file = unquote(uri.removeprefix("sqlite:///"))
    if file == "" or not uri.startswith("sqlite:///"):
        legal = ", ".join(f"{name}://..." for name in DATABASES)
        raise ValueError(f"must be sqlite:///FILE, http://HOST, https://HOST, {legal}")
    if Path(file).is_dir():
        raise ValueError(f"{file} is a folder, a file is needed")
    refuse_unwritable(str(Path(file).parent))
    return uri


def refuse_unwritable(folder: str) -> None:
    """Raise ValueError unless files can be made in ``folder``, or it can be made itself."""
    if not folder.strip() or "\0" in folder:
        raise ValueError("must be the path of a folder")
    existing = Path(folder)
    try:
        existing = existing.expanduser().absolute()
        while not existing.exists() and not existing.is_symlink():
            existing = existing.parent
        if not existing.is_dir():
            raise ValueError(f"{existing} is a file, a folder is needed")
        # Permissions are not enough: root may write anywhere but on a read-only filesystem.
        with tempfile.TemporaryFile(dir=existing) as probe:
            probe.write(PROBE)  # which is more than a full disk has room for
            probe.flush()
    except (OSError, RuntimeError) as error:  # the latter: a user who has no home
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"{existing} cannot be written ({reason})") from error
