"""Does robustness from noise carry over to other networks? (Tables 8 and 10 of the paper)

Every method on every network, each from weights of its own: those of --weights-of, or a vanilla
model that is trained first. On ImageNet ResNet-50 and DenseNet-121; with --image-size 299
InceptionV3 and the methods of Table 8.
"""

if __name__ == "__main__":
    from sweeps.engine.system.signals import end_on_signals

    end_on_signals()

from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from gon_core import architectures
from search_spaces.backbones import OF_TABLE_8, models, points, space, variants
from search_spaces.parameter import papers_point
from sweeps.engine.cli.grids import distinct
from sweeps.engine.cli.options import SweepOptions
from sweeps.engine.planning import methods
from sweeps.engine.planning.plan import grid_problems
from sweeps.engine.planning.spec import SweepSpec
from sweeps.engine.runs.script import Script
from sweeps.engine.system.leaving import leave


class Options(SweepOptions):
    """The options of every sweep; here --method takes several, and each network has weights."""

    several_methods: ClassVar[bool] = True
    searched: ClassVar[dict[str, str]] = {"model": "--models", "weights": "--weights-of"}

    models: Annotated[tuple[str, ...], AfterValidator(distinct(architectures.known))] = Field(
        (), description="Networks to compare. Default: by the size of the images."
    )
    weights_of: tuple[str, ...] = Field(
        (), description="NAME=FILE for each network. Default: a vanilla training of each."
    )

    @property
    def networks(self) -> tuple[str, ...]:
        """The classifiers that are trained, by name."""
        return self.models or models(self.benchmark, methods.scale_name(self))

    @property
    def files_of_weights(self) -> tuple[tuple[str | None, Path], ...]:
        """The files that trials start from, each with the name of its classifier."""
        pairs = (pair.partition("=") for pair in self.weights_of)
        found = {name: Path(file) for name, _, file in pairs}
        return tuple((name, found[name]) for name in self.networks if name in found)

    def problems(self) -> dict[str, str]:
        """Return what is wrong between options, by option name."""
        found, given = super().problems(), [pair.partition("=") for pair in self.weights_of]
        names, networks = [name for name, _, _ in given], self.networks
        faults = [f"{name}: must be NAME=FILE" for name, _, file in given if not file]
        faults += [f"{name}: is none of {', '.join(networks)}" for name in {*names} - {*networks}]
        faults += [f"{name}: given twice" for name in {*names} if names.count(name) > 1]
        faults += [f"{name}: has none" for name in networks if names and name not in names]
        return found | ({"weights_of": "; ".join(sorted(faults))} if faults else {})


def spec(options: Options) -> SweepSpec:
    """Return what is searched, and where."""
    scale, benchmark = methods.scale_name(options), options.benchmark
    names = options.method or tuple(
        name for name in variants(benchmark) if name in (*options.trained, *OF_TABLE_8)
    )
    known = [name for name in names if name in benchmark.methods]
    compared = {name: methods.at_scale(name, scale, benchmark) for name in known}
    parameters = space(benchmark, names)
    searched = SweepSpec(
        name="backbones",
        title="Does robustness from noise carry over to other networks?",
        space=parameters,
        search="grid",
        grid=points(options.networks, names),
        compared={name: compared.get(name) or OF_TABLE_8[name] for name in names},
        deviations=methods.deviations(known, scale, benchmark),
        published=methods.published_rows(
            {name: (*(papers_point(parameters[:1]) or ()), name) for name in names}, benchmark
        ),
    )
    table = "8" if benchmark.image_shape[-1] == 299 else "10"
    beside = methods.printed_rows(table, searched, options)
    return replace(searched, published={"rows": beside}) if beside else searched


SWEEP = Script(Options, __doc__, spec, grid_problems)
main = SWEEP.main

if __name__ == "__main__":
    leave(main)
