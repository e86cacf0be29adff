"""Names of the files of a sweep, and of the one metric that all of its parts must agree on."""

import re

from sweeps.engine.records.storage import Folder

MODEL = "model.safetensors"
NOISE = "noise.safetensors"
RIGHT = "right.safetensors"
PERTURBED = "perturbed.safetensors"
EXAMPLES = "examples.safetensors"
STARTING_MODELS = "starting_models"  # reserved: no sweep may take this name
# The metric of each epoch that pruning compares and the live table shows: each validation image
# under one of the corruptions. The search looks at the final model under all of them.
VALIDATION_METRIC = "validation_corrupted"
NUMBERED = re.compile(r"(\d{6})\.json")


def numbered(folder: Folder) -> list[str]:
    """Return the names of the files that are numbered, ``000001.json`` first, in their order."""
    return [name for name in folder.names() if NUMBERED.fullmatch(name)]


def next_number(folder: Folder) -> str:
    """Return the name of the file that comes after all numbered ones."""
    last = numbered(folder)[-1:]
    return f"{int(last[0].removesuffix('.json')) + 1 if last else 1:06d}.json"
