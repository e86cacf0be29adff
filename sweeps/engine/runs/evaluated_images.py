"""What checkpoints are evaluated on: images of a benchmark, or published ones of a folder."""

from dataclasses import dataclass

from gon_core.config import DataConfig, EvaluationConfig
from gon_core.data.imagenet_c_folder import ImageNetC
from gon_core.data.splits import Splits
from sweeps.engine.trials.measures import TrialData


@dataclass(frozen=True)
class Images:
    """What the models are evaluated on.

    Attributes:
        config: what is measured.
        data: which images, and how many.
        digest: SHA-256 of the data set.
        prepared: clean and corrupted images of a benchmark; clean ones alone where ``published``
            ones are corrupted. None if all are in that folder.
        splits: what examples are made of; None where there are none to be made.
        published: a folder of photos under corruptions.
        notes: what a person should know, a line each.
    """

    config: EvaluationConfig
    data: DataConfig
    digest: str
    prepared: TrialData | None = None
    splits: Splits | None = None
    published: ImageNetC | None = None
    notes: tuple[str, ...] = ()
