"""Two scales: minutes on two cores, or the paper's."""

from gon_core.benchmarks import Scale, ScaleName
from sweeps.engine.cli.options import SweepOptions
from sweeps.engine.resources import resources


def scale_name(options: SweepOptions) -> ScaleName:
    """Return the scale that was asked for: by default the paper's where there is a GPU."""
    on_gpus = resources.capacity(options).largest.gpus or (
        options.address and options.gpus_per_trial
    )
    return options.scale or ("paper" if on_gpus else "demo")


def scale_of(options: SweepOptions) -> Scale:
    """Return how much is run, of the benchmark at the scale that was asked for."""
    return options.benchmark.scales[scale_name(options)]
