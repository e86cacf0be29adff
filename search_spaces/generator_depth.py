"""How deep, and with which kernels, is the best noise generator? (Table 11; Tables 1 and 2)

| parameter   | kind   | range  | unit         | paper |
| ----------- | ------ | ------ | ------------ | ----- |
| depth       | whole  | 1 to 5 | convolutions | 4     |
| kernel_size | choice | 1, 3   | pixels       | 1     |

The second convolution is the one that is 3x3: a generator of depth 1 has none.
"""

from collections.abc import Iterable

from search_spaces.parameter import Choice, Whole

DEPTH = Whole(name="depth", low=1, high=5, unit="convolutions", paper=4)
KERNEL_SIZE = Choice(name="kernel_size", values=(1, 3), unit="pixels", paper=1)


def rows(
    depths: Iterable[int] | None = None, kernel_sizes: Iterable[int] | None = None
) -> tuple[tuple[int, int], ...]:
    """Return the points (depth, kernel size): by default Table 11's, then 3x3 kernels as deep."""
    every_depth = sorted(depths or range(DEPTH.low, DEPTH.high + 1))
    kernels = sorted(kernel_sizes or (1, 3))
    return tuple((d, k) for k in kernels for d in every_depth if (d, k) != (1, 3))
