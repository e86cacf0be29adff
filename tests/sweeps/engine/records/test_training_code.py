"""A checkpoint's code: what trains counts, what only explains or comes afterwards does not."""

import shutil
from pathlib import Path

import pytest

import gon_core
from sweeps.engine.records import training_code as module


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """Return a copy of gon_core to be changed, and a function that returns its code's hash."""
    root = tmp_path / "gon_core"
    shutil.copytree(Path(gon_core.__path__[0]), root, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(gon_core, "__path__", [str(root)])

    def digest():
        module.training_code.cache_clear()
        return module.training_code()["gon_core"]

    yield root, digest
    module.training_code.cache_clear()


def test_comments_docstrings_and_evaluation_are_not_training_code(copied):
    root, digest = copied
    before = digest()
    loop = root / "training" / "loop.py"
    source = loop.read_text()
    loop.write_text(f"# a comment\n{source}".replace('"""', '"""Said in other words: ', 1))
    (root / "evaluation" / "accuracy.py").write_text("x = 1\n")
    assert digest() == before


@pytest.mark.parametrize("name", ["training/loop.py", "noise/sphere.py", "config.py", "seeding.py"])
def test_every_other_change_is(name, copied):
    root, digest = copied
    before = digest()
    with (root / name).open("a") as stream:
        stream.write("\nCHANGED = 1\n")
    assert digest() != before


def test_a_module_that_comes_or_goes_is_a_change(copied):
    root, digest = copied
    before = digest()
    (root / "training" / "another.py").write_text("")
    assert digest() != before


def test_a_machine_with_other_training_code_says_what_differs():
    here = module.training_code()
    assert module.other_code(here) == ""
    assert "other training code than the driver: torch" in module.other_code(here | {"torch": "0"})
    assert "gon_core" in module.other_code(here | {"gon_core": "another"})
