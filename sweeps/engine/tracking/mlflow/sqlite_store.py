"""A sqlite store for MLflow: whole, or not there.

MLflow creates its 65 tables by some 80 migrations, one after the other, in place. Several processes
at once, or a kill in between, leave a store that no MLflow opens again. Here one process at a time
makes it under another name and renames it once it is whole.
"""

import contextlib
import fcntl
import importlib.util
import re
import shlex
import sqlite3
from functools import cache
from pathlib import Path

from sweeps.engine.tracking.mlflow.uris import sqlite_path, sqlite_uri

PATIENCE_SECONDS = 20  # for another process that writes
ARTIFACTS = "mlartifacts"  # the folder beside the store
ADDRESSES = {"experiments": "artifact_location", "runs": "artifact_uri"}  # columns by table
VERSION = re.compile(r"^(revision|down_revision)\b[^=\n]*= *['\"](\w+)['\"]", re.MULTILINE)
SIDECARS = ("-journal", "-wal", "-shm")


def ensure_store(path: Path) -> None:
    """Make a store at ``path`` unless there is one; any number of processes may do so at once.

    Raises:
        ValueError: the file is something else, or a store of another version of MLflow.
    """
    path = path.absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{path}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            _create(path)
        else:
            _refuse_other_content(path)
            if problem := schema_problem(path):
                raise ValueError(problem)
            _follow(path)


def _follow(path: Path) -> None:
    """Let the store find its artifacts where it was moved to, or copied, together with them.

    MLflow keeps absolute addresses of them; where a sweep has made an experiment, they are in
    ``mlartifacts`` beside the store.
    """
    here = (path.parent / ARTIFACTS).as_uri()
    with contextlib.closing(sqlite3.connect(path, timeout=PATIENCE_SECONDS)) as database, database:
        found = database.execute("SELECT artifact_location FROM experiments").fetchall()
        bases = {
            base for (place,) in found for base in [_base(place or "")] if base and base != here
        }
        for base in bases:
            for table, column in ADDRESSES.items():
                database.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                    f"WHERE {column} LIKE ? ESCAPE '!'",
                    (here, len(base) + 1, _escaped(base) + "/%"),
                )


def _base(place: str) -> str:
    """Return the address of the folder of all artifacts, given that of an experiment's."""
    base, folder, _ = place.rpartition(f"/{ARTIFACTS}/gon/")
    return f"{base}/{ARTIFACTS}" if folder else ""


def _escaped(text: str) -> str:
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def _refuse_other_content(path: Path) -> None:
    # The last thing that MLflow writes into a new store is its default experiment.
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=PATIENCE_SECONDS)) as database:
            found = database.execute("SELECT 1 FROM experiments LIMIT 1").fetchone()
    except sqlite3.DatabaseError as error:
        raise ValueError(f"{path} is not a whole store of MLflow ({error})") from None
    if found is None:
        raise ValueError(f"{path} is not a whole store of MLflow (it has no experiment)")


def store_problem(uri: str) -> str:
    """Return why the MLflow of now cannot use a file at a URI; empty if it can, or it is none."""
    path = sqlite_path(uri)
    if path is None:
        return ""
    # The reader of its migrations' settings takes the sign for the beginning of a placeholder.
    place = next((str(place) for place in _installed() if "%" in str(place)), "")
    if place:
        rule = "MLflow makes no sqlite store where it is installed below a folder with a % in its"
        return f"{rule} name: rename it and install again, given: {place}"
    return schema_problem(path)


def schema_problem(path: Path) -> str:
    """Return why the MLflow of now cannot use a store, and what to do; empty if it can.

    A store that is not whole, or not there, has no such problem.
    """
    if not path.exists():
        return ""
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=PATIENCE_SECONDS)) as database:
            found = database.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.DatabaseError:
        return ""
    steps = _schema_steps()
    if found is None or not steps:
        return ""
    (version,) = found
    if version not in steps.values():  # no step starts from it
        is_newest = version in steps
        return "" if is_newest else f"{path} is of a newer MLflow than the one installed here"
    command = shlex.join(["uv", "run", "mlflow", "db", "upgrade", sqlite_uri(path)])
    return f"{path} is of an older MLflow: copy the file, then run {command}"


@cache
def _schema_steps() -> dict[str, str]:
    """Return for each version of MLflow's tables the one before it, without importing MLflow."""
    steps = {}
    for place in _installed():
        for file in (place / "store/db_migrations/versions").glob("*.py"):
            said = dict(VERSION.findall(file.read_text()))
            if "revision" in said and "down_revision" in said:
                steps[said["revision"]] = said["down_revision"]
    return steps


def _installed() -> list[Path]:
    """Return the folders of MLflow, without importing it."""
    spec = importlib.util.find_spec("mlflow")
    places = spec.submodule_search_locations if spec is not None else None
    return [Path(place) for place in places or ()]


def _create(path: Path) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    new = path.with_name(f".{path.name}.new")
    for leftover in (new, *(Path(f"{base}{end}") for base in (new, path) for end in SIDECARS)):
        leftover.unlink(missing_ok=True)
    artifacts = (path.parent / ARTIFACTS).as_uri()
    SqlAlchemyStore(sqlite_uri(new), artifacts).engine.dispose()
    new.replace(path)
