"""Files beside the results of trials: without one, or with a damaged one, its part is left out."""

import logging
from collections.abc import Callable
from typing import TypeVar

from safetensors import SafetensorError

from sweeps.engine.records.storage import Folder

Content = TypeVar("Content")

log = logging.getLogger(__name__)


def read_file(folder: Folder, name: str, load: Callable[[bytes], Content]) -> Content | None:
    """Return what a file holds; None without one, and with a warning if it is damaged."""
    try:
        return load(folder.read(name))
    except FileNotFoundError:
        return None
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        log.warning("%s/%s is left out of the report: %s", folder.path, name, error)
        return None
