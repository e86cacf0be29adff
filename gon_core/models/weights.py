"""Weights of a named architecture from a file that nobody vouches for: never from a pickle."""

import hashlib
import json
import logging
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load
from torch import Tensor, nn

from gon_core.architectures import ARCHITECTURES, ImageShape, make
from gon_core.models import layouts
from gon_core.models.imagenet import Normalised

PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
CONVERT = "take its tensors with: uv run python -m gon_core.models.convert {0} OUT.safetensors"
LISTED = 4
LONGEST_NAME, LONGEST_ERROR = 80, 200
LONGEST_HEAD = 100_000_000  # bytes, the limit of safetensors itself
log = logging.getLogger(__name__)
COUNTER = "num_batches_tracked"  # of batch normalisation, the one tensor of whole numbers
SMALL = 16  # tensors; no model of torchvision has fewer


class WeightsError(ValueError):
    """A file does not hold the weights of the named architecture; one line that says why."""


def read_state(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file by name.

    Raises:
        WeightsError: no such file, a pickle (which is never loaded), truncated, damaged, empty, or
            with tensors that are no finite floating-point numbers.
    """
    content = read_bytes(path)
    if not _has_head(content) and content.startswith(PICKLES):
        raise WeightsError(
            f"{path}: a pickle, which may hold code and is never loaded; {CONVERT.format(path)}"
        )
    try:
        tensors = load(content)
    except KeyError as error:  # a type of safetensors that torch lacks
        raise WeightsError(f"{path}: its numbers are of the unknown type {error}") from error
    except (SafetensorError, RuntimeError, ValueError) as error:
        reason = _damage(content) or _shown(str(error), LONGEST_ERROR)
        raise WeightsError(f"{path}: {reason}") from error
    refuse_unusable(tensors, str(path))
    return tensors


def recipe_of(path: Path) -> str:
    """Return torchvision's name of the weights in a file that ``read_state`` takes.

    Empty unless ``gon_core.models.convert`` noted it.
    """
    with safe_open(path, "pt") as file:
        return _shown((file.metadata() or {}).get("recipe", ""))


def refuse_unusable(tensors: Mapping[str, Tensor], source: str) -> None:
    """Raise WeightsError if these are no weights: none, whole numbers, or not finite."""
    if not tensors:
        raise WeightsError(f"{source}: it holds no tensors")
    for name, tensor in tensors.items():
        if name.rpartition(".")[2] == COUNTER:
            continue
        if not tensor.is_floating_point():
            kind = f"must be floating point, got {tensor.dtype}"
            raise WeightsError(f"{source}: {_shown(name)} {kind}")
        if not tensor.float().isfinite().all():  # the models' type: a double may overflow
            raise WeightsError(f"{source}: {_shown(name)} has values that are not finite")


def read_bytes(path: Path) -> bytes:
    """Return a file's content.

    Raises:
        WeightsError: it is not there, a folder, a pipe or device, empty or cannot be read.
    """
    try:
        if not path.exists():
            raise WeightsError(f"{path}: no such file")
        if path.is_dir():
            raise WeightsError(f"{path}: a folder without model.safetensors")
        if not path.is_file():  # reading a pipe or a device may never end
            raise WeightsError(f"{path}: not a regular file")
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror})") from error
    if not content:
        raise WeightsError(f"{path}: an empty file")
    return content


def _has_head(content: bytes) -> bool:
    # The length of a head may begin with the bytes of a pickle: one of 640 bytes does.
    return content[8:9] == b"{" and struct.unpack("<Q", content[:8])[0] <= LONGEST_HEAD


def _damage(content: bytes) -> str:
    if len(content) < 8:
        return "not a safetensors file (shorter than its head)"
    if not _has_head(content):
        return f"not a safetensors file (it begins with {content[:8].hex()})"
    (size,) = struct.unpack("<Q", content[:8])
    if len(content) < 8 + size:
        return f"truncated in its head: {len(content):,} bytes, expected more than {8 + size:,}"
    try:
        head = json.loads(content[8 : 8 + size])
        entries = [entry for entry in head.values() if "data_offsets" in entry]
        expected = 8 + size + max(int(entry["data_offsets"][1]) for entry in entries)
    except (ValueError, TypeError, KeyError, OverflowError, IndexError, RecursionError):
        return "damaged in its head"
    if len(content) < expected:
        return f"truncated: {len(content):,} bytes, expected {expected:,}"
    return ""


def _shown(text: str, longest: int = LONGEST_NAME) -> str:
    # What a file says may hold line breaks and a terminal's commands, at any length.
    text = text if text.isprintable() else ascii(text)
    return text if len(text) <= longest else f"{text[:longest]}..."


def load_weights(
    path: Path,
    architecture: str,
    classes: int | None = None,
    image_shape: ImageShape | None = None,
) -> nn.Module:
    """Return the model of a named architecture with the weights of a file, in evaluation mode.

    Args:
        path: a safetensors file.
        architecture: a name in ``gon_core.architectures.ARCHITECTURES``.
        classes: how many it has; by default as many as it was published for.
        image_shape: channels, height and width of its images; by default as published.

    Raises:
        WeightsError: see ``read_state``; or keys that are missing or unexpected, or other shapes,
            with the architecture that would fit, if one does.
        ValueError: unknown architecture, or one for other classes or images.
    """
    return build(read_state(path), architecture, str(path), classes, image_shape)


def build(
    state: Mapping[str, Tensor],
    architecture: str,
    source: str,
    classes: int | None = None,
    image_shape: ImageShape | None = None,
) -> nn.Module:
    """Return the model with these tensors; see ``load_weights``.

    Args:
        state: tensors by name.
        architecture: a name in ``gon_core.architectures.ARCHITECTURES``.
        source: what to call them in an error.
        classes, image_shape: as for ``load_weights``.
    """
    model = make(architecture, classes, image_shape)
    state = adapted(model, state, source)
    if faults := difference(state, model.state_dict()):
        fitting = guess_architecture(state, classes, image_shape)
        hint = f"; these are the weights of {with_article(fitting)}" if fitting else ""
        name = with_article(architecture)
        raise WeightsError(f"{source}: not the weights of {name}: {faults}{hint}")
    model.load_state_dict(dict(state))
    return model.eval()


def fill(
    model: nn.Module, state: Mapping[str, Tensor], architecture: str, source: str, classes: int
) -> str:
    """Give a model the tensors of a file; its heads stay as they are where it has other classes.

    Args:
        model: changed in place.
        state: tensors by name.
        architecture: the model's name, for errors.
        source: what to call the tensors, in errors and in the log.
        classes: how many the model has.

    Returns:
        What of the model stays as it was, in words; empty if nothing does.

    Raises:
        WeightsError: tensors are missing or unexpected, or of another shape elsewhere than in the
            heads: layers whose outputs are the classes, of which InceptionV3 has two.
    """
    own, state = model.state_dict(), adapted(model, state, source)
    kept = {
        name: own[name] for name in own if name in state and state[name].shape != own[name].shape
    }
    of_file = {len(state[name]) if state[name].ndim else 0 for name in kept}
    are_heads = len(of_file) == 1 and all(
        new.ndim and len(new) == classes and state[name].shape[1:] == new.shape[1:]
        for name, new in kept.items()
    )
    whole = {**state, **(kept if are_heads else {})}
    if faults := difference(whole, own):
        name = with_article(architecture)
        raise WeightsError(f"{source}: not the weights of {name}: {faults}")
    model.load_state_dict(own | whole)
    if not kept:
        return ""
    heads = [*dict.fromkeys(name.rpartition(".")[0] for name in kept)]
    has, new = ("has", "it is new") if len(heads) == 1 else ("have", "they are new")
    counts = f"{of_file.pop():,} classes in the file and {classes:,} here"
    return f"{' and '.join(heads)} {has} {counts}: {new}"


def with_article(name: str) -> str:
    """Return the name of an architecture behind "a" or "an"."""
    return f"an {name}" if name[0] in "aeio" else f"a {name}"


def difference(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """Return which tensors are missing, unexpected or of another shape; empty if all fit."""
    # Counters of batch normalisation do not take part in evaluation and are often left out.
    missing = [n for n in wanted if n not in found and not n.endswith(COUNTER)]
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
    shown = ", ".join(_shown(name) for name in names[:LISTED])
    return f"{kind} {shown}{more}".strip() if names else ""


def adapted(
    model: nn.Module, state: Mapping[str, Tensor], source: str | None = None
) -> Mapping[str, Tensor]:
    """Return weights under a model's own names, or as they are if they cannot be its weights.

    A prefix that all names share is left out, and densenet's old names are changed, which is logged
    as a warning about ``source``, if it is given; some models take the weights of a plainer one.
    """
    own = model.state_dict()
    plain, changed = layouts.plain(state)
    for found, words in ((state, ""), (plain, changed)):
        named = model.adapted(found) if isinstance(model, Normalised) else found
        if not (own.keys() ^ named.keys()) - {n for n in own if n.endswith(COUNTER)}:
            if words and source is not None:
                log.warning("%s: %s", source, words)
            return named
    return state


def guess_architecture(
    state: Mapping[str, Tensor],
    classes: int | None = None,
    image_shape: ImageShape | None = None,
) -> str | None:
    """Return the architecture whose names and shapes fit these tensors; None if there is none.

    Args:
        state: tensors by name.
        classes, image_shape: as for ``load_weights``.
    """
    for name, description in ARCHITECTURES.items():
        # torchvision takes seconds to import: only where the tensors are as many.
        if description.is_slow and len(state) < SMALL:
            continue
        wanted_classes = description.classes if classes is None else classes
        wanted_shape = description.image_shape if image_shape is None else image_shape
        if not description.fits(wanted_classes, wanted_shape):
            continue
        with torch.device("meta"):  # names and shapes alone
            model = make(name, wanted_classes, wanted_shape)
        if not difference(adapted(model, state), model.state_dict()):
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
