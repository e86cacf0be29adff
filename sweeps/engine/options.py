"""The options of every sweep: one typed model, filled from the command line and a YAML file.

All problems are found before anything starts and told in one message. Importing this is fast:
neither torch nor Ray.
"""

import difflib
import math
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import field, make_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TypeVar, get_args, get_origin

import tyro
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from gon_core.config import HELD_OUT, Dataset, Precision

Scale = Literal["demo", "paper"]
Sampler = Literal["gp", "tpe", "random"]
Scheduler = Literal["none", "asha"]
RESERVED_NAMES = ("starting_models", ".", "..")
PositiveInt = Annotated[int, Field(ge=1)]
Options = TypeVar("Options", bound="SweepOptions")


class SweepOptions(BaseModel):
    """What every sweep can be asked for; a sweep adds its own question's values."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str | None = Field(
        None, description="Folder of the sweep below --storage. Default: made from what is asked."
    )
    scale: Scale | None = Field(
        None,
        description="demo: 10,000 training images and few epochs, minutes on two cores. paper: all "
        "images, until convergence. Default: paper with a GPU, else demo.",
    )
    dataset: Dataset = Field(
        "mnist", description="mnist is embedded; fashion_mnist and kmnist come from --data-dir."
    )
    data_dir: Path | None = Field(
        None, description="Folder with <DataSet>/raw/*-ubyte, torchvision's layout."
    )
    download: bool = Field(False, description="Fetch the data set into --data-dir first.")
    seeds: PositiveInt = Field(
        3, description="Seeds per point: its mean and interval are over these."
    )
    seed: Annotated[int, Field(ge=0, lt=2**31)] = Field(
        0, description="First seed of each point, and seed of the sampler."
    )
    num_trials: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Points that Optuna adds around the best. Default: 1 (demo), 6 (paper)."
    )
    sampler: Sampler = Field("gp", description="Optuna's: gp (Gaussian process), tpe or random.")
    scheduler: Scheduler = Field(
        "none",
        description="asha stops hopeless trials early; they are recorded as pruned, never as "
        "converged.",
    )
    precision: Precision = Field("fp32", description="bf16 is faster and slightly less accurate.")
    training_images: PositiveInt | None = Field(
        None, description="Train on this many. Default: by --scale."
    )
    validation_images: Annotated[int, Field(ge=1, le=HELD_OUT)] | None = Field(
        None, description="Search on this many held-out images. Default: by --scale."
    )
    test_images: PositiveInt | None = Field(
        None, description="Report on this many test images. Default: by --scale."
    )
    max_epochs: PositiveInt | None = Field(
        None, description="Budget of a trial. Default: by --scale."
    )
    start_epochs: PositiveInt | None = Field(
        None, description="Budget of the vanilla model that trials start from. Default: by --scale."
    )
    gpus_per_trial: Annotated[float, Field(ge=0)] | None = Field(
        None, description="Fractions share a GPU, e.g. 0.25. Default: 1 where there is one, else 0."
    )
    cpus_per_trial: PositiveInt = Field(1, description="Cores, and threads, of each trial.")
    max_concurrent: PositiveInt | None = Field(
        None, description="Trials at a time. Default: as many as fit the machine."
    )
    checkpoint_every: PositiveInt | None = Field(
        None, description="Epochs between checkpoints. Default: 1 (demo), 10 (paper)."
    )
    max_failures: Annotated[int, Field(ge=0)] = Field(
        3, description="Times that a trial whose process died is carried on."
    )
    storage: str = Field(
        "results", description="Where sweeps are kept: a local folder, or s3://... or gs://..."
    )
    tracking_uri: str | None = Field(
        None, description="MLflow store. Default: sqlite:///<storage>/mlflow.db"
    )
    dry_run: bool = Field(
        False, description="List the trials, what each needs and the expected time; start nothing."
    )

    @field_validator("name")
    @classmethod
    def _name_is_a_folder_name(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", name):
            raise ValueError("must be 1 to 100 of the characters A-Z a-z 0-9 . _ -")
        if name in RESERVED_NAMES:
            raise ValueError("is reserved, choose another")
        return name

    @field_validator("storage")
    @classmethod
    def _storage_can_be_written(cls, storage: str) -> str:
        if "://" not in storage:
            refuse_unwritable(Path(storage))
        elif not re.match(r"(s3|gs|gcs|file)://", storage):
            raise ValueError("must be a local folder or start with s3://, gs:// or file://")
        return storage

    def problems(self) -> dict[str, str]:
        """Return what is wrong between options, by option name; sweeps may add to it."""
        found = {}
        if self.dataset != "mnist" and self.data_dir is None:
            found["data_dir"] = f"{self.dataset} is not embedded: say where it is, or is to go"
        if self.dataset == "mnist" and self.download:
            found["download"] = "MNIST is embedded, there is nothing to download"
        return found


def real_numbers(given: object, least: float) -> object:
    """Return the numbers of a grid, from words, commas or a YAML list; all faults in one message.

    Args:
        given: what was typed, or None.
        least: the smallest legal number.

    Raises:
        ValueError: no number at all, not a number, not finite, below ``least``, or given twice.
    """
    if given is None:
        return None
    items = given if isinstance(given, list | tuple) else [given]
    words = [word for item in items for word in str(item).replace(",", " ").split()]
    numbers: list[float] = []
    faults = [] if words else ["needs at least one number"]
    for word in words:
        try:
            number = float(word)
        except ValueError:
            faults.append(f"{word} is not a number")
            continue
        if not math.isfinite(number):
            faults.append(f"{word} is not finite")
        elif number < least:
            faults.append(f"{word} is below {least:g}")
        elif number in numbers:
            faults.append(f"{word} is given twice")
        numbers.append(number)
    if faults:
        raise ValueError("; ".join(faults))
    return numbers


def refuse_unwritable(folder: Path) -> None:
    """Raise ValueError unless files can be made in ``folder``, or it can be made itself."""
    existing = folder.expanduser().absolute()
    while not existing.exists() and not existing.is_symlink():
        existing = existing.parent
    if not existing.is_dir():
        raise ValueError(f"{existing} is a file, a folder is needed")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ValueError(f"{existing} cannot be written")


def parse(
    model: type[Options],
    description: str,
    arguments: Sequence[str] | None = None,
    check: Callable[[Options], dict[str, str]] = lambda options: {},
) -> Options:
    """Return the options from the command line and, below it, from ``--config``.

    Args:
        model: the sweep's options.
        description: what the sweep asks, for ``--help``.
        arguments: instead of ``sys.argv``.
        check: further problems by option name, given options whose fields are all legal.

    Raises:
        SystemExit: 0 after ``--help``; 2 with every problem in one message.
    """
    given, unknown = _read_command_line(model, description, arguments)
    problems = [_unknown("argument", word, [_flag(name) for name in model.model_fields])
                for word in unknown]  # fmt: skip
    path = given.pop("config", None)
    if path is not None:
        from_file, file_problems = _read_yaml(Path(path), model)
        given = from_file | given
        problems += file_problems
    options, faulty = _validate(model, given)
    problems += [f"{_flag(name)}: {text}" for name, text in faulty.items()]
    if options is not None:
        found = options.problems() | check(options)
        problems += [f"{_flag(name)}: {text}" for name, text in found.items() if name not in faulty]
    if problems:
        refuse(problems)
    assert options is not None
    return options


def refuse(problems: Sequence[str]) -> NoReturn:
    """Print every problem and exit with code 2."""
    lines = [f"  {problem}" for problem in problems]
    count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
    print("\n".join([f"{count}, nothing was started:", *lines, "Try --help."]), file=sys.stderr)
    raise SystemExit(2)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _unknown(kind: str, name: str, legal: Sequence[str]) -> str:
    nearest = difflib.get_close_matches(name, legal, n=1, cutoff=0.5)
    return f"{name}: unknown {kind}" + (f"; did you mean {nearest[0]}?" if nearest else "")


def _read_command_line(
    model: type[SweepOptions], description: str, arguments: Sequence[str] | None
) -> tuple[dict[str, Any], list[str]]:
    # tyro splits words and prints the help; all values stay text, so that pydantic can judge them
    # together instead of the parser stopping at the first.
    fields = [_raw_field(name, info) for name, info in model.model_fields.items()]
    help_text = "YAML file of options, one key a flag; flags on the command line win."
    config = Annotated[str | None, tyro.conf.arg(help=help_text, metavar="FILE")]
    raw = make_dataclass("Raw", [*fields, ("config", config, field(default=None))])
    words, unknown = tyro.cli(
        raw,
        description=description,
        args=arguments,
        return_unknown_args=True,
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    given = {name: value for name, value in vars(words).items() if value not in (None, False)}
    # The value of an unknown flag is not a second mistake.
    flags = [word for word in unknown if word.startswith("--")]
    return given, flags or unknown


def _raw_field(name: str, info) -> tuple[str, Any, Any]:
    default = info.default
    help_text = info.description or ""
    if default not in (None, False) and "Default:" not in help_text:
        help_text += f" Default: {default}."
    if info.annotation is bool:
        return name, Annotated[bool, tyro.conf.arg(help=help_text)], field(default=False)
    kinds = [info.annotation, *get_args(info.annotation)]
    many = any(get_origin(kind) is tuple for kind in kinds)
    choices = [str(c) for kind in kinds if get_origin(kind) is Literal for c in get_args(kind)]
    metavar = "|".join(choices) if choices else _metavar(kinds)
    kind = tuple[str, ...] if many else str
    argument = tyro.conf.arg(
        help=help_text, metavar=f"{metavar} ..." if many else metavar, help_behavior_hint=""
    )
    return name, Annotated[kind | None, argument], field(default=None)


def _metavar(kinds: Sequence[Any]) -> str:
    for kind in kinds:
        for part in (kind, *get_args(kind)):
            if part in (int, float, Path):
                return {int: "N", float: "X", Path: "FOLDER"}[part]
    return "TEXT"


def _read_yaml(path: Path, model: type[SweepOptions]) -> tuple[dict[str, Any], list[str]]:
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        return {}, [f"--config: {path} cannot be read ({error})"]
    except yaml.YAMLError as error:
        return {}, [f"--config: {path} is not plain YAML ({' '.join(str(error).split())})"]
    if content is None:
        return {}, []
    if not isinstance(content, dict):
        return {}, [f"--config: {path} must hold keys and values, such as `seeds: 3`"]
    keys = {str(key).replace("-", "_"): value for key, value in content.items()}
    legal = list(model.model_fields)
    problems = [f"--config: {_unknown('key', key, legal)}" for key in keys if key not in legal]
    return {key: value for key, value in keys.items() if key in legal}, problems


def _validate(model: type[Options], given: dict[str, Any]) -> tuple[Options | None, dict[str, str]]:
    try:
        return model.model_validate(given), {}
    except ValidationError as error:
        faulty: dict[str, str] = {}
        for detail in error.errors():
            name = str(detail["loc"][0])
            faulty[name] = _explain(detail, given.get(name))
    # The legal rest is checked all the same, so that one message tells everything.
    rest = {name: value for name, value in given.items() if name not in faulty}
    try:
        return model.model_validate(rest), faulty
    except ValidationError:
        return None, faulty


def _explain(detail: Any, value: Any) -> str:
    context = detail.get("ctx", {})
    text: str = {
        "greater_than_equal": "must be at least {ge}",
        "less_than_equal": "must be at most {le}",
        "less_than": "must be less than {lt}",
        "greater_than": "must be greater than {gt}",
        "literal_error": "must be one of {expected}",
        "int_parsing": "must be a whole number",
        "int_from_float": "must be a whole number",
        "float_parsing": "must be a number",
        "finite_number": "must be a finite number",
        "value_error": "{error}",
    }.get(detail["type"]) or str(detail["msg"])
    if isinstance(value, list | tuple):
        value = " ".join(str(item) for item in value) or "nothing"
    message = f"{text.format(**context)}, given: {value}"
    if detail["type"] == "literal_error":
        legal = re.findall(r"'([^']*)'", context["expected"])
        nearest = difflib.get_close_matches(str(value), legal, n=1, cutoff=0.4)
        message += f"; did you mean {nearest[0]}?" if nearest else ""
    return message
