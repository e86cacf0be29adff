"""Sweeps with made-up results, of each kind."""

from contextlib import contextmanager
from functools import cache

import matplotlib
import pytest

from gon_core.config import GNT
from sweeps.engine import report
from sweeps.engine.report import write_report
from sweeps.engine.report.figures.style import STYLE
from sweeps.engine.report.pages import html
from tests.spaces import EPSILON
from tests.sweeps.engine.report.made_up import (
    ANT_AT_033,
    ANT_AT_10,
    JOINT,
    SPACES,
    TABLE_11,
    depth_grid,
    earlier_points,
    epsilon_line,
    joint_search,
    noise_file,
    reset_grid,
    result,
    write_sweep,
)

EMPTY = {"png": b"\x89PNG", "svg": b"<svg/>"}


@pytest.fixture(autouse=True, scope="module")
def figures_are_not_drawn():
    """Let reports be written without the seconds of their figures: most tests read the words."""

    def render(name, draw, endings=("png", "svg"), dpi=0):
        return {f"{name}.{ending}": EMPTY[ending] for ending in endings}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "render", render)
        # Nor has each page the five megabytes of the script that draws its charts.
        patch.setattr(html, "get_plotlyjs", lambda: "/* plotly */")
        yield


@contextmanager
def drawing():
    """Draw figures meanwhile, but encode none; the sweeps of ``tests/sweeps`` write real ones."""

    def render(name, draw, endings=("png", "svg"), dpi=0):
        with matplotlib.rc_context(STYLE):
            draw()
        return {f"{name}.{ending}": EMPTY[ending] for ending in endings}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "render", render)
        yield


@pytest.fixture(scope="module")
def figures_are_drawn(figures_are_not_drawn):
    with drawing():
        yield


@pytest.fixture(scope="session")
def noise():
    """Return the content of a noise.safetensors."""
    return noise_file()


@pytest.fixture
def make_sweep(tmp_path):
    """Return a function that writes a sweep of (sigma, seed, status, top1 or None)."""

    def make(trials, **changes):
        results = [result(GNT(sigma=sigma), *rest) for sigma, *rest in trials]
        return write_sweep(tmp_path / "sweep", results, **changes)

    return make


@pytest.fixture
def make_ant_sweep(tmp_path):
    """Return a function that writes a sweep of results, by default one along epsilon."""

    def make(results, space=(EPSILON,), noise=None, published=ANT_AT_10, **changes):
        return write_sweep(
            tmp_path / "sweep", results, noise, space=space, published=published, **changes
        )

    return make


@pytest.fixture
def line_search():
    """Return a whole search: seven values, three seeds, four trials that were lost."""
    means = {0.0: 78.5, 0.2: 82.0, 0.38: 85.0, 0.5: 86.5, 0.7: 86.3, 0.9: 85.9, 1.2: 84.0}
    lost = {(1.2, 1): "pruned", (1.2, 2): "pruned", (0.9, 0): "diverged", (0.2, 2): "failed"}
    noise = (-0.3, 0.0, 0.4)
    return [
        (sigma, seed, lost[sigma, seed], None)
        if (sigma, seed) in lost
        else (sigma, seed, "max_epochs" if sigma < 0.6 else "converged", mean + noise[seed])
        for sigma, mean in means.items()
        for seed in range(3)
    ]


KINDS = {
    "epsilon": (epsilon_line, {"space": (EPSILON,), "published": ANT_AT_10}),
    "depth": (depth_grid, {"search": "grid", "space": SPACES["depth"], "published": TABLE_11}),
    "reset": (reset_grid, {"search": "grid", "space": SPACES["reset"], "published": ANT_AT_033}),
    "joint": (joint_search, JOINT | {"seeds": 1, "known": earlier_points(1)}),
    "front": (
        lambda: joint_search(8, 2),
        JOINT | {"seeds": 2, "known": earlier_points(2), "objectives": ["clean", "corrupted"]},
    ),
}


@pytest.fixture(scope="session")
def sweeps(tmp_path_factory, noise):
    """Return a function from a name in ``KINDS`` to a sweep with its report, to be read only."""

    @cache
    def make(name):
        results, changes = KINDS[name]
        records = write_sweep(tmp_path_factory.mktemp("sweeps") / name, results(), noise, **changes)
        with drawing():
            write_report(records)
        return records

    return make
