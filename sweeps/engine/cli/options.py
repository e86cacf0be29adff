"""The options of every sweep: one typed model, filled from the command line and a YAML file.

Importing this is fast: neither torch nor Ray.
"""

import math
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

from gon_core.config import HELD_OUT, TEST_SET, Dataset, Measure, Precision, Variant
from gon_core.names import nearest
from search_spaces.parameter import Point, Value
from sweeps.engine.records import object_store
from sweeps.engine.records.storage import Folder
from sweeps.engine.system.background import in_background
from sweeps.engine.system.errors import OutsideError, StorageError
from sweeps.engine.system.provenance import encoding_problem

Scale = Literal["demo", "paper"]
Sampler = Literal["gp", "tpe", "nsga2", "random"]
Scheduler = Literal["none", "asha"]
RESERVED_NAMES = ("starting_models", "mlartifacts", ".", "..")
MOST_SEEDS, MOST_PROPOSALS = 1_000, 10_000  # a slip of the finger, which memory could not hold
MOST_GENERATOR_STEPS = 10_000_000  # records have 64 bits for them; the paper takes 1,000 alone
MOST_EPOCHS = 100_000  # checkpoints are named by epoch, with six digits
# Beyond what any machine has, or any sweep takes; what is divided by them stays a number.
MOST_CORES, MOST_GPUS, MOST_HOURS, MOST_PRICE = 100_000, 1_000, 1e9, 1e6
DATABASES = ("postgresql", "mysql", "mssql")  # that MLflow knows, besides sqlite
PositiveInt = Annotated[int, Field(ge=1)]
Cores = Annotated[int, Field(ge=1, le=MOST_CORES)]
Epochs = Annotated[int, Field(ge=1, le=MOST_EPOCHS)]


class CommandOptions(BaseModel):
    """What every command can be asked for that writes a sweep's folder."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        hide_input_in_errors=True,  # a URI may hold a password
    )

    name: str | None = Field(
        None, description="Folder of the sweep below --storage. Default: made from what is asked."
    )
    evaluate: tuple[Measure, ...] | None = Field(
        None,
        description="Measured of each final model beside clean and corrupted accuracy: attacks, "
        "epsilon_star, severities, all or none. Default: none (demo), all (paper).",
    )
    evaluation_images: Annotated[int, Field(ge=1, le=TEST_SET)] | None = Field(
        None, description="Test images that --evaluate takes. Default: 300 (demo), all (paper)."
    )
    storage: str = Field(
        "results", description="Where sweeps are kept: a local folder, or s3://... or gs://..."
    )
    tracking_uri: str | None = Field(
        None,
        description="MLflow store. Default: sqlite:///<storage>/mlflow.db, or results/mlflow.db "
        "here where --storage is s3:// or gs://.",
    )

    @field_validator("name")
    @classmethod
    def _name_is_a_folder_name(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", name):
            nearest = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-")[:100]
            hint = f"; for example {nearest}" if nearest else ""
            raise ValueError(f"must be 1 to 100 of the characters A-Z a-z 0-9 . _ -{hint}")
        if name in RESERVED_NAMES or (name or "").lstrip(".").startswith("mlflow.db"):
            raise ValueError("is reserved, choose another")
        return name

    @field_validator("storage")
    @classmethod
    def _storage_can_be_written(cls, storage: str) -> str:
        local = storage.removeprefix("file://")
        if "://" in local:
            if not re.fullmatch(r"(s3|gs|gcs)://[^/\s]+(/.*)?", local):
                raise ValueError("must be a local folder, s3://BUCKET, gs://BUCKET or file:///...")
            object_store.check(storage)
        elif local != storage and not local.startswith("/"):
            raise ValueError("needs a whole path behind file://, which begins with /")
        else:
            refuse_unwritable(local)
        return storage

    @field_validator("tracking_uri")
    @classmethod
    def _tracking_uri_is_one(cls, uri: str | None) -> str | None:
        if uri is None or re.match(rf"(https?|({'|'.join(DATABASES)})(\+\w+)?)://[^/\s]", uri):
            if uri is not None and (rule := encoding_problem(uri)):
                raise ValueError(rule)
            return uri
        file = uri.removeprefix("sqlite:///")
        if file in ("", uri):
            legal = ", ".join(f"{name}://..." for name in DATABASES)
            raise ValueError(f"must be sqlite:///FILE, http://HOST, https://HOST, {legal}")
        if Path(file).is_dir():
            raise ValueError(f"{file} is a folder, a file is needed")
        refuse_unwritable(str(Path(file).parent))
        return uri

    @field_validator("evaluate", mode="before")
    @classmethod
    def _measures_are_words(cls, given: object) -> object:
        known = get_args(Measure)
        if given == ():
            return given
        found = words(given, (*known, "all", "none"))
        if found in (["all"], ["none"]):
            return known if found == ["all"] else ()
        if found and {"all", "none"} & set(found):
            raise ValueError("all and none stand alone")
        return found

    def problems(self) -> dict[str, str]:
        """Return what is wrong between options, by option name; commands may add to it."""
        if self.evaluation_images is not None and self.evaluate == ():
            return {"evaluation_images": "is of what --evaluate measures, which is nothing"}
        return {}

    def storage_problems(self) -> dict[str, str]:
        """Return what is wrong with where the sweep is kept, by option name.

        An object store is tried out, once every option by itself is legal: it takes a second, and
        a quarter of a minute where nothing answers.
        """
        found, storage = {}, Folder(self.storage, patience=object_store.SHORT_PATIENCE)
        try:
            if self.name is not None:
                _ = storage / self.name
            if not storage.is_local:
                in_background(storage.try_out).result(object_store.TRY_SECONDS)
        except OutsideError as error:
            found["name"] = str(error)
        except StorageError as error:
            found["storage"] = f"cannot be used: {error.reason}"
        except TimeoutError:
            found["storage"] = f"cannot be used: no answer in {object_store.TRY_SECONDS:g} s"
        return found


class SweepOptions(CommandOptions):
    """What every sweep can be asked for; a sweep adds its own question's values."""

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
    method: tuple[Variant, ...] | None = Field(
        None,
        description="Training methods: the first that has what this sweep searches is searched "
        "(default: the sweep's own), the others are trained beside it, to compare it with.",
    )
    seeds: Annotated[int, Field(ge=1, le=MOST_SEEDS)] = Field(
        3, description="Seeds per point: its mean and interval are over these."
    )
    seed: Annotated[int, Field(ge=0, lt=2**31)] = Field(
        0, description="First seed of each point, and seed of the sampler."
    )
    num_trials: Annotated[int, Field(ge=0, le=MOST_PROPOSALS)] | None = Field(
        None, description="Points that Optuna adds around the best. Default: 1 (demo), 6 (paper)."
    )
    sampler: Sampler = Field(
        "gp", description="Optuna's: gp (Gaussian process), tpe, random; nsga2 for a joint search."
    )
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
    max_epochs: Epochs | None = Field(None, description="Budget of a trial. Default: by --scale.")
    start_epochs: Epochs | None = Field(
        None, description="Budget of the vanilla model that trials start from. Default: by --scale."
    )
    address: str | None = Field(
        None,
        description="Ray cluster to run on: auto, the one that this machine is a node of, or "
        "HOST:PORT of its head. Default: Ray is started on this machine.",
    )
    gpus_per_trial: Annotated[float, Field(ge=0, le=MOST_GPUS)] | None = Field(
        None,
        description="Fractions share a GPU, e.g. 0.25; 2 or more train a trial together. Default: "
        "1 where there is one, else 0.",
    )
    cpus_per_trial: Cores = Field(
        1, description="Cores, and threads, of each trial; with several processes, of each of them."
    )
    processes_per_trial: Cores | None = Field(
        None,
        description="Processes that train a trial together, each a share of every batch. Default: "
        "one for each GPU of a trial, or 1.",
    )
    max_concurrent: PositiveInt | None = Field(
        None,
        description="Trials at a time. Default: as many as fit the machine; on a cluster that "
        "grows all, up to 1,000, but 8 in a joint search, which learns from each.",
    )
    checkpoint_every: PositiveInt | None = Field(
        None, description="Epochs between checkpoints. Default: 1 (demo), 10 (paper)."
    )
    max_failures: Annotated[int, Field(ge=0)] = Field(
        3, description="Times that a trial whose process died is carried on."
    )
    max_node_losses: Annotated[int, Field(ge=0)] = Field(
        100, description="Times that a trial whose machine went away is carried on."
    )
    wait_for_driver: Annotated[float, Field(ge=0, le=86400)] = Field(
        0.0, description="Seconds to wait for another driver of the sweep to end, or to count as "
        "dead: on a machine that is gone it does after two minutes. Default: refuse at once.",
    )  # fmt: skip
    budget_gpu_hours: Annotated[float, Field(gt=0, le=MOST_HOURS)] | None = Field(
        None, description="Start no trial that would probably pass this many GPU-hours, counted "
        "over every run of the sweep; end with what is there, exit code 3.",
    )  # fmt: skip
    budget_hours: Annotated[float, Field(gt=0, le=MOST_HOURS)] | None = Field(
        None, description="The same for hours in which the sweep runs."
    )
    price_per_gpu_hour: Annotated[float, Field(ge=0, le=MOST_PRICE)] | None = Field(
        None, description="Tell what GPU-hours cost: those expected by --dry-run, those used at "
        "the end.",
    )  # fmt: skip
    dry_run: bool = Field(
        False, description="List the trials, what each needs, and what all take: time, GPU-hours, "
        "money, storage; start nothing. Also for GPUs that this machine does not have.",
    )  # fmt: skip

    methods: ClassVar[tuple[str, ...]] = get_args(Variant)
    """The methods that the sweep's question can be asked of, its own first."""
    several_methods: ClassVar[bool] = False
    """Whether the methods themselves are what is searched."""

    @field_validator("method", mode="before")
    @classmethod
    def _methods_are_words(cls, given: object) -> object:
        return words(given, get_args(Variant))

    @property
    def variant(self) -> str:
        """The one training method that the question is asked of."""
        return next((name for name in self.method or () if name in self.methods), self.methods[0])

    @property
    def baselines(self) -> tuple[str, ...]:
        """The training methods that are trained beside what is searched."""
        if self.several_methods:
            return ()
        return tuple(name for name in self.method or () if name != self.variant)

    def problems(self) -> dict[str, str]:
        """Return what is wrong between options, by option name; sweeps may add to it."""
        found = super().problems()
        if self.dataset != "mnist" and self.data_dir is None:
            found["data_dir"] = f"{self.dataset} is not embedded: say where it is, or is to go"
        if self.dataset == "mnist" and self.download:
            found["download"] = "MNIST is embedded, there is nothing to download"
        if self.dataset == "mnist" and self.data_dir is not None:
            found["data_dir"] = "MNIST is embedded, no folder is read: give --dataset as well"
        return found


def words(given: object, legal: Sequence[str]) -> list[str] | None:
    """Return words from the command line or a YAML list; all faults in one message.

    Raises:
        ValueError: none at all, an unknown one (names the nearest), or one that is given twice.
    """

    def read(word: str) -> tuple[Value, str]:
        return (
            word,
            "" if word in legal else f"{word} is unknown, nearest is {nearest(word, legal)}",
        )

    try:
        found = _grid(given, read)
    except ValueError as error:
        raise ValueError(f"must be some of {', '.join(legal)}: {error}") from None
    return None if found is None else [str(word) for word in found]


def line(values: Sequence[Value]) -> tuple[Point, ...]:
    """Return the points of a space of one parameter."""
    return tuple((value,) for value in values)


def real_numbers(
    given: object, least: float | None = None, above: float | None = None, words: Sequence[str] = ()
) -> object:
    """Return the numbers of a grid, from words, commas or a YAML list; all faults in one message.

    Args:
        given: what was typed, or None.
        least: the smallest legal number, if there is one.
        above: what every number must be greater than, if anything.
        words: legal beside numbers.

    Raises:
        ValueError: no number at all, not a number, not finite, out of range, or given twice.
    """

    def read(word: str) -> tuple[Value, str]:
        if word in words:
            return word, ""
        try:
            number = float(word)
        except ValueError:
            return word, " or ".join([f"{word} is not a number", *words])
        if not math.isfinite(number):
            return number, f"{word} is not finite"
        if least is not None and number < least:
            return number, f"{word} is below {least:g}"
        if above is not None and number <= above:
            return number, f"{word} is not above {above:g}"
        return number, ""

    return _grid(given, read)


def whole_numbers(given: object, legal: Sequence[int]) -> object:
    """Return the whole numbers of a grid; all faults in one message, see ``real_numbers``.

    Args:
        given: what was typed, or None.
        legal: the numbers that may be given.

    Raises:
        ValueError: no number at all, not a legal one, or given twice.
    """

    def read(word: str) -> tuple[Value, str]:
        number = int(word) if word.isdigit() else -1
        names = ", ".join(map(str, legal))
        return number, "" if number in legal else f"{word} is not one of {names}"

    return _grid(given, read)


def _grid(given: object, read: Callable[[str], tuple[Value, str]]) -> list[Value] | None:
    if given is None:
        return None
    items = given if isinstance(given, list | tuple) else [given]
    typed = [word for item in items for word in str(item).replace(",", " ").split()]
    values: list[Value] = []
    faults = [] if typed else ["needs at least one value"]
    for word in typed:
        value, fault = read(word)
        if fault:
            faults.append(fault)
        elif value in values:
            faults.append(f"{word} is given twice")
        values.append(value)
    if faults:
        raise ValueError("; ".join(faults))
    return values


PROBE = bytes(4096)


def refuse_unwritable(folder: str) -> None:
    """Raise ValueError unless files can be made in ``folder``, or it can be made itself."""
    if not folder.strip() or "\0" in folder:
        raise ValueError("must be the path of a folder")
    existing = Path(folder)
    try:
        existing = existing.expanduser().absolute()
        while not existing.exists() and not existing.is_symlink():
            existing = existing.parent
        if not existing.is_dir():
            raise ValueError(f"{existing} is a file, a folder is needed")
        # Permissions do not tell: root may write anywhere but on a read-only filesystem.
        with tempfile.TemporaryFile(dir=existing) as probe:
            probe.write(PROBE)  # which is more than a full disk has room for
            probe.flush()
    except (OSError, RuntimeError) as error:  # the latter: a user who has no home
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"{existing} cannot be written ({reason})") from error
