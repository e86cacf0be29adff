"""docs/sweep.ipynb shows what its own code made, and runs from its first cell to its last."""

from pathlib import Path

import nbformat
import pytest

NOTEBOOK = Path(__file__).parent.parent / "docs" / "sweep.ipynb"
SMALL = {
    "num_trials=0, seeds=2": "num_trials=0, seeds=1, training_images=600, max_epochs=1, "
    "start_epochs=1, validation_images=60, test_images=60",
}  # fmt: skip


@pytest.fixture
def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


def images(notebook):
    """Return how many pictures the cells show."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return sum("image/png" in output.get("data", {}) for output in outputs)


def seen_of_the_sweep(notebook):
    """Return what the cell of the sweep shows: lines before, the table, the report's lines."""
    (cell,) = (cell for cell in notebook.cells if ".run()" in cell.source)
    return [output["data"]["text/plain"] for output in cell.outputs]


def test_it_was_run_and_shows_three_plots_and_no_path_of_a_machine(notebook):
    assert images(notebook) == 3
    first, *_, table, _, _, _ = seen_of_the_sweep(notebook)
    assert first.startswith("Which sigma") and "8 of 8 trials" in table
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    assert not any(word in NOTEBOOK.read_text() for word in ("/tmp/", "/home/", "/root/", "Error"))
    assert NOTEBOOK.stat().st_size < 400_000


@pytest.mark.slow
@pytest.mark.system
def test_it_runs_again(notebook, tmp_path, monkeypatch):
    from docs import run_notebook

    text = NOTEBOOK.read_text()
    assert all(old in text for old in SMALL)
    run_notebook.run(notebook, str(tmp_path), SMALL)
    assert images(notebook) == 3
    seen = seen_of_the_sweep(notebook)
    assert seen[0].startswith("Which sigma"), "nothing has emptied the cell"
    assert sum("of 4 trials" in text for text in seen) == 1, "progress is one output"
    assert all(old in nbformat.writes(notebook) for old in SMALL)
