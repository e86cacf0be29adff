"""A sqlite store for MLflow: whole, or not there.

MLflow creates its 65 tables by some 80 migrations, one after the other, in place. Several processes
at once, or a kill in between, leave a store that no MLflow opens again. Here one process at a time
makes it beside its place and renames it once it is whole.
"""

import contextlib
import fcntl
import logging
import sqlite3
from pathlib import Path

PATIENCE_SECONDS = 20  # for another process that writes
SIDECARS = ("-journal", "-wal", "-shm")
MLFLOW_TABLES = {"experiments", "runs", "alembic_version"}

log = logging.getLogger(__name__)


def ensure_store(path: Path) -> None:
    """Let there be a whole store at ``path``; any number of processes may ask at once.

    One that was never finished by an earlier process holds no run: it is set aside.

    Raises:
        ValueError: the file is something else.
    """
    path = path.absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{path}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists() and not _is_finished(path):
            aside = Path(f"{path}.half-made")
            path.replace(aside)
            log.warning("%s was never finished and holds no run: now %s", path, aside.name)
        if not path.exists():
            _create(path)


def _is_finished(path: Path) -> bool:
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=PATIENCE_SECONDS)) as database:
            query = "SELECT name FROM sqlite_master WHERE type = 'table'"
            tables = {name for (name,) in database.execute(query)}
            if tables and not tables & MLFLOW_TABLES:
                raise ValueError(f"{path} is a database, but not MLflow's")
            # The last thing that MLflow writes into a new store is its default experiment.
            query = "SELECT 1 FROM experiments LIMIT 1"
            return "experiments" in tables and database.execute(query).fetchone() is not None
    except sqlite3.OperationalError:
        raise  # it is a DatabaseError too, but says nothing of the file's content
    except sqlite3.DatabaseError as error:
        raise ValueError(f"{path} is not a sqlite database ({error})") from None


def _create(path: Path) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    new = path.with_name(f".{path.name}.new")
    for leftover in (new, *(Path(f"{base}{end}") for base in (new, path) for end in SIDECARS)):
        leftover.unlink(missing_ok=True)
    artifacts = (path.parent / "mlartifacts").as_uri()
    SqlAlchemyStore(f"sqlite:///{new}", artifacts).engine.dispose()
    new.replace(path)
