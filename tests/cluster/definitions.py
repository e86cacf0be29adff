"""The files of ``cluster/``, and copies of them with one thing broken."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "cluster"
PROJECT = "~/game-of-noise"
MISSING = object()  # as a value: the entry is taken out

SECRET_NAMES = re.compile(r"passw|secret|token|credential|access_?key|private_?key", re.IGNORECASE)
# How a machine hands out credentials, and names of secrets that are kept elsewhere.
NO_SECRETS = ("HttpTokens", "secretName")
SECRET_VALUES = re.compile(
    r"AKIA[0-9A-Z]{16}|-----BEGIN|gh[pousr]_\w{30}|\b[0-9a-f]{64}\b|RAY_AUTH_TOKEN=\S",
    re.IGNORECASE,
)
HOSTS = re.compile(r"\w+://\S+|(?:extra-)?index(?:-url)?[= ]\S+|find-links[= ]\S+|git\+\S+")


def read(path: str) -> Any:
    """Return a YAML file of ``cluster/``; a list if it holds several documents."""
    documents = list(yaml.safe_load_all((CLUSTER / path).read_text()))
    return documents[0] if len(documents) == 1 else documents


def broken(definition: Any, path: tuple[str | int, ...], value: Any) -> Any:
    """Return a copy with ``value`` at ``path``; where a list ends there, it gets one entry more."""
    changed = place = _copy(definition)
    for key in path[:-1]:
        place = place[key]
    key = path[-1]
    if value is MISSING:
        del place[key]
    elif isinstance(place, list) and key == len(place):
        place.append(value)
    else:
        place[key] = value
    return changed


def strings(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield (key, text) for each text in nested lists and mappings."""
    if isinstance(value, dict):
        # Of an environment variable of Kubernetes, the name is beside the value.
        beside = value.get("name") if "value" in value else None
        for key, inner in value.items():
            yield from strings(inner, str(beside if key == "value" and beside else key))
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner, name)
    elif isinstance(value, str):
        yield name, value


def plain_secrets(definition: Any) -> list[str]:
    """Return every text that is a secret, or stands where one would."""
    faults = []
    for name, text in strings(definition):
        is_named = SECRET_NAMES.search(name) and name not in NO_SECRETS
        if SECRET_VALUES.search(text) or (is_named and not text.startswith(("~", "/"))):
            faults.append(f"{name}: a secret in plain text")
    return faults


def hosts(commands: list[str]) -> list[str]:
    """Return every host that a command names: where packages come from is the machine's to say."""
    return [f"names a host: {found}" for line in commands for found in HOSTS.findall(line)]


def _copy(value: Any) -> Any:
    # copy.deepcopy would keep what YAML's anchors share: one change would be several.
    if isinstance(value, dict):
        return {key: _copy(inner) for key, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list) else value
