"""A bad configuration or folder: what is typed and lies about, and what the refusal must say."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from safetensors.torch import save

from gon_core.models.wong_cnn import wong_small
from sweeps import sigma_line_search
from sweeps.engine.planning import plan
from sweeps.engine.planning.strength import line_spec
from sweeps.engine.records import SweepRecords
from sweeps.engine.records.storage import Folder
from sweeps.engine.runs import sweep

SWEEPS = (
    "sigma_line_search", "epsilon_sphere", "generator_depth", "generator_reset_interval",
    "experience_replay", "joint_search", "method_comparison", "training_recipe", "backbones",
)  # fmt: skip
SIGMA, EPSILON, DEPTH, RESET, REPLAY, JOINT, METHODS, RECIPE, BACKBONES = SWEEPS
EVAL = "evaluate_checkpoint"
REPORT = "engine.report.__main__"
CHECK = "engine.records.__main__"
TRACKING = "engine.tracking.__main__"
COMMAND_MODULES = (REPORT, CHECK, TRACKING)
NESTED = "[" * 100_000  # beyond all depth
SWEEP_JSON = "results/taken/sweep.json"


@dataclass(frozen=True)
class Case:
    """What is typed and lies about, and what the refusal must say.

    Attributes:
        script: module below ``sweeps``.
        arguments: as typed in a shell.
        says: parts of the message; the key is among them.
        config: content of the file ``config.yaml``, which the arguments then name.
        prepare: makes files in the working directory.
        problems: how many the message lists.
    """

    script: str
    arguments: str
    says: tuple[str, ...]
    config: str | bytes | None = None
    prepare: Callable[[Path], object] | None = None
    problems: int = 1


def case(script, arguments, *says, marks=(), **given):
    name = " ".join([script, arguments, str(given.get("config", ""))[:60]])
    return pytest.param(Case(script, arguments, says, **given), id=name.strip(), marks=marks)


def file(name: str, content: str | bytes = "x"):
    """Return a function that makes one file."""

    def prepare(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    return prepare


def folder(name: str):
    """Return a function that makes an empty folder."""
    return lambda root: (root / name).mkdir(parents=True)


def all_of(*prepared):
    """Return a function that calls these, one after another."""
    return lambda root: [prepare(root) for prepare in prepared]


def recorded(name: str = "taken", **changes):
    """Return a function that makes the folder of a sweep with one sigma and one seed."""

    def prepare(root: Path) -> None:
        options = sigma_line_search.Options.model_validate(
            {"sigmas": "0.5", "seeds": 1, "num_trials": 0, "scale": "demo", "name": name}
        )
        made = plan.make_plan(line_spec(options, [0.5]), options)
        digest = plan.data_digest("mnist", None)
        description = sweep.describe_sweep(made, options, digest).model_copy(update=changes)
        SweepRecords(Folder(str(root / "results" / name))).write_sweep(description)

    return prepare


def good(root: Path) -> None:
    """Make weights with which nothing is wrong."""
    (root / "good").write_bytes(wong_weights())


def wong_weights(**changes) -> bytes:
    state = {name: tensor.clone() for name, tensor in wong_small().state_dict().items()}
    return save({name: t for name, t in (state | changes).items() if t is not None})
