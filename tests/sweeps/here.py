"""A script's ``main`` run in this process: its trials as well, without Ray, and small figures."""

import importlib
import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from types import MappingProxyType

import pytest
from matplotlib.figure import Figure

from sweeps.engine import report
from sweeps.engine.backend.in_process import InProcess
from sweeps.engine.report.figures import style
from sweeps.engine.runs import sweep

PIXEL = style.render("pixel", lambda: Figure(figsize=(0.1, 0.1)), ("png",), dpi=20)["pixel.png"]


def run_here(folder, script, *arguments, patched=MappingProxyType({}), draws=True):
    """Run a script as its command does.

    Args:
        folder: the working directory.
        script: of ``sweeps/``.
        arguments: of the command.
        patched: what stands in for something meanwhile, by its dotted name.
        draws: whether the report's figures are drawn, half of the time of a small sweep; else
            each is one pixel, where another test draws those of such a sweep.

    Returns:
        The exit code, and all that it printed.
    """
    printed = io.StringIO()
    module = importlib.import_module(f"sweeps.{script}")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("COLUMNS", "100")
        patch.setattr(sys, "argv", [f"sweeps/{script}.py", *map(str, arguments)])
        patch.setattr(sweep, "run_sweep", partial(sweep.run_sweep, backend=InProcess))
        patch.setattr(report, "render", render_small if draws else render_nothing)
        for name, value in patched.items():
            patch.setattr(name, value)
        with redirect_stdout(printed), redirect_stderr(printed):
            try:
                code = module.main()
            except SystemExit as refused:
                code = refused.code
    return code, printed.getvalue()


def render_small(name, draw):
    """Return a figure as a small PNG; ``test_one_sweep`` and the tests of ``style`` make SVGs."""
    return style.render(name, draw, ("png",), dpi=20) | {f"{name}.svg": b"<svg/>"}


def render_nothing(name, draw):
    """Return an empty figure, for a test that looks at something else of a sweep."""
    return {f"{name}.png": PIXEL, f"{name}.svg": b"<svg/>"}


def repeat_here(sweep, *arguments, patched=MappingProxyType({}), draws=True):
    """Run the command of a ``tests.sweeps.faults.Sweep``, with further arguments."""
    script = Path(sweep.command[1]).stem
    words = (*sweep.command[2:], *arguments)
    return run_here(sweep.cwd, script, *words, patched=patched, draws=draws)
