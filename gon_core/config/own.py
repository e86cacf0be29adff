"""A training function that a user wrote."""

from typing import Literal

from pydantic import Field

from gon_core.config.base import MethodConfig


class OwnFunction(MethodConfig):
    """A user's own training function: only its name, its source and its values are known.

    Attributes:
        name: what tables call it.
        sha256: of its source, so that a changed function is another trial.
        values: what it is called with, by name.
    """

    method: Literal["function"] = "function"
    name: str
    sha256: str
    values: dict[str, float | int | str] = Field(default_factory=dict)

    @property
    def variant(self) -> str:
        """Its name."""
        return self.name
