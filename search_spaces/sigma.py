"""Which sigma of Gaussian noise training? (section 4.2 of the paper and its Fig. 2)

| parameter | kind | range  | step | unit          | paper |
| --------- | ---- | ------ | ---- | ------------- | ----- |
| sigma     | real | 0 to 2 | 0.01 | [0, 1] pixels | 0.5   |
"""

from search_spaces.parameter import Real

SIGMA = Real(name="sigma", low=0.0, high=2.0, step=0.01, unit="[0, 1] pixels", paper=0.5)

# Every sigma of Fig. 2 (checked by a test against gon_core/paper), and 0: no noise at all.
PAPER_GRID = (0.0, 0.08, 0.1, 0.12, 0.18, 0.2, 0.26, 0.38, 0.5, 0.6, 0.7, 0.8, 0.9, 1.2)

# The same range, coarsely; Optuna refines around the best of these.
COARSE_GRID = (0.0, 0.2, 0.5, 0.8, 1.2)
