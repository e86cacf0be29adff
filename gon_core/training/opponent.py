"""The classifier's opponent in adversarial noise training: the generator, and what it remembers."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Generator, Tensor

from gon_core.config import ANT, Method
from gon_core.noise import NoiseGenerator, Replay
from gon_core.training.optimizers import Adam
from gon_core.training.state import TrainingState

# Random streams: initial weights, the images that a fresh generator trains alone on, and the choice
# of past generators. Noise itself comes from the stream that every method has.
STREAMS = ("generator weights", "pretraining order", "replay")
ALONE = ("alone.steps", "alone.order")  # of a generator that trains alone
MOMENTS = ("exp_avg", "exp_avg_sq", "step")  # what Adam keeps of each parameter


@dataclass(frozen=True)
class Outcome:
    """How the classifier did on a batch with the current generator's noise.

    Attributes:
        loss: mean cross entropy in nats.
        correct: which images it got right.
        unattainable: which images no noise in this direction can change by epsilon.
    """

    loss: Float[Tensor, ""]
    correct: Bool[Tensor, " batch"]
    unattainable: Bool[Tensor, " batch"]


@dataclass
class Opponent:
    """The noise generator that trains against the classifier, and all that its training depends on.

    Attributes:
        method: its configuration.
        channels: of the images.
        generator: the current one.
        optimizer: Adam over its parameters.
        replay: past generators, unless they have no share of the batches.
        steps: of the classifier so far; the generator is replaced at multiples of the interval.
        resets: generators replaced so far.
        steps_alone: of the current generator, while it trains alone; 0 before and after.
        order_alone: of the images that it trains on alone.
        sums: of the epoch so far: loss, images right, images unattainable, images.
    """

    method: ANT
    channels: int
    generator: NoiseGenerator
    optimizer: torch.optim.Adam
    replay: Replay
    sums: Float64[Tensor, "4"]
    steps: int = 0
    resets: int = 0
    steps_alone: int = 0
    order_alone: Int64[Tensor, " image"] | None = None

    @property
    def form(self) -> bool:
        """Whether there are past generators, which have a part of each batch."""
        return len(self.replay) > 0

    def restart(self, learning_rate: float) -> None:
        """Let the optimiser begin anew, in place: a graph knows where its moments are."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        for moments in self.optimizer.state.values():
            for moment in moments.values():
                moment.zero_()

    def replace(self, weights: Generator) -> None:
        """Replace the current generator by a fresh one, drawn from ``weights``, in place."""
        if self.method.past_share > 0:
            self.replay.add(self.generator)
        fresh = fresh_generator(self.method, self.channels, weights, self.sums.device)
        self.generator.load_state_dict(fresh.state_dict())
        self.resets += 1

    def count(self, outcome: Outcome) -> None:
        """Add one generator step to the epoch's metrics."""
        images = len(outcome.correct)
        if not images:  # the mean over none is NaN
            return
        # Kept on the device: reading a value would make it wait at every step.
        self.sums[0] += outcome.loss * images
        self.sums[1] += outcome.correct.sum()
        self.sums[2] += outcome.unattainable.sum()
        self.sums[3] += images

    def end_epoch(self) -> dict[str, float]:
        """Return the epoch's metrics and start the next.

        Returns:
            ``generator_loss`` and ``generator_accuracy``: the classifier's mean cross entropy in
            nats, and its accuracy in percent, on images with the current generator's noise, before
            each of the generator's steps; ``share_unattainable``: the percentage of these images
            that could not be changed by epsilon; ``resets`` so far.
        """
        loss, correct, unattainable, images = self.sums.tolist()
        self.sums.zero_()
        return {
            "generator_loss": loss / images,
            "generator_accuracy": 100 * correct / images,
            "share_unattainable": 100 * unattainable / images,
            "resets": float(self.resets),
        }

    def state_dict(self) -> dict[str, Tensor]:
        """Return all that the rest of the training depends on."""
        parameters = dict(self.generator.named_parameters())
        generator = {f"generator.{name}": value.detach() for name, value in parameters.items()}
        moments = {
            f"adam.{name}.{moment}": self.optimizer.state[parameter][moment]
            for name, parameter in parameters.items()
            if parameter in self.optimizer.state
            for moment in MOMENTS
        }
        numbers = {"steps": torch.tensor(self.steps), "resets": torch.tensor(self.resets)}
        rest = {"replay": self.replay.states, "sums": self.sums}
        if self.order_alone is not None:
            rest |= {ALONE[0]: torch.tensor(self.steps_alone), ALONE[1]: self.order_alone}
        return generator | moments | numbers | rest

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """Set it to what ``state_dict`` returned.

        Raises:
            ValueError: these are not the tensors of a generator of this architecture.
        """
        self._refuse_others(tensors)
        self.steps_alone, self.order_alone = 0, None
        learning_rate = self.method.generator_learning_rate
        if ALONE[0] in tensors:
            self.steps_alone = int(tensors[ALONE[0]])
            self.order_alone = tensors[ALONE[1]].to(self.sums.device, copy=True)
            learning_rate = self.method.pretraining_learning_rate
        self.optimizer = adam(self.generator, learning_rate)
        with torch.no_grad():
            for name, parameter in self.generator.named_parameters():
                parameter.copy_(tensors[f"generator.{name}"])
                if f"adam.{name}.step" in tensors:  # none before the first step
                    self.optimizer.state[parameter] = {
                        moment: tensors[f"adam.{name}.{moment}"].to(parameter.device, copy=True)
                        for moment in MOMENTS
                    }
        self.replay.states = tensors["replay"].to(self.replay.states.device, copy=True)
        self.steps, self.resets = int(tensors["steps"]), int(tensors["resets"])
        self.sums.copy_(tensors["sums"])

    def _refuse_others(self, tensors: dict[str, Tensor]) -> None:
        found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        expected: dict[str, tuple[int, ...]] = {"steps": (), "resets": (), "sums": (4,)}
        stepped = any(name.startswith("adam.") for name in found)
        for name, parameter in self.generator.named_parameters():
            shape = tuple(parameter.shape)
            expected[f"generator.{name}"] = shape
            if stepped:
                expected |= {f"adam.{name}.{moment}": shape for moment in MOMENTS}
                expected[f"adam.{name}.step"] = ()
        if ALONE[0] in found:  # of as many images as there are
            expected |= {ALONE[0]: (), ALONE[1]: found.get(ALONE[1], (0,))[:1]}
        expected["replay"] = (*found.get("replay", ())[:1], self.replay.states.shape[1])
        for name in sorted(expected.keys() | found.keys()):
            if expected.get(name) != found.get(name):
                raise ValueError(
                    f"not the state of a noise generator of depth {self.method.depth} and kernel "
                    f"size {self.method.kernel_size}: {name} has the shape {found.get(name)} "
                    f"instead of {expected.get(name)}"
                )
        most = self.method.pretraining_steps
        if ALONE[0] in tensors and not 0 < int(tensors[ALONE[0]]) <= most:
            raise ValueError(f"{int(tensors[ALONE[0]])} of {most} steps of a generator alone")


def new_opponent(
    method: ANT, streams: dict[str, Generator], device: torch.device, channels: int = 1
) -> Opponent:
    """Return the opponent before the first step.

    Args:
        method: its configuration.
        streams: of the training, with those named in ``STREAMS``.
        device: where the images are.
        channels: of the images.
    """
    generator = fresh_generator(method, channels, streams["generator weights"], device)
    optimizer = adam(generator, method.generator_learning_rate)
    sums = torch.zeros(4, dtype=torch.float64, device=device)
    return Opponent(method, channels, generator, optimizer, Replay(generator), sums)


def check_opponent(state: TrainingState, method: Method) -> None:
    """Raise ValueError if the opponent in ``state`` is not the one that ``method`` needs.

    All methods but ANT need none.
    """
    wanted = method if isinstance(method, ANT) else None
    found = state.method_state.method if isinstance(state.method_state, Opponent) else None
    if wanted != found:
        raise ValueError(
            f"the training state was made for {found or 'a method without opponent'!r}, "
            f"not for {method!r}: give new_state the method"
        )


def fresh_generator(
    method: ANT, channels: int, weights: Generator, device: torch.device
) -> NoiseGenerator:
    """Return an untrained generator; its weights are drawn from ``weights``, on the CPU."""
    return NoiseGenerator(channels, method.depth, method.kernel_size, weights).to(device)


def adam(generator: NoiseGenerator, learning_rate: float) -> torch.optim.Adam:
    """Return a fresh optimiser of a generator's parameters."""
    on_gpu = next(generator.parameters()).device.type == "cuda"
    return Adam(generator.parameters(), lr=learning_rate, fused=True, capturable=on_gpu)
