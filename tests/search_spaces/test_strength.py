"""The grids of sigma against the published curve."""

from gon_core import paper
from tests.spaces import COARSE_GRID, PAPER_GRID, SIGMA


def test_the_papers_grid_is_its_curve_and_no_noise():
    assert list(PAPER_GRID) == [0.0, *paper.load("mnist_c_vs_sigma")["sigma"].to_pylist()]


def test_the_coarse_grid_is_part_of_it_and_spans_it():
    assert set(COARSE_GRID) <= set(PAPER_GRID)
    assert (COARSE_GRID[0], COARSE_GRID[-1]) == (PAPER_GRID[0], PAPER_GRID[-1])
    assert SIGMA.paper in COARSE_GRID


def test_grids_rise_on_the_steps_within_the_range():
    steps = SIGMA.steps(SIGMA.low, SIGMA.high)
    for grid in (PAPER_GRID, COARSE_GRID):
        assert list(grid) == sorted(set(grid)) and set(grid) <= set(steps)
