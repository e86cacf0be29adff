"""The whole training state as bytes: safetensors and JSON, never pickle.

The caller stores the bytes, and makes sure that no half-written file is read.
"""

import json
from dataclasses import asdict
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from gon_core.training.convergence import Convergence
from gon_core.training.epoch_progress import EpochProgress
from gon_core.training.state import TrainingState

MODEL = "model.safetensors"
TRAINING = "training.safetensors"
STATE = "state.json"
PROGRESS = ("permutation", "loss_sum", "correct")  # tensors of an epoch that has begun
SEEDS = ("crop_seed", "second_seed")  # where there are any


def dump(state: TrainingState) -> dict[str, bytes]:
    """Return the checkpoint's files by name: weights, all other tensors, the rest.

    The other tensors are the momentum, the random streams, the state of the method and, within an
    epoch, its progress.

    A training restored from them continues bit-identically to one that was never interrupted.
    """
    momentum = {
        f"momentum.{name}": state.optimizer.state[parameter]["momentum_buffer"]
        for name, parameter in state.model.named_parameters()
        if parameter in state.optimizer.state
    }
    own = state.method_state.state_dict() if state.method_state is not None else {}
    method = {f"method.{name}": tensor for name, tensor in own.items()}
    streams = {f"stream.{name}": stream.get_state() for name, stream in state.streams.items()}
    rest = {"convergence": asdict(state.convergence)}
    return {
        MODEL: dump_model(state.model),
        TRAINING: _save(momentum | streams | method | _progress_tensors(state.progress)),
        STATE: json.dumps(rest | _progress_numbers(state.progress)).encode(),
    }


def _progress_tensors(progress: EpochProgress | None) -> dict[str, torch.Tensor]:
    if progress is None:
        return {}
    return {f"epoch.{name}": getattr(progress, name) for name in PROGRESS}


def _progress_numbers(progress: EpochProgress | None) -> dict[str, dict[str, int | float]]:
    if progress is None:
        return {}
    numbers = ["steps", "seconds", "data_seconds"]
    numbers += [name for name in SEEDS if getattr(progress, name) is not None]
    return {"epoch": {name: getattr(progress, name) for name in numbers}}


def restore(state: TrainingState, files: dict[str, bytes]) -> None:
    """Set ``state`` to what ``dump`` returned.

    Raises:
        ValueError: the files are not a checkpoint of this model and method.
    """
    if missing := {MODEL, TRAINING, STATE} - files.keys():
        raise ValueError(f"not a checkpoint: {', '.join(sorted(missing))} missing")
    restore_model(state.model, files[MODEL])
    try:
        _restore_training(state, files)
    except (SafetensorError, KeyError, TypeError, RuntimeError, ValueError) as error:
        raise ValueError(f"not the checkpoint of such a training: {error!r}") from error


def _restore_training(state: TrainingState, files: dict[str, bytes]) -> None:
    tensors = load(files[TRAINING])
    _restore_method(state, tensors)
    state.optimizer.state.clear()
    if any(name.startswith("momentum.") for name in tensors):  # none before the first step
        for name, parameter in state.model.named_parameters():
            momentum = tensors[f"momentum.{name}"]
            if momentum.shape != parameter.shape:  # copying would broadcast it
                raise ValueError(f"momentum of {name} has the shape {tuple(momentum.shape)}")
            buffer = torch.empty_like(parameter.data).copy_(momentum)
            state.optimizer.state[parameter]["momentum_buffer"] = buffer
    for name, stream in state.streams.items():
        stream.set_state(tensors[f"stream.{name}"])
    rest = json.loads(files[STATE])
    state.convergence = Convergence(**rest["convergence"])
    state.progress = None
    if "epoch" in rest:  # it was stopped within one
        device = next(state.model.parameters()).device
        of_epoch: dict[str, Any] = {name: tensors[f"epoch.{name}"].to(device) for name in PROGRESS}
        state.progress = EpochProgress(**of_epoch, **rest["epoch"])


def _restore_method(state: TrainingState, tensors: dict[str, torch.Tensor]) -> None:
    own = {
        name.removeprefix("method."): tensor
        for name, tensor in tensors.items()
        if name.startswith("method.")
    }
    if bool(own) != (state.method_state is not None):
        raise ValueError("the checkpoint of another method: only one of the two has an opponent")
    if state.method_state is not None:
        state.method_state.load_state_dict(own)


def dump_model(model: torch.nn.Module) -> bytes:
    """Return the weights of ``model`` in safetensors format."""
    return _save(model.state_dict())


def restore_model(model: torch.nn.Module, weights: bytes) -> None:
    """Set the weights of ``model`` in place.

    Raises:
        ValueError: a tensor is missing, unexpected or of another shape.
    """
    try:
        model.load_state_dict(load(weights))
    except (RuntimeError, SafetensorError) as error:
        raise ValueError(f"not the weights of a {type(model).__name__}: {error}") from error


def _save(tensors: dict[str, torch.Tensor]) -> bytes:
    # safetensors wants rows in order, the models keep channels last.
    return save({name: tensor.cpu().contiguous() for name, tensor in tensors.items()})
