"""A sweep that grows: what may be added to a recorded one, and what makes it another sweep."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter

from gon_core.config import Trained, TrainingConfig
from search_spaces.parameter import Point
from sweeps.engine.cli.options import SweepOptions
from sweeps.engine.planning.plan import GROWING, Plan, default_proposals, resources_for
from sweeps.engine.planning.spec import SweepSpec
from sweeps.engine.records import SweepDescription

METHOD: TypeAdapter[Trained] = TypeAdapter(Trained)
OPTIONS = {
    "scale": "scale",
    "data.dataset": "dataset",
    "data.folder.image_size": "image_size",
    "data.folder": "data_dir",
    "data.stylized": "stylized_dir",
    "data.sample": None,  # it follows from others
    "data": "",  # each field is an option of its own
    "starts": "models",
    "from_scratch": "start_epochs",
    "start.model": "model",
    "start.weights": "weights",
    "start.training.max_epochs": "start_epochs",
    "start.training.precision": "precision",
    "training.max_epochs": "max_epochs",
    "training.batch_size": "batch_size",
    "training.decays": "decays",
    "epochs": "max_epochs",
    "training.precision": "precision",
    "start.training.compiled": "compile",
    "training.compiled": "compile",
    "training.batch_norm_parts": "batch_norm",
    "evaluation.measures": "evaluate",
    "evaluation.images": "evaluation_images",
    "evaluation.left_out": "frost_dir",
    "evaluation.corruption_set": "corrupted_dir",
    "evaluation.objective": "objective",
    "fixed": "",
    "sampler": "sampler",
    "scheduler": "scheduler",
    "objectives": "objectives",
    "warm_start": "warm_start",
}
"""By field of a sweep's config, the option that decides it; "" where the last part is its name."""
DECIDES_OTHERS = ("experiment", "dataset", "scale", "method")
"""Options that many fields depend on: where one differs, what follows from it is not listed."""


def grown(plan: Plan, recorded: SweepDescription, options: SweepOptions) -> Plan:
    """Return a plan with all that is recorded under its name as well: more points, more seeds.

    It has the points, seeds and baselines of both, and the larger number of proposals. The two are
    of one sweep, see ``conflicts``.
    """
    config, spec = plan.config, _joined(plan.spec, recorded)
    grid = tuple(dict.fromkeys((*recorded.grid, *config.grid)))
    baselines = {name: method.model_dump(mode="json") for name, method in spec.baselines.items()}
    changes = {
        "grid": grid,
        "seeds": tuple(sorted({*recorded.seeds, *config.seeds})),
        "proposals": max(recorded.proposals, default_proposals(spec, options, grid)),
        "baselines": baselines,
        "recipes": {**_recipes(recorded), **config.recipes},
        "random_starts": tuple(
            dict.fromkeys((*recorded.config.get("random_starts", ()), *config.random_starts))
        ),
        "fixed": spec.fixed(),
    }
    config = config.model_copy(update=changes)
    return replace(
        plan, spec=replace(spec, grid=grid), config=config,
        resources=resources_for(spec, options, config),
    )  # fmt: skip


def _recipes(recorded: SweepDescription) -> dict[str, TrainingConfig]:
    found = recorded.config.get("recipes", {})
    return {name: TrainingConfig.model_validate(each) for name, each in found.items()}


def _joined(spec: SweepSpec, recorded: SweepDescription) -> SweepSpec:
    """Return a spec with the methods of a recorded sweep as well."""
    baselines = {name: METHOD.validate_python(each) for name, each in recorded.baselines.items()}
    compared = {}
    if spec.method is None:
        fixed = recorded.config.get("fixed", {})
        compared = {name: METHOD.validate_python(each) for name, each in fixed.items()}
    return replace(
        spec,
        baselines={**baselines, **spec.baselines},
        compared={**compared, **spec.compared},
        published=_published(recorded.published, spec.published),
    )


def _published(
    before: Mapping[str, Any] | None, now: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """Return where the paper's figures of two sweeps stand."""
    if before is None or now is None:
        return dict(now or before or {}) or None
    rows = {tuple(row["point"]): row for each in (before, now) for row in each.get("rows", ())}
    return {**before, **now, **({"rows": list(rows.values())} if rows else {})}


def conflicts(plan: Plan, recorded: SweepDescription, data_digest: str) -> list[str]:
    """Return what makes a plan another sweep than the recorded one of its name: a line an option.

    Args:
        plan: before it has grown.
        recorded: what ``sweep.json`` says.
        data_digest: SHA-256 of the plan's data set; "" where it is not known.
    """
    grows = {*GROWING, *(("fixed",) if plan.spec.method is None else ())}
    now = plan.config.model_dump(mode="json")
    before, after = (dict(_leaves(each, grows)) for each in (recorded.config, now))
    found: dict[str, str] = {}
    unexplained = []
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) == after.get(path):
            continue
        text = f"recorded {_show(before.get(path))}, now {_show(after.get(path))}"
        if (option := _option(path)) is None:
            unexplained.append(f"{path}: {text}")
        else:
            found.setdefault(option, text)
    for name in DECIDES_OTHERS:
        if name in found:
            what = "the sweep" if name == "experiment" else f"--{name}"
            return [f"{what}: {found[name]}"]
    lines = [f"--{name.replace('_', '-')}: {text}" for name, text in found.items()] or unexplained
    if not lines and data_digest not in ("", recorded.data_digest):
        lines = ["--data-dir: the images are not those of the recorded trials (SHA-256 differs)"]
    return lines


def _leaves(value: Any, leave_out: set[str], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the fields of a config with their dotted names."""
    if not isinstance(value, Mapping):
        yield path, value
        return
    for name, each in value.items():
        if path or name not in leave_out:
            yield from _leaves(each, leave_out, f"{path}.{name}" if path else name)


def _option(path: str) -> str | None:
    """Return the option that decides a field; None if none is known to."""
    if path == "experiment":
        return path
    below = path
    while below and below not in OPTIONS:
        below = below.rpartition(".")[0]
    if not below or (name := OPTIONS[below]) is None:
        return None
    return name or path.rpartition(".")[2]


def _show(value: Any) -> str:
    if value is None:
        return "the default"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def added(plan: Plan, recorded: SweepDescription) -> str:
    """Return how a recorded sweep grows by a plan that has all of it; empty if it does not."""
    values: list[str] = []
    points: list[Point] = [p for p in plan.config.grid if p not in set(recorded.grid)]
    if points:
        values.append("points " + ", ".join("/".join(map(str, point)) for point in points))
    if names := [name for name in plan.spec.baselines if name not in recorded.baselines]:
        values.append(f"baselines {', '.join(names)}")
    if seeds := [seed for seed in plan.config.seeds if seed not in recorded.seeds]:
        values.append(f"seeds {', '.join(map(str, seeds))}")
    if (more := plan.config.proposals - recorded.proposals) > 0:
        values.append(f"{more} proposal{'s' * (more > 1)}")
    return f"Sweep {plan.name} grows by {'; '.join(values)}." if values else ""
