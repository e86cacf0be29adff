"""The nearest legal name, for messages about an unknown one."""

import difflib
from collections.abc import Iterable


def nearest(name: object, legal: Iterable[str]) -> str:
    """Return the one of ``legal`` that is spelled most like ``name``, in quotes."""
    return repr(difflib.get_close_matches(str(name), list(legal), n=1, cutoff=0.0)[0])
