import re
from importlib import import_module
from pathlib import Path

import sweeps.sigma_line_search as script

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_two_commands_are_there_as_promised():
    assert "pip install uv && uv run python sweeps/sigma_line_search.py\n" in README
    assert "pip install uv && uv run pytest\n" in README
    assert "pip install --quiet uv && uv run pytest" in (ROOT / ".ci/run").read_text()


def test_every_option_it_names_exists():
    named = set(re.findall(r"sigma_line_search\.py[^\n#]*", README))
    flags = {flag for line in named for flag in re.findall(r"--([a-z-]+)", line)}
    legal = {name.replace("_", "-") for name in script.Options.model_fields} | {"config", "help"}
    assert flags and flags <= legal


def test_every_file_it_links_to_exists():
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_its_library_example_imports_what_exists():
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    compile(example, "README.md", "exec")
    for module, names in re.findall(r"from ([\w.]+) import ([\w, ]+)", example):
        for name in names.split(", "):
            assert hasattr(import_module(module), name) or import_module(f"{module}.{name}")


def test_no_placeholder_is_left():
    assert "PLACEHOLDER" not in README
