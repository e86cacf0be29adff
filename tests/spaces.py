"""What is searched on MNIST, which most tests are about."""

from gon_core.benchmarks.mnist import MNIST
from search_spaces.joint import space
from search_spaces.strength import strength

SIGMA, EPSILON = strength(MNIST, "gnt"), strength(MNIST, "ant_1x1")
PAPER_GRID, COARSE_GRID = MNIST.strengths["gnt"].paper_grid, MNIST.strengths["gnt"].coarse_grid
JOINT_SPACE = space(MNIST)
