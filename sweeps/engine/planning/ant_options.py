"""The options of every sweep over adversarial noise training."""

import math
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, ValidationError

from gon_core.config import ANT
from search_spaces.parameter import Value
from sweeps.engine.cli.grids import WHOLE_NUMBER
from sweeps.engine.cli.options import MOST_GENERATOR_STEPS, SweepOptions
from sweeps.engine.planning.methods import at_scale, scale_name, scale_of
from sweeps.engine.planning.spec import with_values

Share = Annotated[float, Field(ge=0, le=1)]
RATES = {
    "pretraining_learning_rate": "alone",
    "generator_learning_rate": "beside the classifier",
}


def _interval(given: object) -> object:
    word = str(given).strip().lower()
    if given is None or word == "never":
        return given if given is None else word
    try:
        epochs = float(word)
    except ValueError:
        epochs = math.nan
    if not 0 < epochs < math.inf:
        raise ValueError("must be a number of epochs above 0, or never")
    return epochs


class AntOptions(SweepOptions):
    """The values of adversarial noise training that a sweep does not search."""

    methods: ClassVar[tuple[str, ...]] = ("ant_1x1", "ant_3x3", "ant_1x1_without_replay")
    groups: ClassVar[dict[str, tuple[str, ...]]] = {
        "training": (
            "epsilon", "kernel_size", "depth", "reset_interval", "generator_learning_rate",
            "clean_share", "past_share", "current_share", "pretraining_steps",
        )
    }  # fmt: skip

    epsilon: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="Size of the noise, an l2 norm on [0, 1] pixels. Default: 10 on MNIST.",
    )
    kernel_size: Annotated[Literal[1, 3], WHOLE_NUMBER] | None = Field(
        None, description="1: noise without spatial correlation; 3: over 3x3 pixels. Default: 1."
    )
    depth: Annotated[int, Field(ge=1, le=8)] | None = Field(
        None, description="Convolutions of the noise generator, 1 to 8. Default: 4."
    )
    reset_interval: Annotated[float | Literal["never"] | None, BeforeValidator(_interval)] = Field(
        None, description="Epochs after which a fresh generator takes over. Default: 0.33."
    )
    generator_learning_rate: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Learning rate of the generator's Adam. Default: by --scale."
    )
    clean_share: Share | None = Field(
        None, description="Share of each batch that stays clean. Default: 0.5."
    )
    past_share: Share | None = Field(
        None, description="Share with noise of past generators (experience replay). Default: 0.2."
    )
    current_share: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="Share with noise of the current generator. Default: the rest."
    )
    pretraining_steps: Annotated[int, Field(ge=0, le=MOST_GENERATOR_STEPS)] | None = Field(
        None, description="Steps that a fresh generator trains alone first. Default: by --scale."
    )

    def problems(self) -> dict[str, str]:
        """Return what is wrong between options, by option name."""
        found = super().problems()
        found |= self._method_conflicts()
        try:
            method = self.ant()
        except ValidationError as error:
            return found | self._fault(error)
        if (self.epsilon or 0) > (most := self.benchmark.strengths["ant_1x1"].high):
            found["epsilon"] = f"must be at most {most:g} on {self.benchmark.title}"
        batch = scale_of(self).training.batch_size
        for name in ("clean_share", "past_share"):
            share = getattr(method, name)
            if 0 < share < 1 / batch:
                found[name] = f"{share:g} of a batch of {batch} is not one image; 0 is for none"
        return found

    def _method_conflicts(self) -> dict[str, str]:
        method, plain = self.benchmark.methods[self.variant], self.benchmark.ant("ant_1x1")
        if not isinstance(method, ANT):
            rule = f"is of adversarial noise training, not of --method {self.variant}"
            return dict.fromkeys(self._given(), rule)
        found = {}
        for name in ("kernel_size", "past_share"):
            if getattr(method, name) == getattr(plain, name):
                continue
            if name in self.searched:
                found["method"] = f"{name} is what this sweep searches, given: {self.variant}"
            elif getattr(self, name) is not None:
                found[name] = f"is decided by --method {self.variant}"
        return found

    def _fault(self, error: ValidationError) -> dict[str, str]:
        (fault,) = error.errors()
        message = str(fault["msg"]).removeprefix("Value error, ")
        names = ("clean_share", "current_share", "past_share")
        if fault["loc"] == ("current_share",):
            message = "the clean and the past share leave no images to the current generator"
        elif "kernel_size" in message:
            names = ("kernel_size", "depth")
        return {next((name for name in names if name in self._given()), names[-1]): message}

    def _given(self) -> dict[str, Value]:
        """Return the fields of the method that were given, and are not searched."""
        return {
            name: value
            for name in AntOptions.groups["training"]
            if (value := getattr(self, name)) is not None and name not in self.searched
        }

    def ant(self) -> ANT:
        """Return the training method; what the sweep searches has the paper's value.

        Raises:
            ValidationError: shares that do not add up, or a 3x3 kernel without a second layer.
        """
        is_ant = isinstance(self.benchmark.methods[self.variant], ANT)
        variant = self.variant if is_ant else "ant_1x1"
        method = with_values(at_scale(variant, scale_name(self), self.benchmark), self._given())
        assert isinstance(method, ANT)
        return method

    def deviations(self) -> tuple[str, ...]:
        """Return what of the method deviates from the paper because of the scale."""
        method, paper, found = self.ant(), self.benchmark.ant("ant_1x1"), []
        if method.pretraining_steps < paper.pretraining_steps:
            found.append(
                f"a fresh generator is trained alone for {method.pretraining_steps} steps (the "
                f"paper's code: {paper.pretraining_steps:,})"
            )
        rates = [
            f"{getattr(method, name):g} {when} (the paper: {getattr(paper, name):g})"
            for name, when in RATES.items()
            if name not in self.searched and getattr(method, name) != getattr(paper, name)
        ]
        if rates:
            found.append(f"generator learning rate {', '.join(rates)}")
        return tuple(found)
