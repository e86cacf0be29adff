"""sweeps/completion.bash: what Tab offers, asked of bash."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
ASK = """
source sweeps/completion.bash
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_game_of_noise && echo "${COMPREPLY[*]}"
"""


@pytest.mark.system
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (("sweeps/sig",), "sweeps/sigma_line_search.py"),
        (("sweeps/sigma_line_search.py", "--see"), "--seeds --seed"),
        (("sweeps/sigma_line_search.py", "--scale", ""), "demo paper"),
        pytest.param(
            ("sweeps/sigma_line_search.py", "--scale", "p"), "paper", marks=pytest.mark.slow
        ),
        # Several values, on several lines of the help.
        (("sweeps/sigma_line_search.py", "--seeds", "2", "--method", "gnt", "spe"), "speckle"),
        # Then bash offers files.
        (("sweeps/sigma_line_search.py", "--data-dir", ""), ""),
        pytest.param(("-m", "pytest", "tests/te"), "", marks=pytest.mark.slow),
    ],
)
def test_tab_offers(typed, offered):
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    asked = subprocess.run(
        ["bash", "-c", ASK, "bash", "python", *typed], capture_output=True, text=True, cwd=ROOT,
        env=os.environ | {"PATH": path, "COLUMNS": "80"},
    )  # fmt: skip
    assert (asked.stdout.strip(), asked.stderr) == (offered, "")
