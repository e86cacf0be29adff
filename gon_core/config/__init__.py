"""What a trial is: frozen, validated models, and the hash that names each trial.

Imports neither torch nor anything slow, so that bad input is refused at once.
"""

from gon_core.config.base import (
    Frozen,
    MethodConfig,
    PositiveFloat,
    PositiveInt,
    content_hash,
    whole,
)
from gon_core.config.methods import (
    ANT,
    DDN,
    GNT,
    PGD,
    SININ,
    UAT,
    WITHOUT_STRENGTH,
    Architecture,
    AugMix,
    Ford,
    FreeAT,
    Given,
    GNTMult,
    Method,
    PatchGaussian,
    Speckle,
    Trained,
    Vanilla,
    Variant,
)
from gon_core.config.own import OwnFunction
from gon_core.config.training import Precision, TrainingConfig
from gon_core.config.trial import (
    DataConfig,
    EvaluationConfig,
    FolderConfig,
    ImageSize,
    StartConfig,
    TrialConfig,
)

__all__ = [
    "ANT",
    "DDN",
    "GNT",
    "PGD",
    "SININ",
    "UAT",
    "WITHOUT_STRENGTH",
    "Architecture",
    "AugMix",
    "DataConfig",
    "EvaluationConfig",
    "FolderConfig",
    "Ford",
    "FreeAT",
    "Frozen",
    "GNTMult",
    "Given",
    "ImageSize",
    "Method",
    "MethodConfig",
    "OwnFunction",
    "PatchGaussian",
    "PositiveFloat",
    "PositiveInt",
    "Precision",
    "Speckle",
    "StartConfig",
    "Trained",
    "TrainingConfig",
    "TrialConfig",
    "Vanilla",
    "Variant",
    "content_hash",
    "whole",
]  # fmt: skip
