"""The records of one sweep."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    Tag,
    ValidationError,
    field_validator,
)

from gon_core.config import Given, TrialConfig
from search_spaces.parameter import VARIANT, Choice, Point, Real, Whole, value_text
from sweeps.engine.records.result import TrialResult
from sweeps.engine.records.storage import Folder
from sweeps.engine.records.trial import TrialRecords
from sweeps.engine.records.usage import UsageRecords
from sweeps.engine.system.errors import OutsideError
from sweeps.engine.system.provenance import changed_command

DESCRIPTION = "sweep.json"
SWEEP_FORMAT = 2  # of sweep.json: raised when an older one cannot be read any more
TRIAL_ID = re.compile(r"[0-9a-f]{12}")
AT_A_TIME, AHEAD = 16, 160  # trials that are read together, and that wait in memory to be used

T = TypeVar("T")


class OtherFormatError(ValueError):
    """The sweep was made by a version whose sweep.json this one does not read; says which."""


def _kind(parameter: Any) -> Any:
    if isinstance(parameter, dict):
        return parameter.get("kind")
    return type(parameter).__name__.lower()


Searched = Annotated[
    Annotated[Real, Tag("real")]
    | Annotated[Whole, Tag("whole")]
    | Annotated[Choice, Tag("choice")],
    Discriminator(_kind),
    PlainSerializer(lambda parameter: {"kind": _kind(parameter), **asdict(parameter)}),
]


class SweepDescription(BaseModel):
    """What ``sweep.json`` says: what is searched, by which code, on which data.

    Attributes:
        format: of this file, see ``SWEEP_FORMAT``.
        id: of the sweep, wherever its folder is moved; empty in older folders.
        name: of the sweep's folder when it was made.
        experiment: names the MLflow experiment, ``gon/<experiment>``.
        title: the sweep's question, in words.
        created: time of day, ISO 8601, UTC.
        scale: the size of the trials; "checkpoint" where none is trained.
        config: everything that decides what the sweep finds.
        deviations: what is smaller than in the paper, in words.
        search: how points are chosen.
        parameters: what is searched; each is a field of the training method, or of the trial.
        objectives: what is maximised, of the validation images.
        published: where the paper's answer stands in ``gon_core.paper``.
        seeds: of every point.
        grid: the points that are known in advance.
        baselines: by name, the fields of the methods that are trained beside what is searched.
        known: points of earlier sweeps and their mean objectives, which the search starts from.
        code, packages: versions of what made it.
        data_digest: SHA-256 of the data set; "" if it was not known.
        command: what was typed, without any password.
        tracking_uri: of MLflow's store, without any password; empty for the one beside the sweep.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    format: Literal[2] = SWEEP_FORMAT
    id: str = ""
    name: str
    experiment: str
    title: str
    created: str
    scale: str
    config: dict[str, Any] = {}
    deviations: tuple[str, ...] = ()
    search: Literal["line", "grid", "joint"]
    parameters: Annotated[tuple[Searched, ...], Field(min_length=1)]
    objectives: tuple[Literal["corrupted", "clean"], ...]
    published: dict[str, Any] | None = None
    seeds: tuple[int, ...]
    grid: tuple[Point, ...]
    baselines: dict[str, dict[str, Any]] = {}
    known: tuple[tuple[Point, tuple[float, ...]], ...] = ()
    code: dict[str, str | bool] = {}
    packages: dict[str, str] = {}
    data_digest: str = ""
    command: str = ""
    tracking_uri: str = ""

    @field_validator("objectives")
    @classmethod
    def _corrupted_is_one(cls, objectives: tuple[str, ...]) -> tuple[str, ...]:
        if "corrupted" not in objectives:
            raise ValueError("must have 'corrupted'")
        return objectives

    @property
    def points(self) -> tuple[Point, ...]:
        """The points that are known in advance: the grid, and the baselines by name."""
        return (*self.grid, *self.baseline_points)

    @property
    def baseline_points(self) -> tuple[Point, ...]:
        """The baselines by name."""
        return tuple((name,) for name in self.baselines)

    @property
    def proposals(self) -> int:
        """How many points the search adds to those."""
        return int(self.config.get("proposals", 0))

    def point_of(self, config: TrialConfig) -> Point:
        """Return a trial's values of the searched parameters; of a baseline its name alone."""
        if self.baselines:
            fields = config.method.model_dump(mode="json")
            for name, baseline in self.baselines.items():
                if fields == baseline:
                    return (name,)
        return tuple(
            self._variant(config) if parameter.name == VARIANT else config.value_of(parameter.name)
            for parameter in self.parameters
        )

    def _variant(self, config: TrialConfig) -> str:
        """Return the name of a trial's method: in a comparison the one that it has there."""
        fields = config.method.model_dump(mode="json")
        compared = self.config.get("fixed", {}).items()
        return next((name for name, each in compared if each == fields), config.method.variant)

    def numbers(self, configs: Iterable[TrialConfig]) -> dict[Point, int]:
        """Return each searched point's place in the order of the search, from 1.

        ``configs`` are those of all trials, in that order.
        """
        points = map(self.point_of, configs)
        searched = dict.fromkeys(point for point in points if point not in self.baseline_points)
        return {point: number for number, point in enumerate(searched, 1)}

    def trial_name(self, config: TrialConfig, number: int | None = None) -> str:
        """Return what a person calls a trial, for example ``sigma=0.62 seed 0``.

        Args:
            config: of the trial.
            number: of its point, see ``numbers``. A point of a joint search is called
                by it, ``#5 seed 0``, since its values would fill the line.
        """
        if isinstance(config.method, Given):  # one model, whatever the seed
            return config.method.name
        point = self.point_of(config)
        if point in self.baseline_points:
            name = f"baseline {point[0]}"
        elif self.search == "joint" and number is not None:
            name = f"#{number}"
        else:
            name = " ".join(
                value_text(value) if parameter.name == VARIANT else
                f"{parameter.name}={value_text(value)}"
                for parameter, value in zip(self.parameters, point, strict=True)
            )  # fmt: skip
        return f"{name} seed {config.seed}"


def _refuse_other_format(found: Any) -> None:
    if not isinstance(found, dict):
        raise ValueError("it must be an object")
    if "name" in found and found.get("format") != SWEEP_FORMAT:
        code = found.get("code")
        version = code.get("git_sha", "unknown") if isinstance(code, dict) else "unknown"
        raise OtherFormatError(
            f"the sweep was made by another version, {str(version)[:12]} of "
            f"{str(found.get('created', 'unknown'))[:10]}, whose sweep.json this one cannot read"
        )


@dataclass(frozen=True)
class SweepRecords:
    """The records of one sweep."""

    folder: Folder

    def write_sweep(self, description: SweepDescription) -> None:
        """Write ``sweep.json``, at the start and when the sweep grows."""
        self.folder.write_json(DESCRIPTION, description.model_dump(mode="json"))

    def read_sweep(self) -> SweepDescription | None:
        """Return what ``sweep.json`` says, or None where there is no sweep.

        Raises:
            OtherFormatError: it was made by another version of this software.
            ValueError: it is damaged.
        """
        if not self.folder.exists(DESCRIPTION):
            return None
        try:
            found = self.folder.read_json(DESCRIPTION)
            _refuse_other_format(found)
            return SweepDescription.model_validate(found)
        except (OutsideError, OtherFormatError):
            raise
        except ValidationError as error:
            faults = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
            raise ValueError(f"sweep.json is damaged ({'; '.join(faults)})") from None
        except ValueError as error:
            raise ValueError(f"sweep.json is damaged ({error})") from None

    def trial(self, trial_id: str) -> TrialRecords:
        """Return the records of one trial, whether it has begun or not."""
        return TrialRecords(self.folder / "trials" / trial_id, trial_id)

    def trials(self) -> dict[str, TrialConfig]:
        """Return the configurations of all trials that were begun, by id, as they were proposed."""
        found = self.ask_each(lambda trial: (trial.ask_index(), trial.config()), self.names())
        in_order = sorted(found, key=lambda entry: entry[1][0])
        return {name: config for name, (_, config) in in_order if config is not None}

    def results(self) -> list[TrialResult]:
        """Return the results of all trials that ended, in the order of their ids."""
        found = self.ask_each(TrialRecords.result, self.names())
        return [result for _, result in found if result is not None]

    def ask_each(
        self, ask: Callable[[TrialRecords], T], names: Sequence[str]
    ) -> Iterator[tuple[str, T]]:
        """Yield each trial's id and what ``ask`` returns of it, in the order of ``names``.

        In an object store, where each file is a request, ``AT_A_TIME`` trials are read together.
        """
        if self.folder.is_local:
            yield from ((name, ask(self.trial(name))) for name in names)
            return
        pool = ThreadPoolExecutor(AT_A_TIME)
        try:
            for first in range(0, len(names), AHEAD):
                some = names[first : first + AHEAD]
                answers = pool.map(lambda name: ask(self.trial(name)), some)
                yield from zip(some, answers, strict=True)
        finally:  # after Ctrl-C too: a request to a silent store takes minutes
            pool.shutdown(wait=False, cancel_futures=True)

    def command_here(self, command: str, name: str) -> str:
        """Return a recorded command for where the folder is now: moved, copied or renamed.

        Args:
            command: as it was typed when the folder was called ``name``.
            name: of the sweep.
        """
        storage = self.folder.parent
        place = storage.uri
        if storage.is_local and Path(place).is_relative_to(Path.cwd()):
            place = str(Path(place).relative_to(Path.cwd()))
        changes = {"--storage": () if place == "results" else (place,)}
        if self.folder.name != name:
            changes["--name"] = (self.folder.name,)
        return changed_command(command, changes)

    @property
    def usage(self) -> UsageRecords:
        """The time that its drivers used."""
        return UsageRecords(self.folder / "usage")

    def names(self) -> list[str]:
        """Return the ids of all trials that have a folder."""
        return [name for name in (self.folder / "trials").names() if TRIAL_ID.fullmatch(name)]
