"""The runnable sweeps, one file a research question, and the engine they share.

``from sweeps import load`` opens a recorded sweep in Python.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweeps.engine.runs.loaded import LoadedSweep, load

__all__ = ["LoadedSweep", "load"]


def __getattr__(name: str) -> Any:
    if name in __all__:  # only then: it loads torch, and commands start without it
        from sweeps.engine.runs import loaded

        return getattr(loaded, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
