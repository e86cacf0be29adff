"""Which rows of a batch one of several processes computes: every n-th, starting from a first.

Neighbours go to different processes, so that the parts of a batch (clean, noisy, replayed) are
shared evenly.
"""

import sys

EVERY_ROW = slice(0, None, 1)


def counted_from(rows: slice, first: int) -> slice:
    """Return ``rows`` of a batch as rows of its part that begins at row ``first``.

    Args:
        rows: ``slice(start, None, step)``.
        first: of the part's rows, at least 0.
    """
    start, _, step = rows.indices(sys.maxsize)
    return slice((start - first) % step, None, step)
