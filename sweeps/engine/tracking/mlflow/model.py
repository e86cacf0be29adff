"""The final model of a trial, as MLflow and people load it: safetensors and a loader, no pickle.

``model.json`` says how to load the weights in three lines. With ``--log-models`` the weights are
beside it, as a model that ``mlflow.pyfunc.load_model`` opens where this project is installed.
"""

import json
from importlib import metadata
from pathlib import Path
from platform import python_version
from typing import Any

import numpy as np

from sweeps.engine.records import MODEL, TrialResult

FACTS = "model.json"
FOLDER = "model"  # among the artifacts of a trial
PACKAGES = ("torch", "torchvision", "safetensors", "mlflow")


def facts_of(result: TrialResult) -> dict[str, Any] | None:
    """Return what ``model.json`` says of a trial; None where no model was trained."""
    config = result.config
    if config.model is None or MODEL not in result.files:
        return None
    benchmark = config.data.benchmark
    classes, shape = benchmark.classes, tuple(benchmark.image_shape)
    file = f'Path("{MODEL}")'
    return {
        "architecture": config.model,
        "classes": classes,
        "image_shape": shape,
        "input": f"float32 [batch, {', '.join(map(str, shape))}] in [0, 1]",
        "output": f"logits, float32 [batch, {classes}]",
        "weights": f"trials/{result.trial_id}/{MODEL} in the sweep's folder",
        "sha256": result.files[MODEL],
        "load": [
            "from pathlib import Path",
            "from gon_core.models.weights import load_weights",
            f'model = load_weights({file}, "{config.model}", {classes}, {shape})',
        ],
    }


def write_model(folder: Path, facts: dict[str, Any], weights: bytes) -> None:
    """Write a trial's model into a folder as MLflow stores models.

    Args:
        folder: to write into; it exists.
        facts: see ``facts_of``.
        weights: the safetensors file.
    """
    from mlflow.models import Model, ModelSignature
    from mlflow.pyfunc import FLAVOR_NAME
    from mlflow.types import Schema, TensorSpec

    (folder / "data").mkdir()
    (folder / "data" / FACTS).write_text(json.dumps(facts, indent=2))
    (folder / "data" / MODEL).write_bytes(weights)
    needs = "".join(f"{name}=={metadata.version(name)}\n" for name in PACKAGES)
    (folder / "requirements.txt").write_text(needs)
    single = np.dtype(np.float32)
    signature = ModelSignature(
        Schema([TensorSpec(single, (-1, *facts["image_shape"]))]),
        Schema([TensorSpec(single, (-1, facts["classes"]))]),
    )
    model = Model(signature=signature)
    model.add_flavor(
        FLAVOR_NAME, loader_module=__name__, data="data", python_version=python_version()
    )
    model.save(str(folder / "MLmodel"))


class Classifier:
    """What ``mlflow.pyfunc.load_model`` wraps."""

    def __init__(self, folder: Path) -> None:
        from gon_core.models.weights import load_weights

        facts = json.loads((folder / FACTS).read_text())
        shape = tuple(facts["image_shape"])
        self._model = load_weights(folder / MODEL, facts["architecture"], facts["classes"], shape)

    def predict(self, images: np.ndarray, params: dict[str, Any] | None = None) -> np.ndarray:
        """Return the logits of images.

        Args:
            images: float32 [batch, channel, height, width] in [0, 1].
            params: none are known.
        """
        import torch

        with torch.inference_mode():
            return self._model(torch.from_numpy(np.ascontiguousarray(images))).numpy()


def _load_pyfunc(path: str) -> Classifier:
    """Return the model in a folder; MLflow calls it by this name."""
    return Classifier(Path(path))
