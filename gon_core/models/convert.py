"""Published weights as safetensors: ``python -m gon_core.models.convert FILE.pth OUT.safetensors``.

The one place where a file of torch's own format is read, and then for its tensors alone: what
``weights_only`` refuses is refused. Also read is the .npz of TensorFlow variables in which the
ResNet-152 with feature denoising was published.
"""

import argparse
import hashlib
import re
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from gon_core.models import layouts, weights
from gon_core.models.denoising import from_tensorflow
from gon_core.models.weights import WeightsError

DIGITS = re.compile(r"-([0-9a-f]{8})\.pth(?:\.tar)?$")  # of the SHA-256, in torchvision's names
FIRST_LAYERS = ("conv1.weight", "features.0.weight", "features.conv0.weight", "stem.conv.weight")


@dataclass(frozen=True)
class Converted:
    """What a file held.

    Attributes:
        state: tensors under torchvision's names.
        metadata: of the safetensors file: ``source``, ``sha256``, ``digits`` (those in the source's
            name that were compared with it), ``recipe`` (torchvision's name of the weights).
        said: what a person should know, a line each.
    """

    state: dict[str, Tensor]
    metadata: dict[str, str]
    said: tuple[str, ...]


def convert(path: Path, is_bgr: bool = False) -> Converted:
    """Return the weights that a file holds; nothing in it is executed.

    Args:
        path: a .pth, .pt, .pth.tar or .npz.
        is_bgr: whether the model takes its channels in the order blue, green, red: the weights of
            the first layer are turned around, so that it takes red, green, blue.

    Raises:
        WeightsError: it cannot be read, holds code or no weights, has values that are not finite,
            or is not what the digits in its name say.
    """
    content = weights.read_bytes(path)
    sha, said = hashlib.sha256(content).hexdigest(), []
    metadata = {"source": path.name, "sha256": sha}
    if digits := DIGITS.search(path.name):
        if not sha.startswith(digits[1]):
            rule = f"its SHA-256 begins with {sha[:8]}, its name says {digits[1]}"
            raise WeightsError(f"{path}: {rule}: damaged, or another file")
        metadata["digits"] = digits[1]
        said.append(f"SHA-256 as in its name: {digits[1]}")
    if recipe := _recipe(path.name):
        metadata["recipe"] = recipe
        said.append(f"torchvision's {recipe}")
        if not recipe.endswith("V1"):
            said.append("another recipe than the paper's, which starts from IMAGENET1K_V1")
    state, container = _read_npz(path) if path.suffix == ".npz" else _read_torch(path)
    state, changed = layouts.plain(state)
    said += [f"the weights were in {container!r}"] if container else []
    said += [changed] if changed else []
    if is_bgr:
        first = next((name for name in FIRST_LAYERS if name in state), None)
        if first is None:
            raise WeightsError(f"{path}: --bgr: has none of {', '.join(FIRST_LAYERS)}")
        state[first] = state[first].flip(1)
        said.append(f"{first} is turned around: it takes red, green, blue")
    weights.refuse_unusable(state, str(path))
    whole = {name: tensor.detach().clone().contiguous() for name, tensor in state.items()}
    return Converted(whole, metadata, tuple(said))


def _read_torch(path: Path) -> tuple[dict[str, Tensor], str]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever is in it
        reason = " ".join(str(error).split())
        if "weights_only" in reason:  # torch's own text explains how to run the code
            reason = "it holds more than tensors and numbers, which may be code: it is not read"
        raise WeightsError(f"{path}: {reason[:200]}") from error
    try:
        return layouts.unwrap(content)
    except ValueError as error:
        raise WeightsError(f"{path}: {error}") from error


def _read_npz(path: Path) -> tuple[dict[str, Tensor], str]:
    try:
        with np.load(path) as arrays:
            found = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
        return from_tensorflow(found), ""
    except (OSError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path}: {' '.join(str(error).split())[:200]}") from error


def _recipe(name: str) -> str:
    """Return torchvision's name of the weights that it publishes under a file's name."""
    from torchvision import models

    for model in models.list_models(module=models):
        for entry in models.get_model_weights(model):
            if entry.url.rpartition("/")[2] == name:
                return str(entry)
    return ""


def main(arguments: list[str] | None = None) -> int:
    """Convert the file that was named; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m gon_core.models.convert", usage="%(prog)s FILE OUT.safetensors [--bgr]",
        description="Write published weights as safetensors. Of a .pth only tensors are read, no "
        "code is run.",
    )  # fmt: skip
    parser.add_argument("file", type=Path, help=".pth, .pt, .pth.tar, or the .npz of a denoising "
                        "ResNet-152")  # fmt: skip
    parser.add_argument("out", type=Path, help="the safetensors file that is written")
    parser.add_argument("--bgr", action="store_true", help="the model takes blue, green, red")
    given = parser.parse_args(arguments)
    if given.out.suffix != ".safetensors":
        print(f"{given.out}: must end with .safetensors", file=sys.stderr)
        return 2
    try:
        found = convert(given.file, given.bgr)
        part = given.out.with_name(f"{given.out.name}.part")
        part.write_bytes(save(found.state, found.metadata))
        part.replace(given.out)
    except (WeightsError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for line in found.said:
        print(f"{given.file.name}: {line}.")
    model = weights.guess_architecture(found.state)
    of_model = (
        f" of {weights.with_article(model)}" if model else ", of no architecture that is known here"
    )
    print(f"{given.out}: {len(found.state)} tensors{of_model}.")
    print(f"Use them:\n  --weights {given.out}   or   --checkpoints {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
