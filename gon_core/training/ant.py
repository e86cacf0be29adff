"""Adversarial noise training (ANT): a noise generator and the classifier train against each other.

Convergence (appendix B) is judged by the classifier's training loss, over the batches as it was
trained on them. That loss moves when a generator is replaced. At the paper's interval of 0.33
every epoch's mean holds three generators, so the rule stays as it is. For intervals of several
epochs ``patience`` should span more than one of them: otherwise the loss under a fresh generator
hides that the classifier still improves.
"""

import math
from collections.abc import Iterator

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from gon_core.config import ANT, TrainingConfig
from gon_core.data.splits import Images
from gon_core.noise import scale_to_sphere, scale_to_sphere_checked
from gon_core.noise.share import counted_from
from gon_core.training.batches import permutation
from gon_core.training.descent import descend_own
from gon_core.training.loop import Prepare, Step
from gon_core.training.opponent import Opponent, Outcome
from gon_core.training.runner import Runner
from gon_core.training.second_source import rows_of_batch
from gon_core.training.state import TrainingState


def make_step(method: ANT, training: TrainingConfig, data: Images) -> Step:
    """Return the step of both networks: first the generator's, then the classifier's.

    With ``method.stylized_share`` the last rows of the batch are stylised images; the generator is
    not shown them.

    References:
        The paper's section on adversarial noise training, and appendix B.
    """
    bf16 = training.precision == "bf16"

    def step(state: TrainingState, images, labels):
        opponent = opponent_of(state)
        rows = rows_of_batch(len(labels), method.stylized_share)
        clean, clean_labels = images[:rows], labels[:rows]
        opponent.count(ascend(state, opponent, clean, clean_labels, bf16))
        if len(clean) < len(images):
            last = split_batch(rows, method, replay=False)[0]
            clean = with_rows(clean, images[rows:], last)
            clean_labels = with_rows(clean_labels, labels[rows:], last)
        return descend_own(state, mix(state, opponent, clean), clean_labels, bf16)

    return step


def make_prepare(method: ANT, training: TrainingConfig, data: Images) -> Prepare:
    """Return what comes before a step: replacing the generator, and choosing past ones.

    Args:
        method: shares and the interval.
        training: batch size and precision.
        data: the training images; a fresh generator is trained alone on them, in another order.
    """
    bf16 = training.precision == "bf16"
    alone: Iterator[None] | None = None

    def prepare(state: TrainingState, batch_size: int, runner: Runner) -> bool:
        nonlocal alone
        opponent = opponent_of(state)
        steps = math.ceil(state.images_of_an_epoch(data) / training.batch_size)
        interval = reset_steps(method, steps)
        if opponent.steps % interval == 0:
            alone = alone or train_alone(state, opponent, data, training.batch_size, bf16, runner)
            for _ in alone:  # one step: a training can be stopped behind it
                return True
            alone = None
        opponent.steps += 1
        *_, past = split_batch(batch_size, method, replay=len(opponent.replay) > 0)
        if past:
            opponent.replay.choose(state.streams["replay"])
        return False

    return prepare


def opponent_of(state: TrainingState) -> Opponent:
    """Return the opponent of a training with ANT."""
    assert isinstance(state.method_state, Opponent)
    return state.method_state


def ascend(
    state: TrainingState,
    opponent: Opponent,
    images: Float[Tensor, "batch channel height width"],
    labels: Int64[Tensor, " batch"],
    bf16: bool,
) -> Outcome:
    """Take one step of the generator up the classifier's loss; return the outcome before it.

    Every image of the batch gets noise. The classifier is in evaluation mode meanwhile, and no
    gradients of its weights are computed. The outcome is of the process's own rows.
    """
    group, whole = state.group, len(labels)
    noise = opponent.generator.sample(images, state.streams["noise"], group.rows)
    images, labels = group.own(images), group.own(labels)
    epsilon = opponent.method.epsilon
    noisy, unattainable = scale_to_sphere_checked(images, noise, epsilon, fixed_steps=True)
    state.model.eval()
    with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
        logits = state.model(noisy)
    state.model.train()
    loss = nn.functional.cross_entropy(logits.float(), labels)
    opponent.optimizer.zero_grad(set_to_none=True)
    (-loss).backward(inputs=list(opponent.generator.parameters()))
    group.add_gradients(opponent.generator.parameters(), len(labels), whole)
    opponent.optimizer.step()
    return Outcome(loss.detach(), logits.detach().argmax(1) == labels, unattainable)


@torch.no_grad()
def mix(
    state: TrainingState, opponent: Opponent, images: Float[Tensor, "batch channel height width"]
) -> Float[Tensor, "own channel height width"]:
    """Return the classifier's batch: clean images, then current noise, then past noise.

    The past generators are those that ``Replay.choose`` put in use. Returned are the process's own
    rows of the whole batch.
    """
    parts = split_batch(len(images), opponent.method, replay=len(opponent.replay) > 0)
    clean, current, past = images.split(parts)
    rows, stream = state.group.rows, state.streams["noise"]
    noisy_rows = counted_from(rows, len(clean))
    noise = opponent.generator.sample(current, stream, noisy_rows)
    if len(past):
        past_rows = counted_from(noisy_rows, len(current))
        replayed = opponent.replay.sample(past, stream, past_rows)
        noise = torch.cat([noise, replayed])
    images, epsilon = images[len(clean) :][noisy_rows], opponent.method.epsilon
    return torch.cat([clean[rows], scale_to_sphere(images, noise, epsilon, fixed_steps=True)])


def with_rows(batch: Tensor, rows: Tensor, end: int) -> Tensor:
    """Return a batch with ``rows`` in the place of those before its row ``end``."""
    return torch.cat([batch[: end - len(rows)], rows, batch[end:]])


def split_batch(batch_size: int, method: ANT, replay: bool) -> list[int]:
    """Return how many images of a batch stay clean, get current noise, and get past noise.

    The remainder of the shares goes to the current generator; so does the share of the past while
    there is none to ``replay``.
    """
    clean = int(batch_size * method.clean_share + 1e-9)
    past = int(batch_size * method.past_share + 1e-9) if replay else 0
    return [clean, batch_size - clean - past, past]


def train_alone(
    state: TrainingState, opponent: Opponent, data: Images, batch_size: int, bf16: bool,
    runner: Runner,
) -> Iterator[None]:  # fmt: skip
    """Train a fresh generator alone, against the classifier as it is; yield after each step.

    It replaces the current generator, unless it is the very first. It trains with its own optimiser
    on ``data``, in an order that is drawn anew for each epoch. The next batches are decoded while a
    step computes. A training that was stopped after a step resumes from the opponent.
    """
    method, progress = opponent.method, state.progress
    if opponent.steps_alone == 0:
        if opponent.steps > 0:
            opponent.replace(state.streams["generator weights"])
        opponent.restart(method.pretraining_learning_rate)
    count = state.images_of_an_epoch(data)
    seed = None if progress is None else progress.crop_seed

    def alone(images: Tensor, labels: Tensor) -> None:
        ascend(state, opponent, images, labels, bf16)

    while left := method.pretraining_steps - opponent.steps_alone:
        first = batch_size * (opponent.steps_alone % math.ceil(count / batch_size))
        if opponent.order_alone is None or first == 0:
            opponent.order_alone = permutation(data, state.streams["pretraining order"], count)
        indices = opponent.order_alone[first:].split(batch_size)[:left]
        batches = runner.batches(indices, seed, state.group)
        for batch in batches if progress is None else progress.timed(batches):
            runner.run("alone", alone, batch)
            opponent.steps_alone += 1
            yield
    opponent.restart(method.generator_learning_rate)
    opponent.steps_alone, opponent.order_alone = 0, None


def reset_steps(method: ANT, steps_per_epoch: int) -> int | float:
    """Return after how many steps a generator is replaced: at least 1; infinity for "never"."""
    if method.reset_interval == "never":
        return math.inf
    return max(1, round(method.reset_interval * steps_per_epoch))
