"""Run docs/sweep.ipynb from its first cell to its last and keep what each cell shows.

    uv run --extra notebook python docs/run_notebook.py

It takes as long as its sweep, some four minutes on two cores. The trials go to a temporary folder.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parent / "sweep.ipynb"


def run(notebook: nbformat.NotebookNode, folder: str, changes: Mapping[str, str]) -> None:
    """Run a notebook in a folder; what its cells show is part of it afterwards.

    Args:
        notebook: is changed.
        folder: the working directory of its kernel.
        changes: by text of its code, what stands in its place during this run.
    """
    sources = [cell.source for cell in notebook.cells]
    for cell in notebook.cells:
        for old, new in changes.items():
            cell.source = cell.source.replace(old, new)
    resources = {"metadata": {"path": folder}}
    NotebookClient(notebook, timeout=3600, resources=resources).execute()
    for cell, source in zip(notebook.cells, sources, strict=True):
        cell.source = source
        cell.metadata.pop("execution", None)  # times of day


def without(notebook: nbformat.NotebookNode, folder: str) -> str:
    """Return a notebook's file, in which a folder is the present one."""
    return nbformat.writes(notebook).replace(f"{folder}/", "") + "\n"


if __name__ == "__main__":
    os.environ["COLUMNS"] = "100"
    found = nbformat.read(NOTEBOOK, as_version=4)
    with TemporaryDirectory() as folder:
        run(found, folder, {})
        NOTEBOOK.write_text(without(found, folder))
    sys.exit(0)
