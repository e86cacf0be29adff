"""The options of every sweep over adversarial noise training."""

import math
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationError, field_validator

from gon_core.config import ANT
from sweeps.engine.cli.options import MOST_GENERATOR_STEPS, SweepOptions
from sweeps.engine.planning.scales import scale_of

Share = Annotated[float, Field(ge=0, le=1)]
SHARES = {name: ANT.model_fields[name].default for name in ("clean_share", "past_share")}


class AntOptions(SweepOptions):
    """What adversarial noise training can be asked for beside what a sweep searches."""

    methods: ClassVar[tuple[str, ...]] = ("ant_1x1", "ant_3x3", "ant_1x1_without_replay")
    searched: ClassVar[dict[str, str]] = {}
    """By option that the sweep searches itself, the option that says where; "" if none does."""

    epsilon: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Size of the noise, l2 norm on [0, 1] pixels. Default: 10, the paper's."
    )
    kernel_size: Literal[1, 3] | None = Field(
        None, description="1: noise without spatial correlation; 3: over 3x3 pixels. Default: 1."
    )
    depth: Annotated[int, Field(ge=1, le=8)] | None = Field(
        None, description="Convolutions of the noise generator, 1 to 8. Default: 4."
    )
    reset_interval: Annotated[float, Field(gt=0)] | Literal["never"] | None = Field(
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

    @field_validator("kernel_size", mode="before")
    @classmethod
    def _kernel_size_is_a_number(cls, given: object) -> object:
        return int(given) if isinstance(given, str) and given.isdigit() else given

    @field_validator("reset_interval", mode="before")
    @classmethod
    def _reset_interval(cls, given: object) -> object:
        return interval(given)

    def problems(self) -> dict[str, str]:
        """Return what is wrong between options, by option name."""
        found = super().problems()
        for name, instead in self.searched.items():
            if getattr(self, name, None) is not None:
                found[name] = "is what this sweep searches" + (f": give {instead}" * bool(instead))
        found |= self._method_conflicts()
        given = {name: getattr(self, name) for name in SHARES}
        clean, past = (
            default if given[name] is None else given[name] for name, default in SHARES.items()
        )
        if clean + past >= 1 and self.current_share is None:
            rule = f"clean {clean:g} and past {past:g} leave no images to the current generator"
            return found | {"clean_share" if self.clean_share is not None else "past_share": rule}
        try:
            method = self.ant()
        except ValidationError as error:
            faults = error.errors()
            messages = [str(fault["msg"]).removeprefix("Value error, ") for fault in faults]
            layers = "kernel_size" in messages[0]
            names = ("kernel_size", "depth") if layers else ("clean_share", "current_share")
            given_one = [name for name in names if getattr(self, name) is not None]
            return found | {(given_one or ["past_share"])[0]: "; ".join(messages)}
        batch = scale_of(self).training.batch_size
        for name in ("clean_share", "past_share"):
            share = getattr(method, name)
            if 0 < share < 1 / batch:
                found[name] = f"{share:g} of a batch of {batch} is not one image; 0 asks for none"
        return found

    def _method_conflicts(self) -> dict[str, str]:
        if not isinstance(self.benchmark.methods[self.variant], ANT):
            rule = f"is of adversarial noise training, not of --method {self.variant}"
            names = set(AntOptions.model_fields) & set(ANT.model_fields) - {"method"}
            return {name: rule for name in names if getattr(self, name) is not None}
        special = {"ant_3x3": "kernel_size", "ant_1x1_without_replay": "past_share"}
        if (name := special.get(self.variant)) in self.searched:
            return {"method": f"{name} is what this sweep searches, given: {self.variant}"}
        rule = f"is decided by --method {self.variant}"
        decided = self._of_variant().keys() - {"epsilon"}
        return {name: rule for name in decided if getattr(self, name) is not None}

    @property
    def _paper(self) -> ANT:
        return self.benchmark.ant("ant_1x1")

    def ant(self) -> ANT:
        """Return the training method; what the sweep searches has the paper's value.

        Raises:
            ValidationError: shares that do not add up, or a 3x3 kernel without a second layer.
        """
        given = {
            name: value
            for name in ANT.model_fields
            if name != "method"
            and (value := getattr(self, name, None)) is not None
            and name not in self.searched
        }
        reduced = scale_of(self).methods.get("ant", {})
        values: dict[str, Any] = self._of_variant() | dict(reduced) | given
        if "current_share" not in values:
            clean, past = (values.get(*share) for share in SHARES.items())
            values["current_share"] = round(1 - clean - past, 10)
        return ANT(**values)

    def _of_variant(self) -> dict[str, Any]:
        """Return in which fields the method is not plain ANT, where the sweep searches none."""
        method, plain = self.benchmark.methods[self.variant], self._paper
        if not isinstance(method, ANT):
            return {"epsilon": plain.epsilon}
        names = ("epsilon", "kernel_size", "past_share")
        return {
            name: getattr(method, name)
            for name in names
            if name == "epsilon"
            or (getattr(method, name) != getattr(plain, name) and name not in self.searched)
        }

    def deviations(self) -> tuple[str, ...]:
        """Return what of the method deviates from the paper because of the scale."""
        method, paper = self.ant(), self._paper
        deviations = []
        if method.pretraining_steps < paper.pretraining_steps:
            deviations.append(
                f"a fresh generator is trained alone for {method.pretraining_steps} steps (the "
                f"paper's code: {paper.pretraining_steps:,})"
            )
        names = {
            "pretraining_learning_rate": "alone",
            "generator_learning_rate": "beside the classifier",
        }
        rates = [
            f"{getattr(method, name):g} {when} (the paper: {getattr(paper, name):g})"
            for name, when in names.items()
            if name not in self.searched and getattr(method, name) != getattr(paper, name)
        ]
        if rates:
            deviations.append(f"generator learning rate {', '.join(rates)}")
        return tuple(deviations)


def interval(given: object) -> object:
    """Return a reset interval: ``never`` as it is, all else for pydantic to judge as a number."""
    if isinstance(given, str) and given.strip().lower() == "never":
        return "never"
    try:
        epochs = float(str(given))
    except ValueError:
        epochs = math.nan
    if given is not None and not 0 < epochs < math.inf:
        raise ValueError("must be a number of epochs above 0, or never")
    return None if given is None else epochs
