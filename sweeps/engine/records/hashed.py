"""JSON objects that hold their own SHA-256."""

import hashlib
import json
from typing import Any

DIGEST = "sha256"


def dump(content: dict[str, Any]) -> bytes:
    """Return the object as JSON, its hash in it."""
    return json.dumps(content | {DIGEST: _digest(content)}, indent=1).encode()


def load(content: bytes) -> dict[str, Any]:
    """Return what ``dump`` was given.

    Raises:
        ValueError: it is damaged.
    """
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is not JSON ({error})") from None
    if not isinstance(found, dict) or found.pop(DIGEST, None) != _digest(found):
        raise ValueError("its SHA-256 is not the one it was written with")
    return found


def _digest(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
