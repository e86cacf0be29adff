"""Noise of a fresh generator trained alone against a frozen classifier until it converges."""

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gon_core.config import ANT
from gon_core.data.splits import Images
from gon_core.evaluation.frozen import frozen
from gon_core.evaluation.noise_directions import Noise
from gon_core.noise import NoiseGenerator
from gon_core.seeding import generator as new_stream
from gon_core.training.ant import ascend
from gon_core.training.batches import permutation
from gon_core.training.checkpoints import restore_model
from gon_core.training.opponent import STREAMS, adam, new_opponent
from gon_core.training.optimizers import SGD
from gon_core.training.recordings import MakeRecordings, Recordings, on_device
from gon_core.training.runner import EagerRunner, GraphRunner, Runner
from gon_core.training.state import TrainingState


@dataclass(frozen=True)
class AdversarialNoise:
    """A generator trained against one classifier, and how its training went.

    Attributes:
        noise: what ``median_perturbation_size`` wants, named by the size of the kernels.
        generator: after its training.
        losses: the classifier's mean cross entropy in nats over each block of steps.
        converged: whether the loss reached a plateau within the limit of steps.
    """

    noise: Noise
    generator: NoiseGenerator
    losses: tuple[float, ...]
    converged: bool


def adversarial_noise(
    model: nn.Module,
    data: Images,
    method: ANT,
    seed: int,
    *,
    batch_size: int = 300,
    block: int = 100,
    patience: int = 3,
    min_improvement: float = 0.01,
    max_blocks: int = 100,
    recordings: MakeRecordings = on_device,
) -> AdversarialNoise:
    """Train a fresh noise generator against ``model`` as it is, to convergence.

    It has converged when the mean loss over a block of steps was not above the best block before
    by ``min_improvement`` of it, ``patience`` blocks in a row.

    Args:
        model: the classifier, on the images' device; measured in evaluation mode and restored.
        data: images to train on, not those that are measured.
        method: epsilon, kernels and depth of the generator, and the learning rate of a generator
            that trains alone; its shares and intervals do not matter.
        seed: of weights, order and noise; equal seeds give equal bits.
        batch_size: images of a step.
        block: steps whose losses are averaged.
        patience: blocks without improvement that end the training, at least 1.
        min_improvement: relative, >= 0.
        max_blocks: limit of blocks, at least 1.
        recordings: makes what does the steps.

    Raises:
        ValueError: a number out of range, or no images; the message names all of them.

    References:
        The paper's Table 2: an adversarial noise generator is trained until convergence for each
        model, appendix A for the two kinds of kernels.
    """
    _check(data, batch_size, block, patience, min_improvement, max_blocks)
    device = data.labels.device
    # Shuffling and first weights are drawn on the CPU, the noise where the images are.
    streams = {
        name: new_stream(seed, "adversarial noise", method.kernel_size, name) for name in STREAMS
    }
    streams["noise"] = new_stream(
        seed, "adversarial noise", method.kernel_size, "noise", device=device
    )
    channels = data.batch(slice(0, 1)).shape[1]
    opponent = new_opponent(method, streams, device, channels)
    opponent.optimizer = adam(opponent.generator, method.pretraining_learning_rate)
    with frozen(model):
        # Its optimiser takes no step: the classifier stays as it is.
        state = TrainingState(model, SGD(model.parameters()), streams, opponent)
        runner = _runner(state, data, recordings(device, streams.values()))
        order = streams["pretraining order"]  # a new one each time through the images
        endless = (
            batch
            for _ in itertools.count()
            for batch in runner.batches(permutation(data, order).split(batch_size))
        )
        of_block = torch.zeros(block, device=device)
        place = torch.zeros(1, dtype=torch.int64, device=device)

        def step(images: Tensor, labels: Tensor) -> None:
            loss = ascend(state, opponent, images, labels, bf16=False).loss
            of_block.index_copy_(0, place, loss.view(1))
            place.add_(1)

        losses: list[float] = []
        best, stale = 0.0, 0
        while len(losses) < max_blocks and stale < patience:
            place.zero_()
            for batch in itertools.islice(endless, block):
                runner.run("step of a generator", step, batch)
            losses.append(float(of_block.mean()))
            if losses[-1] > best * (1 + min_improvement):
                best, stale = losses[-1], 0
            else:
                stale += 1
    trained = opponent.generator.requires_grad_(False)
    noise = Noise(_name(method), trained.sample)
    return AdversarialNoise(noise, trained, tuple(losses), stale >= patience)


def _runner(state: TrainingState, data: Images, recordings: Recordings) -> Runner:
    return GraphRunner(state, data, recordings) if recordings.records else EagerRunner(state, data)


def restore_noise(weights: bytes, method: ANT, device: torch.device, channels: int = 1) -> Noise:
    """Return the noise of a generator that was trained before.

    Args:
        weights: of ``AdversarialNoise.generator``, as ``checkpoints.dump_model`` returns them.
        method: what it was trained with.
        device: where the images are.
        channels: of the images.

    Raises:
        ValueError: the weights are not those of such a generator.
    """
    generator = NoiseGenerator(channels, method.depth, method.kernel_size).to(device)
    restore_model(generator, weights)
    return Noise(_name(method), generator.requires_grad_(False).sample)


def _name(method: ANT) -> str:
    return f"adversarial_{method.kernel_size}x{method.kernel_size}"


def _check(
    data: Images,
    batch_size: int,
    block: int,
    patience: int,
    min_improvement: float,
    max_blocks: int,
) -> None:
    counts = {
        "images": len(data),
        "batch_size": batch_size,
        "block": block,
        "patience": patience,
        "max_blocks": max_blocks,
    }
    problems = [f"{name} must be at least 1, got {n}" for name, n in counts.items() if n < 1]
    if not 0 <= min_improvement < math.inf:
        problems.append(f"min_improvement must be >= 0, got {min_improvement}")
    if problems:
        raise ValueError("; ".join(problems))
