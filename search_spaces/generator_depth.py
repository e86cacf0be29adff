"""How deep, and with which kernels, is the best noise generator? (Table 11; Tables 1 and 2)

| parameter   | kind   | range  | unit         | paper |
| ----------- | ------ | ------ | ------------ | ----- |
| depth       | whole  | 1 to 5 | convolutions | 4     |
| kernel_size | choice | 1, 3   | pixels       | 1     |

The second convolution is the one that is 3x3: a generator of depth 1 has none.
"""

from search_spaces.parameter import Choice, Whole

DEPTH = Whole(name="depth", low=1, high=5, unit="convolutions", paper=4)
KERNEL_SIZE = Choice(name="kernel_size", values=(1, 3), unit="pixels", paper=1)

# Every row of Table 11, then the same depths with 3x3 kernels.
GRID = ((1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (2, 3), (3, 3), (4, 3), (5, 3))
