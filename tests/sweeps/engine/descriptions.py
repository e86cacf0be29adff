"""What ``sweep.json`` says of made-up sweeps."""

from sweeps.engine.records import SweepDescription
from tests.spaces import SIGMA


def describe(**changes) -> SweepDescription:
    """Return the description of a search for sigma with one point and one seed."""
    return SweepDescription.model_validate(
        {
            "name": "mine", "experiment": "sigma", "title": "Which sigma?",
            "created": "2026-01-01", "scale": "demo", "search": "line", "parameters": (SIGMA,),
            "objectives": ("corrupted",), "seeds": (0,), "grid": ((0.5,),),
            "code": {"git_sha": "abc", "dirty": False}, "data_digest": "d1",
        }
        | changes
    )  # fmt: skip
