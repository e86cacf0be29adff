"""Accuracy under the attacks of appendix F: PGD in l-infinity and DDN in l2."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Generator, Tensor, nn

from gon_core.benchmarks.attacks import Attack, DDNAttack, PGDAttack
from gon_core.data.splits import Images
from gon_core.evaluation.accuracy import batch_size, batches
from gon_core.evaluation.attack_steps import Attacker, is_near, misclassified
from gon_core.evaluation.frozen import frozen
from gon_core.measurement import Measurement
from gon_core.training.recordings import MakeRecordings, on_device

__all__ = ["Attack", "DDNAttack", "PGDAttack", "attack_accuracy", "broken", "perturb"]


def attack_accuracy(
    model: nn.Module,
    data: Images,
    attack: Attack,
    stream: Generator,
    recordings: MakeRecordings = on_device,
) -> Measurement:
    """Return how many images ``model`` still classifies right under ``attack``.

    Images that are wrong without an attack are counted as wrong and not attacked.

    Args:
        model: images in [0, 1] -> logits, on the images' device. It is attacked in evaluation mode
            with its weights frozen; modes, ``requires_grad`` and gradients stay as they were.
        data: images and labels; at least one.
        attack: which, and how large.
        stream: source of all that is random, on the images' device; the global streams neither
            matter nor move.
        recordings: makes what does the steps.

    Raises:
        ValueError: there are no images.

    References:
        Appendix F and Table 7.
    """
    if not len(data):
        raise ValueError("there are no images to attack")
    correct = torch.zeros((), dtype=torch.int64, device=data.labels.device)
    attacker = Attacker(model, attack, stream, recordings)
    with frozen(model):
        for levels, labels in batches(data, batch_size(data)):
            images = levels.float().div_(255)
            right = ~misclassified(model, images, labels)
            images, labels = images[right], labels[right]
            if len(images):
                found = attacker.perturb(images, labels)
                correct += len(images) - broken(model, images, found, labels, attack).sum()
    return Measurement(
        measure="attacks",
        split="test",
        setting=attack.name,
        value=100 * int(correct) / len(data),
        count=len(data),
        extra={"correct": int(correct), "norm": attack.norm, "size": attack.size},
    )


def perturb(
    model: nn.Module,
    images: Float[Tensor, "batch channel height width"],
    labels: Int64[Tensor, " batch"],
    attack: Attack,
    stream: Generator,
) -> Float[Tensor, "batch channel height width"]:
    """Return what ``attack`` makes of ``images``; see ``Attacker``.

    Args:
        model: the classifier, ``frozen``.
        images: values in [0, 1], at least one.
        labels: their classes.
        attack: which, and how large.
        stream: source of all that is random, on the images' device.
    """
    return Attacker(model, attack, stream).perturb(images, labels)


def broken(
    model: nn.Module,
    images: Float[Tensor, "batch channel height width"],
    found: Float[Tensor, "batch channel height width"],
    labels: Int64[Tensor, " batch"],
    attack: Attack,
) -> Bool[Tensor, " batch"]:
    """Return for which images ``found`` is misclassified and no farther than the attack's size."""
    return is_near(found, images, attack) & misclassified(model, found, labels)
