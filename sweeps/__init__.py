"""The runnable sweeps, one file a research question, and the engine they share.

``from sweeps import Sweep, load``: run a sweep from Python, and open a recorded one.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweeps.engine.report.loaded import LoadedSweep, load
    from sweeps.engine.runs.python import Sweep

__all__ = ["LoadedSweep", "Sweep", "load"]


def __getattr__(name: str) -> Any:
    if name in __all__:  # only then: it loads torch, and commands start without it
        from sweeps.engine.report import loaded
        from sweeps.engine.runs import python

        return python.Sweep if name == "Sweep" else getattr(loaded, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
