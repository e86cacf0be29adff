"""Which sigma of Gaussian noise training? (section 4.2 of the paper and its Fig. 2; on MNIST)

| parameter | kind | range  | step | unit          | paper |
| --------- | ---- | ------ | ---- | ------------- | ----- |
| sigma     | real | 0 to 2 | 0.01 | [0, 1] pixels | 0.5   |
"""

from gon_core.benchmarks.mnist import MNIST
from search_spaces.strength import strength

SIGMA = strength(MNIST, "gnt")

PAPER_GRID = MNIST.strengths["gnt"].paper_grid
COARSE_GRID = MNIST.strengths["gnt"].coarse_grid
