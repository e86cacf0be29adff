"""The options of every command that writes a sweep's folder.

Importing this is fast: neither torch nor Ray.
"""

import os
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from gon_core import benchmarks, cache, measures
from gon_core.benchmarks.cifar10 import FROST_VARIABLE
from sweeps.engine.cli.grids import words
from sweeps.engine.cli.storage_checks import checked_name, checked_storage, checked_tracking_uri
from sweeps.engine.records import object_store
from sweeps.engine.records.storage import Folder
from sweeps.engine.system.background import in_background
from sweeps.engine.system.errors import OutsideError, StorageError

MOST_CORES = 100_000  # beyond what any machine has; what is divided by it stays a number
PositiveInt = Annotated[int, Field(ge=1)]
Cores = Annotated[int, Field(ge=1, le=MOST_CORES)]


def _measures(given: object) -> object:
    known = measures.choices()
    if given == ():
        return given
    found = words(given, (*known, "all", "none"))
    if found in (["all"], ["none"]):
        return known if found == ["all"] else ()
    if found and {"all", "none"} & set(found):
        raise ValueError("all and none stand alone")
    return found


Measures = Annotated[tuple[str, ...] | None, BeforeValidator(_measures)]


class CommandOptions(BaseModel):
    """The options of every command that writes a sweep's folder."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        hide_input_in_errors=True,  # a URI may hold a password
    )

    about: ClassVar[str] = "what is searched"
    """The group of the options that only this command has, in its help."""
    groups: ClassVar[dict[str, tuple[str, ...]]] = {}
    """Further options of this command in the groups of ``cli.help.GROUPS``."""
    examples: ClassVar[dict[str, str]] = {}
    """By options of a command, what it then does: the last lines of its help."""

    name: Annotated[str, AfterValidator(checked_name)] | None = Field(
        None, description="Folder of the sweep below --storage. Default: made from its options."
    )
    data_dir: Path | None = Field(
        None, description="Folder of the data set, in torchvision's layout. Default: none."
    )
    corrupted_dir: Path | None = Field(
        None, description="Folder of the published CIFAR-10-C. Default: corruptions made here."
    )
    frost_dir: Path | None = Field(
        None,
        description="Folder of the frost photos. Default: those of the extra package, or none.",
    )
    image_list: Path | None = Field(
        None, description="File with the test images, paths below val, one a line. Default: none."
    )
    evaluate: Measures = Field(
        None, description="Further measures of final models. Default: none (demo), all (paper)."
    )
    evaluation_images: PositiveInt | None = Field(
        None, description="Test images that --evaluate takes. Default: 300 (demo), all (paper)."
    )
    storage: Annotated[str, AfterValidator(checked_storage)] = Field(
        "results", description="Where sweeps are stored: a local folder, s3://... or gs://..."
    )
    tracking_uri: Annotated[str, AfterValidator(checked_tracking_uri)] | None = Field(
        None, description="MLflow store. Default: mlflow.db in --storage, or in results/ if remote."
    )
    log_models: bool = Field(
        False, description="Log final models with their weights to MLflow. Default: no."
    )

    def problems(self) -> dict[str, str]:
        """Return what is wrong between options, by option name; commands may add to it."""
        found = {}
        if self.evaluation_images is not None and self.evaluate == ():
            found["evaluation_images"] = "is of what --evaluate measures, which is nothing"
        try:
            cache.kernels()
        except ValueError as error:
            found[cache.FUSION] = str(error)
        if self.frost_dir is not None:
            os.environ[FROST_VARIABLE] = str(self.frost_dir.resolve())  # for all its processes
        if os.environ.get(FROST_VARIABLE):
            from gon_core.corruptions.photos import frost  # torch, which is slow to import

            try:
                frost.folder()
            except ValueError as error:
                found["frost_dir"] = str(error)
        return found

    def data_problems(self, benchmark: benchmarks.Benchmark) -> dict[str, str]:
        """Return what the options ask of a data set and it has not, by option name."""
        found = {}
        if not benchmark.is_embedded and self.data_dir is None:
            rule = "is not embedded: give its folder, also to download it"
            found["data_dir"] = f"{benchmark.name} {rule}"
        if benchmark.is_embedded and self.data_dir is not None:
            rule = "is embedded, no folder is read: give --dataset as well"
            found["data_dir"] = f"{benchmark.title} {rule}"
        if self.corrupted_dir is not None and benchmark.check_corrupted is None:
            found["corrupted_dir"] = f"is of CIFAR-10-C, these are of {benchmark.title}"
        sizes = {
            "training_images": benchmark.pool,
            "validation_images": benchmark.held_out,
            "test_images": benchmark.test_images,
            "evaluation_images": benchmark.test_images,
        }
        for name, available in sizes.items():
            if (count := getattr(self, name, None) or 0) > available:
                found[name] = f"must be at most {available:,}, given: {count:,}"
        lacking = [name for name in self.evaluate or () if name not in benchmark.measures]
        if lacking and self.evaluate != measures.choices():  # of all, what it has
            known = ", ".join(benchmark.measures) or "none of them"
            found["evaluate"] = f"{benchmark.title} has {known}, given: {', '.join(lacking)}"
        return found

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
