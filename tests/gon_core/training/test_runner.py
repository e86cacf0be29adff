"""Steps replayed as a whole do what they do one operation after the other, to the bit."""

import logging

import pytest
import torch
from torch import nn

from gon_core.blank import blank
from gon_core.config import ANT, GNT, TrainingConfig, Vanilla
from gon_core.data.augmentation import flip_and_crop
from gon_core.models.madry_cnn import initialise
from gon_core.noise import augmentation_chains, sphere
from gon_core.seeding import generator
from gon_core.training import StoppedError, checkpoints, new_state, train
from gon_core.training.precision import products_of
from gon_core.training.recordings import TRIES, Recordings
from gon_core.training.runner import EagerRunner, GraphRunner, runner_for
from tests.gon_core.training.tape import TapeRecorder
from tests.gon_core.training.test_every_method import EVERY, KINDS, own, proceed

# The rate falls from step to step, by numbers that float32 has: 4 epochs of 4 steps.
CONFIG = TrainingConfig(batch_size=16, learning_rate=1 / 16, anneals=True, max_epochs=4)
IMAGES = 56
OFTEN = {"reset_interval": 0.5, "pretraining_steps": 2}  # more past generators with each epoch
CAPTURED = [
    method.model_copy(update=OFTEN) if isinstance(method, ANT) else method for method in EVERY
]


def classifier():
    """Return a small one whose normalisation has statistics."""
    model = nn.Sequential(
        blank(nn.Conv2d, 1, 4, 5, stride=3), nn.BatchNorm2d(4), nn.ReLU(),
        nn.Flatten(), blank(nn.Linear, 4 * 8 * 8, 10),
    )  # fmt: skip
    initialise(model, generator(0, "initial weights"))
    return model


def begin(method, config=CONFIG, seed=0, **keywords):
    count = IMAGES * 5 // 4 if own(method, 5) else IMAGES
    return new_state(classifier(), config, seed, method, own_images=own(method, count), **keywords)


def graphs(recorder):
    return lambda state, data: GraphRunner(state, data, Recordings(recorder))


@pytest.fixture
def recorder(monkeypatch):
    """A tape of each work. Compiled kernels would not work under a dispatch mode."""
    monkeypatch.setattr(sphere, "FIXED_CALLS", 1)  # the others do the same
    return TapeRecorder()


def of_each(method):
    """Return a case: gnt is a default test, one of each other kind a system test."""
    is_slow = method.variant not in KINDS
    marks = pytest.mark.slow if is_slow else pytest.mark.system
    return pytest.param(method, marks=() if method.variant == "gnt" else marks, id=method.variant)


@pytest.mark.parametrize("method", map(of_each, CAPTURED))
def test_replayed_steps_are_the_steps(method, digits, recorder, monkeypatch):
    data = digits(IMAGES * 5 // 4 if own(method, 5) else IMAGES)
    with monkeypatch.context() as patch:
        patch.setattr(augmentation_chains, "picks_rows", lambda device: False)  # as on a GPU
        found = proceed(begin(method), data, method, CONFIG, runner=graphs(recorder))
    assert recorder.recorded >= 2 and recorder.replayed >= 8
    assert found == proceed(begin(method), data, method, CONFIG)


@pytest.mark.system
@pytest.mark.parametrize("method", [GNT(sigma=0.3), CAPTURED[-2]], ids=lambda each: each.method)
def test_in_bf16_too(method, digits, recorder):
    config = CONFIG.model_copy(update={"precision": "bf16"})
    found = proceed(begin(method), digits(IMAGES), method, config, runner=graphs(recorder))
    assert recorder.replayed >= 8
    assert found == proceed(begin(method), digits(IMAGES), method, config)


def test_trainings_side_by_side_keep_to_their_own_numbers(digits, recorder):
    """Two trials of one shape in one process, a step of an epoch of each in turn."""
    methods = [GNT(sigma=0.3), GNT(sigma=0.6)]
    states = [begin(method, seed=seed) for seed, method in enumerate(methods)]
    both = [
        train(state, digits(IMAGES), method, CONFIG, runner=graphs(recorder))
        for state, method in zip(states, methods, strict=True)
    ]
    found = [[metrics.train_loss for metrics in pair] for pair in zip(*both, strict=True)]
    for i, method in enumerate(methods):
        alone = train(begin(method, seed=i), digits(IMAGES), method, CONFIG)
        assert [metrics.train_loss for metrics in alone] == [losses[i] for losses in found]


@pytest.mark.system
# Before and after a graph is recorded.
@pytest.mark.parametrize("steps", [pytest.param(2, marks=pytest.mark.slow), 9])
def test_a_stopped_training_goes_on_to_the_same_bits(steps, digits, recorder):
    method, data = CAPTURED[-2], digits(IMAGES)
    history, dumps = proceed(begin(method), data, method, CONFIG)
    left = iter(range(steps))
    first = begin(method)
    with pytest.raises(StoppedError):
        list(train(first, data, method, CONFIG, lambda: next(left, None) is None, graphs(recorder)))
    state = begin(method, seed=99)
    checkpoints.restore(state, checkpoints.dump(first))
    found, written = proceed(state, data, method, CONFIG, runner=graphs(recorder))
    assert found == history[-len(found) :] and written == dumps[-len(written) :]


class Decoded:
    """Images of which each batch is made when it is wanted."""

    def __init__(self, images):
        self._images = images
        self.labels, self.device, self.side = images.labels, images.device, images.side
        self.least_area = 0.5  # so that an epoch has a seed

    def __len__(self):
        return len(self._images)

    def __getitem__(self, index):
        return Decoded(self._images[index])

    def batch(self, index):
        return self._images.images[index]

    def batches(self, indices, seed=None, rows=None):
        assert seed is not None
        for index in indices:
            yield (self.batch(index).int() + seed % 100).to(torch.uint8)

    def first(self, count):
        return self[:count]

    def to(self, device):
        return self


@pytest.mark.system
@pytest.mark.parametrize(
    "method",
    [Vanilla(), pytest.param(CAPTURED[-2], marks=pytest.mark.slow)],
    ids=lambda each: each.method,
)
def test_decoded_and_augmented_images_reach_the_graph(method, digits, recorder):
    data = Decoded(digits(IMAGES))
    found = [
        proceed(begin(method, augment=flip_and_crop), data, method, CONFIG, runner=runner)
        for runner in (graphs(recorder), EagerRunner)
    ]
    assert recorder.replayed >= 8 and found[0] == found[1]


def test_each_work_is_recorded_once_for_each_size_after_it_was_tried_out(digits, recorder):
    proceed(begin(Vanilla()), digits(IMAGES), Vanilla(), CONFIG, runner=graphs(recorder))
    assert (recorder.tried, recorder.recorded) == (2 * TRIES, 2)
    assert recorder.replayed == 16 - recorder.tried


def wait(work):
    work()
    return False


def fail(work):
    raise RuntimeError("out of memory\nand more")


WAITS = {"try_out": wait}, "the host waits for the device in it"


@pytest.mark.parametrize(("fault", "reason"), [WAITS, ({"record": fail}, "out of memory")])
def test_a_work_that_is_no_graph_is_done_as_before(fault, reason, digits, recorder, caplog):
    vars(recorder).update(fault)
    method, data = Vanilla(), digits(IMAGES)
    with caplog.at_level(logging.WARNING):
        found = proceed(begin(method), data, method, CONFIG, runner=graphs(recorder))
    assert found == proceed(begin(method), data, method, CONFIG)
    messages = [record.message for record in caplog.records]
    assert messages == [f"no graph of each step: {reason}"] * 2  # for each size of batch


def test_a_tape_refuses_what_no_graph_holds(recorder):
    number = torch.ones(())
    for read in (number.item, lambda: torch.ones(3).nonzero(), lambda: torch.tensor([1.0]) + 1):
        with pytest.raises(AssertionError, match="wait for the device"):
            recorder.record(read)
    place = nn.Parameter(torch.zeros(3))
    replay = recorder.record(lambda: place.detach().add_(1))
    assert place.sum() == 0
    replay()
    assert place.sum() == 3
    place.data = torch.zeros(3)
    with pytest.raises(AssertionError, match="old place"):
        replay()


def test_a_cpu_runs_one_operation_after_the_other(digits):
    assert isinstance(runner_for(begin(Vanilla()), digits(IMAGES), CONFIG), EagerRunner)


def test_tf32_is_of_gpus_while_they_train(digits):
    config = CONFIG.model_copy(update={"precision": "tf32"})
    with pytest.raises(ValueError, match="precision must be fp32 or bf16 on a CPU"):
        next(train(begin(Vanilla()), digits(IMAGES), Vanilla(), config))

    def flags():
        return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32

    before = flags()
    for each, rounds in ((config, True), (CONFIG, False)):
        with products_of(each, torch.device("cuda")):
            assert flags() == (rounds, rounds)
        with products_of(each, torch.device("cpu")):
            assert flags() == before
        assert flags() == before
