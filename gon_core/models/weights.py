"""Weights of a named architecture from a file that nobody vouches for: never from a pickle."""

import hashlib
import json
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from gon_core.models import imagenet
from gon_core.models.madry_cnn import MadryCNN
from gon_core.models.wong_cnn import wong_large, wong_small
from gon_core.names import nearest

CONSTRUCTORS: dict[str, Callable[[], nn.Module]] = {
    "madry_cnn": MadryCNN,
    "wong_small": wong_small,
    "wong_large": wong_large,
    "resnet18": lambda: imagenet.backbone("resnet18"),
    "resnet50": lambda: imagenet.backbone("resnet50"),
    "densenet121": lambda: imagenet.backbone("densenet121"),
}
"""Every architecture by its name in ``gon_core.config.Architecture``."""

PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"\x1f\x8b")
CONVERT = (
    'convert one that you trust yourself: python -c "import torch, safetensors.torch as s; '
    "s.save_file(torch.load('FILE', weights_only=True), 'FILE.safetensors')\""
)
LISTED = 4
SMALL_MODELS, SMALL = ("madry_cnn", "wong_small", "wong_large"), 20  # tensors


class WeightsError(ValueError):
    """A file does not hold the weights that were asked for; one line that says why."""


def read_state(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file by name.

    Raises:
        WeightsError: no such file, a pickle (which is never loaded), truncated, damaged, empty, or
            with tensors that are no finite floating-point numbers.
    """
    content = read_bytes(path)
    if content.startswith(PICKLES):
        raise WeightsError(f"{path}: a pickle, which may hold code and is never loaded; {CONVERT}")
    try:
        tensors = load(content)
    except SafetensorError as error:
        raise WeightsError(f"{path}: {_damage(content) or error}") from error
    if not tensors:
        raise WeightsError(f"{path}: it holds no tensors")
    whole = {"num_batches_tracked"}  # of batch normalisation, the one tensor of whole numbers
    for name, tensor in tensors.items():
        if name.rpartition(".")[2] in whole:
            continue
        if not tensor.is_floating_point():
            raise WeightsError(f"{path}: {name} must be floating point, got {tensor.dtype}")
        if not tensor.isfinite().all():
            raise WeightsError(f"{path}: {name} has values that are not finite")
    return tensors


def read_bytes(path: Path) -> bytes:
    """Return a file's content.

    Raises:
        WeightsError: it is not there, a folder, empty or cannot be read.
    """
    if not path.exists():
        raise WeightsError(f"{path}: no such file")
    if path.is_dir():
        raise WeightsError(f"{path}: a folder without model.safetensors")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror})") from error
    if not content:
        raise WeightsError(f"{path}: an empty file")
    return content


def _damage(content: bytes) -> str:
    if len(content) < 8:
        return "not a safetensors file (shorter than its head)"
    (size,) = struct.unpack("<Q", content[:8])
    try:
        head = json.loads(content[8 : 8 + size])
        end = max(entry["data_offsets"][1] for entry in head.values() if "data_offsets" in entry)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, IndexError):
        begins = "truncated in its head" if content[8:10] == b'{"' else "not a safetensors file"
        return f"{begins} (it begins with {content[:8].hex()})"
    expected = 8 + size + end
    if len(content) < expected:
        return f"truncated: {len(content):,} bytes, expected {expected:,}"
    return ""


def load_weights(path: Path, architecture: str) -> nn.Module:
    """Return the model of a named architecture with the weights of a file, in evaluation mode.

    Args:
        path: a safetensors file.
        architecture: a name in ``CONSTRUCTORS``.

    Raises:
        WeightsError: see ``read_state``; or keys that are missing or unexpected, or other shapes,
            with the architecture that would fit, if one does.
        ValueError: unknown architecture.
    """
    return build(read_state(path), architecture, str(path))


def build(state: Mapping[str, Tensor], architecture: str, source: str) -> nn.Module:
    """Return the model with these tensors; see ``load_weights``.

    Args:
        state: tensors by name.
        architecture: a name in ``CONSTRUCTORS``.
        source: what to call them in an error.
    """
    if architecture not in CONSTRUCTORS:
        legal = ", ".join(CONSTRUCTORS)
        hint = nearest(architecture, CONSTRUCTORS)
        raise ValueError(f"architecture must be one of {legal}, got {architecture!r} ({hint}?)")
    model = CONSTRUCTORS[architecture]()
    if faults := difference(state, model.state_dict()):
        fitting = guess_architecture(state)
        hint = f"; these are the weights of a {fitting}" if fitting else _prefix_hint(state, model)
        raise WeightsError(f"{source}: not the weights of a {architecture}: {faults}{hint}")
    model.load_state_dict(dict(state))
    return model.eval()


def difference(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """Return which tensors are missing, unexpected or of another shape; empty if all fit."""
    # Counters of batch normalisation do not take part in evaluation and are often left out.
    missing = [n for n in wanted if n not in found and not n.endswith("num_batches_tracked")]
    unexpected = [name for name in found if name not in wanted]
    shapes = [
        f"{name} is {list(found[name].shape)} and must be {list(wanted[name].shape)}"
        for name in wanted
        if name in found and found[name].shape != wanted[name].shape
    ]
    parts = [_listed("missing", missing), _listed("unexpected", unexpected), _listed("", shapes)]
    return "; ".join(part for part in parts if part)


def _listed(kind: str, names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"{kind} {', '.join(names[:LISTED])}{more}".strip() if names else ""


def _prefix_hint(state: Mapping[str, Tensor], model: nn.Module) -> str:
    for prefix in ("module.", "model."):
        plain = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
        if all(name.startswith(prefix) for name in state) and not difference(
            plain, model.state_dict()
        ):
            return f"; all would fit without {prefix!r} before their names"
    return ""


def guess_architecture(state: Mapping[str, Tensor]) -> str | None:
    """Return the architecture whose names and shapes fit these tensors; None if there is none."""
    for name, construct in CONSTRUCTORS.items():
        # torchvision takes seconds to import: only where the tensors are as many.
        if (len(state) < SMALL) == (name in SMALL_MODELS) and not difference(
            state, construct().state_dict()
        ):
            return name
    return None


def digest(state: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of names, shapes and values, which is the same however they are stored."""
    sha = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].contiguous()
        sha.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        sha.update(tensor.view(torch.uint8).numpy().tobytes() if tensor.ndim else b"")
    return sha.hexdigest()
