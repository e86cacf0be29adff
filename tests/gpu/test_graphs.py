"""Steps replayed as CUDA graphs: the bits of the same steps one operation after the other."""

from threading import Thread

import pytest
import torch
from torch import nn

from gon_core.config import ANT, GNT, TrainingConfig, Vanilla
from gon_core.data.augmentation import flip_and_crop
from gon_core.models import MadryCNN
from gon_core.seeding import generator
from gon_core.training import StoppedError, checkpoints, cuda_graphs, new_state, train
from gon_core.training.recordings import TRIES
from gon_core.training.runner import EagerRunner, GraphRunner, runner_for
from tests.gon_core.training.test_every_method import EVERY, own, proceed

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]
# Two full batches and a smaller one an epoch; the learning rate falls from step to step.
CONFIG = TrainingConfig(batch_size=25, learning_rate=0.05, anneals=True, max_epochs=TRIES + 2)
COUNT = 60
OFTEN = {"reset_interval": 0.5, "pretraining_steps": 3}
METHODS = [
    method.model_copy(update=OFTEN) if isinstance(method, ANT) else method for method in EVERY
]
EVERY_METHOD = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.variant)
PRECISIONS = pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
ADVERSARIAL = METHODS[-2]


@pytest.fixture
def data(images):
    return images[0][: COUNT * 5 // 4].to("cuda")


@pytest.fixture
def recorded(monkeypatch):
    """How many works were recorded."""
    found, record = [], cuda_graphs.Recorder.record

    def counted(self, work):
        found.append(work)
        return record(self, work)

    monkeypatch.setattr(cuda_graphs.Recorder, "record", counted)
    return found


def begin(method, config=CONFIG, seed=0, model=None, **keywords):
    model = MadryCNN(generator(seed, "initial weights")) if model is None else model
    model = model.to("cuda", memory_format=torch.channels_last)
    return new_state(
        model, config, seed, method, own_images=own(method, COUNT * 5 // 4), **keywords
    )


def images_of(method, data):
    return data if own(method, 5) else data[:COUNT]


@PRECISIONS
@EVERY_METHOD
def test_a_graph_computes_the_bits_of_its_operations(method, precision, data, recorded):
    config = CONFIG.model_copy(update={"precision": precision})
    some = images_of(method, data)
    eager = proceed(begin(method, config), some, method, config, runner=EagerRunner)
    assert not recorded
    assert proceed(begin(method, config), some, method, config) == eager
    assert len(recorded) >= 2  # for each size of batch


@PRECISIONS
def test_with_batch_normalisation_and_augmentation_too(precision, images, recorded):
    def network():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(4),
            nn.Flatten(), nn.Linear(16 * 49, 10),
        )  # fmt: skip

    config = CONFIG.model_copy(update={"precision": precision})
    data = images[0][:COUNT].to("cuda")
    found = [
        proceed(begin(ADVERSARIAL, config, 0, network(), augment=flip_and_crop), data, ADVERSARIAL,
                config, runner=runner)
        for runner in (EagerRunner, None)
    ]  # fmt: skip
    assert found[0] == found[1] and recorded


@EVERY_METHOD
def test_a_stopped_training_goes_on_to_the_same_bits(method, data):
    some = images_of(method, data)
    history, dumps = proceed(begin(method), some, method, CONFIG)
    for steps in (1, TRIES, 3 * TRIES, 3 * TRIES + 1):  # some after graphs were recorded
        left = iter(range(steps))
        first = begin(method)
        with pytest.raises(StoppedError):
            list(train(first, some, method, CONFIG, lambda left=left: next(left, None) is None))
        state = begin(method, seed=99)
        checkpoints.restore(state, checkpoints.dump(first))
        found, written = proceed(state, some, method, CONFIG)
        assert found == history[-len(found) :] and written == dumps[-len(written) :]


@EVERY_METHOD
def test_the_host_does_not_wait_between_two_steps(method, images):
    """From the first recorded step of an epoch to its last."""
    if isinstance(method, ANT):  # a reset sends weights that are drawn on the host
        method = method.model_copy(update={"reset_interval": "never", "stylized_share": 0.0})
    steps = 4 * TRIES
    config = TrainingConfig(batch_size=20, max_epochs=1)
    taken = 0

    def look():
        nonlocal taken
        taken += 1
        torch.cuda.set_sync_debug_mode("error" if 2 * TRIES + 3 <= taken < steps else "default")
        return False

    try:
        (metrics,) = train(
            begin(method, config), images[0][: 20 * steps].to("cuda"), method, config, look
        )
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert taken >= steps and metrics.event == "max_epochs"


def test_trainings_side_by_side_keep_to_their_own_numbers(data):
    methods = [GNT(sigma=0.3), GNT(sigma=0.6), ADVERSARIAL]
    both = [
        train(begin(method, seed=seed), data[:COUNT], method, CONFIG)
        for seed, method in enumerate(methods)
    ]
    found = [[metrics.train_loss for metrics in three] for three in zip(*both, strict=True)]
    for i, method in enumerate(methods):
        alone = train(begin(method, seed=i), data[:COUNT], method, CONFIG)
        assert [metrics.train_loss for metrics in alone] == [losses[i] for losses in found]


def test_tf32_is_of_the_training_alone(data):
    losses = []
    for precision in ("fp32", "tf32"):
        config = CONFIG.model_copy(update={"precision": precision})
        epochs = train(begin(Vanilla(), config), data[:COUNT], Vanilla(), config)
        losses.append(next(epochs).train_loss)
        assert not torch.backends.cuda.matmul.allow_tf32
        assert not torch.backends.cudnn.allow_tf32
    assert losses[0] != losses[1] and losses[0] == pytest.approx(losses[1], rel=0.05)


class Reading(nn.Module):
    """A classifier that looks at a value in each step."""

    def __init__(self):
        super().__init__()
        self.network = MadryCNN(generator(0, "initial weights"))

    def forward(self, images):
        assert images.mean().item() >= 0
        return self.network(images)


def test_a_model_that_reads_from_the_device_is_trained_without_graphs(data, recorded, caplog):
    history, _ = proceed(begin(Vanilla(), model=Reading()), data[:COUNT], Vanilla(), CONFIG)
    plain, _ = proceed(begin(Vanilla()), data[:COUNT], Vanilla(), CONFIG)
    assert history == plain and "the host waits for the device" in caplog.text
    assert len(recorded) == 2  # of the plain one


def test_what_cannot_be_a_graph_is_run_one_operation_after_the_other(data):
    assert isinstance(runner_for(begin(Vanilla()), data, CONFIG), GraphRunner)
    compiled = CONFIG.model_copy(update={"compiled": True})
    assert isinstance(runner_for(begin(Vanilla()), data, compiled), EagerRunner)
    drops = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(784, 10))
    assert isinstance(runner_for(begin(Vanilla(), model=drops), data, CONFIG), EagerRunner)


def test_trainings_in_threads_have_the_bits_that_each_has_alone(data, recorded):
    config, methods = CONFIG, [GNT(sigma=0.5), ADVERSARIAL, Vanilla(), GNT(sigma=0.1)]

    def training(method):
        return proceed(begin(method, config), data[:COUNT], method, config)

    alone = [training(method) for method in methods]
    count, found = len(recorded), {}

    def work(number, method):
        with torch.cuda.stream(torch.cuda.Stream()):
            found[number] = training(method)

    torch.cuda.synchronize()
    threads = [Thread(target=work, args=item) for item in enumerate(methods)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[number] for number in range(len(methods))] == alone
    assert len(recorded) == 2 * count  # no thread took another's waits for its own
