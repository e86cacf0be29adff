"""Accuracy under the attacks of appendix F: PGD in l-infinity and DDN in l2, both foolbox's.

Two things are added to foolbox. First, an image that is misclassified within the attack's size is
kept and left out of further steps. PGD breaks no fewer images for it, DDN exactly the same.
Second, the gradient of each image's loss is scaled to size 1 at the logits, in float64. Both
attacks use its direction alone, which float32 would lose for images that are classified with great
confidence.
"""

import contextlib
import os
from collections.abc import Iterator
from types import ModuleType

import torch
from jaxtyping import Bool, Float, Int64
from torch import Generator, Tensor, nn

from gon_core.benchmarks.attacks import Attack, DDNAttack, PGDAttack
from gon_core.data.splits import Images
from gon_core.evaluation.accuracy import batches
from gon_core.evaluation.frozen import frozen
from gon_core.measurement import Measurement

PGD_STEPS_AT_A_TIME = 10
"""Steps between two checks of which images are broken; a check costs a third of a step."""


def attack_accuracy(
    model: nn.Module, data: Images, attack: Attack, stream: Generator
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

    Raises:
        ValueError: there are no images.

    References:
        Appendix F and Table 7.
    """
    if not len(data):
        raise ValueError("there are no images to attack")
    correct = torch.zeros((), dtype=torch.int64, device=data.labels.device)
    with frozen(model):
        for levels, labels in batches(data):
            images = levels.float().div_(255)
            right = ~misclassified(model, images, labels)
            images, labels = images[right], labels[right]
            if len(images):
                found = perturb(model, images, labels, attack, stream)
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
    """Return what ``attack`` makes of ``images``, values in [0, 1].

    PGD returns images at most its size away; DDN the first misclassified ones that it found within
    its size, else the nearest that it found, and unchanged those for which it found none.

    Args:
        model: the classifier, ``frozen``.
        images: values in [0, 1], at least one.
        labels: their classes.
        attack: which, and how large.
        stream: source of all that is random, on the images' device.
    """
    match attack:
        case PGDAttack():
            return _descend(model, images, labels, attack, stream)
        case DDNAttack():
            foolbox = _import_foolbox()
            ddn = foolbox.attacks.DDNAttack(
                init_epsilon=attack.init_norm, steps=attack.steps, gamma=attack.gamma
            )
            remaining = _Remaining(model, images, labels, attack)
            wrapped = _wrapped(remaining, images)
            # It draws from the global stream a direction for gradients that are exactly 0.
            with _global_stream(stream):
                nearest = ddn.run(wrapped, images, foolbox.Misclassification(labels))
            return torch.where(remaining.left.view(-1, 1, 1, 1), nearest, remaining.found)


def _descend(
    model: nn.Module, images: Tensor, labels: Tensor, attack: PGDAttack, stream: Generator
) -> Tensor:
    foolbox = _import_foolbox()

    class Continued(foolbox.attacks.LinfProjectedGradientDescentAttack):
        """PGD that continues from given images, in the ball around the original ones."""

        def __init__(self, start: Tensor, steps: int) -> None:
            super().__init__(abs_stepsize=attack.step_size, steps=steps, random_start=True)
            self.start = start

        def get_random_start(self, x0, epsilon):  # foolbox's tensors come in and go out
            return type(x0)(self.start)

    wrapped = _wrapped(_Directions(model), images)
    start = torch.empty_like(images).uniform_(-attack.size, attack.size, generator=stream)
    found = (images + start).clamp_(0.0, 1.0)
    left = torch.arange(len(images), device=images.device)
    for done in range(0, attack.steps, PGD_STEPS_AT_A_TIME):
        unbroken = misclassified(model, found[left], labels[left]).logical_not_()
        left = left[unbroken]
        if not len(left):
            break
        pgd = Continued(found[left], min(PGD_STEPS_AT_A_TIME, attack.steps - done))
        criterion = foolbox.Misclassification(labels[left])
        found[left] = pgd.run(wrapped, images[left], criterion, epsilon=attack.size)
    return found


@torch.no_grad()
def misclassified(
    model: nn.Module,
    images: Float[Tensor, "batch channel height width"],
    labels: Int64[Tensor, " batch"],
) -> Bool[Tensor, " batch"]:
    """Return which images ``model`` gets wrong."""
    return model(images).argmax(1) != labels


def broken(
    model: nn.Module,
    images: Float[Tensor, "batch channel height width"],
    found: Float[Tensor, "batch channel height width"],
    labels: Int64[Tensor, " batch"],
    attack: Attack,
) -> Bool[Tensor, " batch"]:
    """Return for which images ``found`` is misclassified and no farther than the attack's size."""
    return _is_near(found, images, attack) & misclassified(model, found, labels)


def _is_near(found: Tensor, images: Tensor, attack: Attack) -> Tensor:
    distance = (found - images).flatten(1).norm(torch.inf if attack.norm == "linf" else 2, dim=1)
    return distance <= attack.size * (1 + 1e-5)  # but for rounding


class _Directions(nn.Module):
    """The classifier, with gradients from its logits backward of which only directions are kept."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        logits = self.model(images).double()
        if logits.requires_grad:
            logits.register_hook(_to_one)
        return logits


def _to_one(gradient: Tensor) -> Tensor:
    smallest = torch.finfo(gradient.dtype).tiny
    return gradient / gradient.abs().amax(1, keepdim=True).clamp_min(smallest)


class _Remaining(nn.Module):
    """The classifier for foolbox's DDN, which has all images go through all steps in one call.

    Images that are broken already are not classified again. Their logits are those of a right
    answer with gradient 0, so that DDN keeps nothing further of them. DDN's steps do not mix
    images: each remaining one takes the same steps as without this.
    """

    def __init__(self, model: nn.Module, images: Tensor, labels: Tensor, attack: DDNAttack) -> None:
        super().__init__()
        self.model = _Directions(model)
        self.images, self.labels, self.attack = images, labels, attack
        self.found = images.clone()
        self.left = torch.ones_like(labels, dtype=torch.bool)

    def forward(self, images: Tensor) -> Tensor:
        left = self.left.nonzero()[:, 0]
        if not len(left):
            return self._right(images, int(self.labels.max()) + 1)
        logits = self.model(images[left])
        wrong = logits.argmax(1) != self.labels[left]
        now = left[wrong & _is_near(images[left], self.images[left], self.attack)]
        self.found[now] = images[now].detach()
        self.left[now] = False
        return self._right(images, logits.shape[1]).index_copy(0, left, logits)

    def _right(self, images: Tensor, classes: int) -> Tensor:
        """Return logits that are right, and whose gradient is 0."""
        return (
            nn.functional.one_hot(self.labels, classes)
            + 0 * images.double().sum((1, 2, 3))[:, None]
        )


def _wrapped(model: nn.Module, images: Tensor):
    return _import_foolbox().PyTorchModel(model.eval(), bounds=(0, 1), device=images.device)


def _import_foolbox() -> ModuleType:
    # Only where it is used: it takes a third of a second. It imports GitPython for its model zoo,
    # which would refuse to be imported on a machine without git.
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    import foolbox

    return foolbox


@contextlib.contextmanager
def _global_stream(stream: Generator) -> Iterator[None]:
    """Let torch's global stream of the generator's device be a branch of ``stream`` meanwhile."""
    seed = int(torch.randint(2**62, (), generator=stream, device=stream.device))
    on_gpu = stream.device.type == "cuda"
    with torch.random.fork_rng(devices=[stream.device] if on_gpu else []):
        if on_gpu:
            with torch.cuda.device(stream.device):
                torch.cuda.manual_seed(seed)
        else:
            torch.default_generator.manual_seed(seed)
        yield
