"""From values in [0, 1] to grey levels, as the published sets were stored."""

from jaxtyping import Float, UInt8
from torch import Tensor, uint8

# Of a grey level. The published arithmetic has 53 bits, this has 24: a whole level, such as a
# white that a blur leaves white, must not fall to the next by rounding.
SLACK = 2.0**-13


def to_levels(values: Float[Tensor, "*shape"]) -> UInt8[Tensor, "*shape"]:
    """Return clipped values as grey levels, rounded down."""
    return (values * 255).add_(SLACK).clamp_(0, 255).to(uint8)
