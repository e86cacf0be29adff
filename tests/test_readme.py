import re
from importlib import import_module
from pathlib import Path

import pytest

from tests.class_folders import fill

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
SCRIPTS = [path.stem for path in (ROOT / "sweeps").glob("[!_]*.py")]


def test_the_two_commands_are_there_as_promised():
    assert "pip install uv && uv run python sweeps/sigma_line_search.py\n" in README
    assert "pip install uv && uv run pytest\n" in README
    assert "pip install --quiet uv && uv run pytest" in (ROOT / ".ci/run").read_text()


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_option_it_names_exists(name):
    named = set(re.findall(rf"{name}\.py[^\n#]*", README))
    flags = {flag for line in named for flag in re.findall(r"--([a-z-]+)", line)}
    options = import_module(f"sweeps.{name}").Options
    legal = {field.replace("_", "-") for field in options.model_fields} | {"config", "help"}
    assert named and flags <= legal


def test_every_file_it_links_to_exists():
    for target in re.findall(r"\]\(([^)]+)\)", README):
        file = target.partition("#")[0]
        assert target.startswith("http") or (ROOT / file).exists(), target


@pytest.mark.system
def test_its_library_examples_measure_and_train(tmp_path, monkeypatch, capsys):
    measures, trains = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert max(len(example.strip().splitlines()) for example in (measures, trains)) <= 15
    fill(tmp_path / "photos/train", 4)
    fill(tmp_path / "photos/val", 3, first=500)
    monkeypatch.chdir(tmp_path)
    exec(measures + trains, {})
    printed = capsys.readouterr().out
    assert len(re.findall(r"^(gaussian_noise|fog|jpeg_compression): ", printed, re.M)) == 3
    assert printed.count("generator_loss") == 2


def test_no_placeholder_is_left():
    assert "PLACEHOLDER" not in README and "_FIGURES" not in README
