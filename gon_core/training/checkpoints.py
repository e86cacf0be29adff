"""The whole training state as bytes: safetensors and JSON, never pickle.

Where the bytes are kept, and how a half-written file is avoided, is the caller's business.
"""

import json
from dataclasses import asdict

import torch
from safetensors.torch import load, save

from gon_core.training.convergence import Convergence
from gon_core.training.loop import TrainingState

MODEL = "model.safetensors"
TRAINING = "training.safetensors"
STATE = "state.json"


def dump(state: TrainingState) -> dict[str, bytes]:
    """Return the checkpoint's files by name: weights, momentum and random streams, the rest.

    A training restored from them goes on bit-identically to one that was never interrupted.
    """
    momentum = {
        f"momentum.{name}": state.optimizer.state[parameter]["momentum_buffer"]
        for name, parameter in state.model.named_parameters()
        if parameter in state.optimizer.state
    }
    streams = {f"stream.{name}": stream.get_state() for name, stream in state.streams.items()}
    rest = {
        "learning_rate": state.optimizer.param_groups[0]["lr"],
        "convergence": asdict(state.convergence),
    }
    return {
        MODEL: dump_model(state.model),
        TRAINING: _save(momentum | streams),
        STATE: json.dumps(rest).encode(),
    }


def restore(state: TrainingState, files: dict[str, bytes]) -> None:
    """Set ``state`` to what ``dump`` returned.

    Raises:
        ValueError: the files are not a checkpoint of this model.
    """
    restore_model(state.model, files[MODEL])
    tensors = load(files[TRAINING])
    for name, parameter in state.model.named_parameters():
        if (momentum := tensors.get(f"momentum.{name}")) is not None:
            buffer = torch.empty_like(parameter.data).copy_(momentum)
            state.optimizer.state[parameter]["momentum_buffer"] = buffer
    for name, stream in state.streams.items():
        stream.set_state(tensors[f"stream.{name}"])
    rest = json.loads(files[STATE])
    for group in state.optimizer.param_groups:
        group["lr"] = rest["learning_rate"]
    state.convergence = Convergence(**rest["convergence"])


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
    except RuntimeError as error:
        raise ValueError(f"not the weights of a {type(model).__name__}: {error}") from error


def _save(tensors: dict[str, torch.Tensor]) -> bytes:
    # safetensors wants rows in order, the models keep channels last.
    return save({name: tensor.cpu().contiguous() for name, tensor in tensors.items()})
