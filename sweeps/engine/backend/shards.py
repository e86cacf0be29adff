"""Corruption sets evaluated in shards, by Ray tasks on the machines of a cluster.

A shard is one corruption, or one of its severities. Its images are counted as they would be here,
in the same batches, so that the numbers are the same. A task whose machine is lost runs again;
one whose machine has other code is refused.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import ray
import torch
from jaxtyping import Bool
from ray.exceptions import RayError, RayTaskError
from torch import Tensor, nn

from gon_core import evaluation
from gon_core.data.files import DataFileError
from gon_core.data.imagenet_c_folder import ImageNetC
from gon_core.evaluation.corrupted_sets import EvaluationSet
from gon_core.formats import evaluation_code
from gon_core.measurement import Measurement
from sweeps.engine.backend.cluster import other_code, put
from sweeps.engine.resources.cluster_check import ClusterError
from sweeps.engine.resources.resources import Resources
from sweeps.engine.trials.trial import make_deterministic


class Shards:
    """Has the functions of ``gon_core.evaluation`` of the same names; rows keep their order.

    One model is sent once, as it is when this is made: hooks that it gets later may work in this
    process alone. The functions take it again, as those that they replace do.

    Args:
        resources: of each task.
        model: on the CPU.

    Raises:
        ClusterError: here or from each function: the cluster was lost, or a machine has other code.
    """

    def __init__(self, resources: Resources, model: nn.Module) -> None:
        self._resources, self._model = resources, model
        with _in_one_line():
            self._sent = put(model)

    def evaluate_images(
        self, model: nn.Module, evaluation_set: EvaluationSet, bf16: bool = False
    ) -> Iterator[tuple[Measurement, Bool[Tensor, " image"]]]:
        """Yield the accuracy on clean images and under each corruption, and which are right."""
        shards = [evaluation_set.only(key) for key in evaluation_set.images]
        return self._run(_evaluate, model, shards, bf16)

    def evaluate_imagenet_c(self, model: nn.Module, images: ImageNetC) -> Iterator[Measurement]:
        """Yield the accuracy of ``model`` under each corruption at each severity.

        Every machine reads the images from the folder, which must be there on all of them.
        """
        shards = [replace(images, corruptions=(name,)) for name in images.corruptions]
        return self._run(_evaluate, model, shards, False)

    def _run(self, function: Any, model: nn.Module, shards: list[Any], bf16: bool) -> Iterator[Any]:
        assert model is self._model, "each model has shards of its own"
        resources = self._resources
        # Ray would end a process that had a GPU after each task, and the next one loads torch and
        # starts CUDA anew, which takes longer than most shards. The driver's end ends them all.
        options = {"num_cpus": resources.cpus, "num_gpus": resources.gpus, "max_calls": 0}
        task, how = ray.remote(**options)(_on_a_machine), (resources, bf16, evaluation_code())
        with _in_one_line():
            found = [task.remote(function, self._sent, shard, *how) for shard in shards]
        for reference in found:
            with _in_one_line():
                rows = ray.get(reference)
            yield from rows


@contextmanager
def _in_one_line() -> Iterator[None]:
    """Raise what ended a task, or Ray, in one line, without the pages that Ray prints of it."""
    try:
        yield
    except (RayError, ConnectionError) as error:
        cause = error.cause if isinstance(error, RayTaskError) else None
        if isinstance(cause, ClusterError | DataFileError):
            raise cause from None
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise ClusterError(f"the models cannot be evaluated by the cluster: {reason}") from error


def _on_a_machine(
    function: Any, model: nn.Module, shard: Any, resources: Resources, bf16: bool,
    code: dict[str, int | str],
) -> list[Any]:  # fmt: skip
    if problem := other_code(code, evaluation_code()):
        raise ClusterError(problem)
    make_deterministic(resources.device, resources.cpus)
    try:
        return function(model.to(resources.device), shard, resources.device, bf16)
    finally:
        if resources.device == "cuda":
            torch.cuda.empty_cache()  # what another process on this GPU may need


def _evaluate(
    model: nn.Module, shard: EvaluationSet | ImageNetC, device: str, bf16: bool
) -> list[Any]:
    if isinstance(shard, EvaluationSet):
        return list(evaluation.evaluate_images(model, shard.to(device), bf16))
    with torch.inference_mode():
        return list(evaluation.evaluate_imagenet_c(model, shard, bf16=bf16, device=device))
