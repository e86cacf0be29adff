"""Published checkpoints: how their tensors are wrapped and named, beside torchvision's names."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

# What the weights are called in a file that holds more: an optimiser's state, the epoch.
CONTAINERS = ("model_state_dict", "state_dict", "model_state", "model")
PREFIXES = ("module.", "resnet.", "inception.", "backbone.", "model.")
OLD_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.(\d+\.\w+)$")


def unwrap(content: Any) -> tuple[dict[str, Tensor], str]:
    """Return the weights in what a checkpoint file holds, and under which key they were.

    Game of Noise keeps them in ``model_state_dict``; AugMix, the networks trained on stylised
    images, free adversarial training and Shift-Inv in ``state_dict``; pycls in ``model_state``;
    torchvision in nothing.

    Raises:
        ValueError: it holds no weights; says what it holds.
    """
    if not isinstance(content, Mapping):
        raise ValueError(f"holds a {type(content).__name__}, no weights by name")
    if _is_state(content):
        return dict(content), ""
    for key in CONTAINERS:
        inner = content.get(key)
        if isinstance(inner, list | tuple) and len(inner) > 0:  # of a model and its average
            inner = inner[0]
        if isinstance(inner, Mapping) and _is_state(inner):
            return dict(inner), key
    found = ", ".join(map(str, list(content)[:6])) or "nothing"
    raise ValueError(f"holds no weights: it has {found}, and none of {', '.join(CONTAINERS)}")


def _is_state(found: Mapping[Any, Any]) -> bool:
    return bool(found) and all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in found.items()
    )


def plain(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """Return tensors under torchvision's names, and what was changed, in words.

    A prefix that all names have is removed, several times if need be: ``module.`` is
    ``DataParallel``'s, ``resnet.`` and ``inception.`` are Game of Noise's. The published file of
    densenet121 has names from before torchvision knew that they may hold no dots.
    """
    changes, found = [], dict(state)
    while prefix := _shared_prefix(found):
        found = {name.removeprefix(prefix): tensor for name, tensor in found.items()}
        changes.append(f"{prefix!r} before every name is left out")
    renamed = {OLD_DENSENET.sub(r"\1\2", name): tensor for name, tensor in found.items()}
    if renamed.keys() != found.keys():
        changes.append("densenet's old names are changed to the present ones")
    return renamed, "; ".join(changes)


def _shared_prefix(names: Collection[str]) -> str | None:
    every = (prefix for prefix in PREFIXES if all(name.startswith(prefix) for name in names))
    return next(every, None) if names else None
