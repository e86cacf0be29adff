"""The base of all configuration, the kinds of numbers in it, and the hash that names it."""

import hashlib
import json
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_serializer

PositiveInt = Annotated[int, Field(ge=1)]
PositiveFloat = Annotated[float, Field(gt=0)]
UnsignedZero = AfterValidator(abs)  # -0.0 means the same as 0.0: it must not name another trial
Share = Annotated[float, Field(ge=0, le=1), UnsignedZero]
WHOLE = {"whole": True}


class Frozen(BaseModel):
    """Base of all configuration: immutable, no unknown keys, no NaN or infinity.

    Its JSON leaves out the fields that have their default, so that a new field renames no trial.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    always_in_json: ClassVar[frozenset[str]] = frozenset()
    """The fields that JSON has even at their default."""

    @model_serializer(mode="wrap")
    def _without_defaults(self, dump: Any, info: Any) -> dict[str, Any]:
        values = dump(self)
        if info.mode != "json" or info.context == WHOLE:
            return values
        return {
            name: value
            for name, value in values.items()
            if name in self.always_in_json or not self._has_default(name)
        }

    def _has_default(self, name: str) -> bool:
        field = type(self).model_fields[name]
        default = field.default  # get_default() would copy it; of a required field nothing is equal
        if field.default_factory is not None:
            default = field.get_default(
                call_default_factory=True, validated_data=dict(self.__dict__)
            )
        return getattr(self, name) == default


class MethodConfig(Frozen):
    """Base of the training methods; each has its own name under ``method``."""

    always_in_json: ClassVar[frozenset[str]] = frozenset({"method"})

    @property
    def variant(self) -> str:
        """The method's name in tables, which is different for variants of one method."""
        return str(self.model_dump()["method"])

    @property
    def uses_stylized(self) -> bool:
        """Whether it trains on stylised images too."""
        return False


def whole(config: Frozen) -> dict[str, Any]:
    """Return all fields of ``config`` as JSON has them, also those that have their default."""
    return config.model_dump(mode="json", context=WHOLE)


def content_hash(config: Frozen) -> str:
    """Return 12 hexadecimal digits of the SHA-256 of ``config``'s canonical JSON."""
    canonical = json.dumps(config.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]
