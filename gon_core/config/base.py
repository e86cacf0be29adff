"""The base of all configuration, the kinds of numbers in it, and the hash that names it."""

import hashlib
import json
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

PositiveInt = Annotated[int, Field(ge=1)]
PositiveFloat = Annotated[float, Field(gt=0)]
UnsignedZero = AfterValidator(abs)  # -0.0 means the same as 0.0: it must not name another trial


class Frozen(BaseModel):
    """Base of all configuration: immutable, no unknown keys, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def content_hash(config: Frozen) -> str:
    """Return 12 hexadecimal digits of the SHA-256 of ``config``'s canonical JSON."""
    canonical = json.dumps(config.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]
