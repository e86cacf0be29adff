"""Payloads, and a storage folder to put them into.

Each payload, read by what would believe it, makes a file; nothing of ours may ever make it.
"""

import hashlib
import io
import json
import pickle
import shlex
import shutil
from pathlib import Path

import numpy as np
import torch
import yaml

from sweeps import epsilon_sphere
from sweeps.engine.cli import command_line
from sweeps.engine.planning import plan
from sweeps.engine.planning.strength import line_spec
from sweeps.engine.records import (
    MANIFEST,
    SweepRecords,
)
from sweeps.engine.records.storage import Folder
from sweeps.engine.trials import trial

COMMAND = shlex.split(
    "--epsilons 7 9 --num-trials 0 --seeds 1 --scale demo --training-images 60 --test-images 10 "
    "--validation-images 10 --start-epochs 1 --max-epochs 3 --pretraining-steps 1 --name given"
)
# What Ray, Optuna, joblib and others leave, and read again where they are trusted.
STRAYS = (
    "tuner.pkl", "trainable.pkl", "searcher-state.pkl", "search_gen_state.pkl", "sampler.pkl",
    "study.pkl", "model.joblib", "params.pkl", "experiment_state.json", ".tune_metadata",
)  # fmt: skip


class Evil:
    """Makes a file as soon as it is unpickled."""

    def __init__(self, marker: str):
        self.marker = marker

    def __reduce__(self):
        return open, (self.marker, "w")


def torch_file(marker: str) -> bytes:
    buffer = io.BytesIO()
    torch.save({"weight": torch.zeros(2), "extra": Evil(marker)}, buffer)
    return buffer.getvalue()


def npy_file(marker: str) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([Evil(marker)] * 3, dtype=object), allow_pickle=True)
    return buffer.getvalue()


TRAPS = {
    "pickle": lambda marker: pickle.dumps(Evil(marker)),
    "old pickle": lambda marker: pickle.dumps(Evil(marker), protocol=0),
    "torch.save": torch_file,
    "npy": npy_file,
    "YAML": lambda marker: f"!!python/object/apply:builtins.open ['{marker}', w]\n".encode(),
    "YAML value": lambda marker: (
        f"seeds: !!python/object/apply:builtins.open ['{marker}', w]\n".encode()
    ),
}
BELIEVERS = {
    "pickle": pickle.loads,
    "old pickle": pickle.loads,
    "torch.save": lambda content: torch.load(io.BytesIO(content), weights_only=False),
    "npy": lambda content: np.load(io.BytesIO(content), allow_pickle=True),
    "YAML": yaml.unsafe_load,
    "YAML value": yaml.unsafe_load,
}


class Killed(BaseException):
    """Stands for a process that dies."""


def make_plan():
    options = command_line.parse(epsilon_sphere.Options, "", COMMAND, plan.line_problems)
    return options, plan.make_plan(line_spec(options, options.epsilons), options)


class Given:
    """A copy of that storage folder in the working directory."""

    def __init__(self, prepared):
        storage, self.data, self.weights, self.ended, self.killed = prepared
        shutil.copytree(storage, "results")
        self.records = SweepRecords(Folder("results/given"))
        self.folder = Path("results/given")
        self.start = next(Path("results/starting_models").iterdir())

    def trial(self, config) -> Path:
        return self.folder / "trials" / config.trial_id

    @property
    def checkpoint(self) -> Path:
        return self.trial(self.killed) / "checkpoints/epoch-000002"

    def resume(self, weights=None):
        records = self.records.trial(self.killed.trial_id)
        return trial.run_trial(self.killed, self.data, weights or self.weights, records)


def forge(checkpoint: Path, name: str, content: bytes) -> None:
    """Replace a file of a checkpoint and its hash in the manifest."""
    (checkpoint / name).write_bytes(content)
    manifest = json.loads((checkpoint / MANIFEST).read_text())
    manifest["sha256"][name] = hashlib.sha256(content).hexdigest()
    (checkpoint / MANIFEST).write_text(json.dumps(manifest))
