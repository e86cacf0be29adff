"""How many bytes a trial takes on storage, measured on a real state of its training."""

import json
from typing import NamedTuple

from gon_core.config import Trained
from sweeps.engine.planning.plan import Plan
from sweeps.engine.records import VALIDATION_METRIC, TrialResult, result

EPOCH = {  # an entry of a trial's history; all digits of a float are written
    name: 1 / 3
    for name in ("epoch", "train_loss", "train_accuracy", "learning_rate", "seconds",
                 VALIDATION_METRIC, "validation_seconds")
}  # fmt: skip


class StorageNeed(NamedTuple):
    """Bytes of one trial: of the largest of the plan's methods.

    Attributes:
        checkpoint: of one checkpoint, of which two are kept while the trial runs.
        finished: of what stays when it has ended: its final model and its result.
    """

    checkpoint: int
    finished: int


def measure_storage(plan: Plan) -> StorageNeed:
    """Return what a trial takes, by dumping the state of a training of each method."""
    methods = {method.method: method for method in plan.known_methods}  # one of each kind
    needs = {kind: _need(plan, method) for kind, method in methods.items()}
    return StorageNeed(*(max(sizes) for sizes in zip(*needs.values(), strict=True)))


def _need(plan: Plan, method: Trained) -> StorageNeed:
    import torch

    from gon_core.models import MadryCNN
    from gon_core.training import checkpoints, new_state

    config = plan.configure(method, plan.config.seeds[0])
    model = MadryCNN(torch.Generator().manual_seed(0))
    state = new_state(model, config.training, config.seed, method)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    state.optimizer.step()  # momentum is there from the first step on
    files = checkpoints.dump(state)
    epochs = config.training.max_epochs
    history = [EPOCH] * epochs
    ended = TrialResult(
        trial_id=config.trial_id, config=config, status="max_epochs", history=history
    )
    return StorageNeed(
        checkpoint=sum(map(len, files.values())) + len(json.dumps(history)),
        finished=len(files[checkpoints.MODEL]) + len(result.dump(ended)),
    )
