"""The truth of a sweep: its records, on a local path or any pyarrow filesystem.

    <storage>/<sweep name>/
        sweep.json                            what is searched, by which code, on which data
        examples.safetensors                  some test images, clean and corrupted, for the figures
        tracked.json                          that MLflow holds all of it
        drivers/<id>.json                     who runs the sweep now, see ``records.lock``
        usage/NNNNNN.json                     what each driver used, and whether a budget ended it
        trials/<trial id>/trial.json          the full configuration, before training
        trials/<trial id>/attempts/NNNNNN.json   where and when it was run, from which epoch on
        trials/<trial id>/checkpoints/epoch-NNNNNN/   weights, momentum, streams, history, manifest
        trials/<trial id>/evaluation/<step>.json   what its evaluation has found so far
        trials/<trial id>/turn.json           how many trials the search proposed before it
        trials/<trial id>/model.safetensors   the final weights
        trials/<trial id>/noise.safetensors   what an adversarial noise generator learned
        trials/<trial id>/right.safetensors   which test images the final model classifies right
        trials/<trial id>/perturbed.safetensors   some images with noise of the size epsilon*
        trials/<trial id>/result.json         how it ended, once, at the end; hashes of the files
    <storage>/starting_models/<hash>/         the vanilla model that trials start from
    <storage>/starting_models/<hash>/training-<sweep name>/   its training, until it is whole

Every file appears whole or not at all. A checkpoint counts once its manifest, written last, names
the SHA-256 of each of its files; a result, or a step of an evaluation, once its own SHA-256 is
right. What is damaged is passed over with a warning, as if it had never been written;
``python -m sweeps.engine.records check <sweep folder>`` lists it. Ray, Optuna and MLflow hold
nothing that is not rebuilt from here.

Imports no torch, so that a sweep can be refused or found finished at once.
"""

from gon_core.measurement import Finding
from sweeps.engine.records.checkpoint import MANIFEST, Checkpoint
from sweeps.engine.records.names import (
    EXAMPLES,
    MODEL,
    NOISE,
    PERTURBED,
    RIGHT,
    STARTING_MODELS,
    VALIDATION_METRIC,
)  # fmt: skip
from sweeps.engine.records.other_sweeps import OtherSweeps
from sweeps.engine.records.result import Status, TrialResult
from sweeps.engine.records.sweep import OtherFormatError, SweepDescription, SweepRecords
from sweeps.engine.records.trial import Attempt, TrialRecords
from sweeps.engine.records.usage import Stop, Usage

__all__ = [
    "EXAMPLES", "MANIFEST", "MODEL", "NOISE", "PERTURBED", "RIGHT", "STARTING_MODELS",
    "VALIDATION_METRIC", "Attempt", "Checkpoint", "Finding", "OtherFormatError", "OtherSweeps",
    "Status", "Stop",
    "SweepDescription", "SweepRecords", "TrialRecords", "TrialResult", "Usage",
]  # fmt: skip
