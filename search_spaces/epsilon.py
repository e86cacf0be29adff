"""How large is the best epsilon sphere? (appendix B: "determined with a line search"; on MNIST)

| parameter | kind | range   | step | unit                   | paper |
| --------- | ---- | ------- | ---- | ---------------------- | ----- |
| epsilon   | real | 1 to 18 | 0.1  | l2 norm, [0, 1] pixels | 10    |
"""

from gon_core.benchmarks.mnist import MNIST
from search_spaces.strength import strength

EPSILON = strength(MNIST, "ant_1x1")
