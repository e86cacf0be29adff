"""Attacks and epsilon* as CUDA graphs: the bits of their operations, and what a CPU finds."""

import pytest
import torch

from gon_core import evaluation
from gon_core.config import ANT
from gon_core.evaluation import NOISES, DDNAttack, PGDAttack, accuracy, attacks
from gon_core.evaluation.attack_steps import Attacker
from gon_core.evaluation.frozen import frozen
from gon_core.seeding import generator
from gon_core.training import StoppedError
from gon_core.training.cuda_graphs import Recorder
from gon_core.training.recordings import TRIES, Recordings, on_device
from tests.gon_core.test_formats import tiny_model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]
ATTACKS = pytest.mark.parametrize(
    "attack", [PGDAttack(0.1, steps=40), DDNAttack(1.0, 0.1, steps=40)], ids=lambda each: each.name
)
COUNT = 300


class Counted(Recorder):
    """Counts the graphs, and replaces them by their operations if it is to."""

    def __init__(self, device, streams, graphs):
        super().__init__(device, streams)
        self.graphs, self.recorded = graphs, 0

    def record(self, work):
        self.recorded += 1
        return super().record(work) if self.graphs else work


class Both:
    """Makes recordings whose works are graphs, then ones whose works are their operations."""

    def __init__(self):
        self.recorders = []

    def __call__(self, device, streams):
        self.recorders.append(Counted(device, streams, graphs=not self.recorders))
        return Recordings(self.recorders[-1])


@pytest.fixture
def both():
    return Both()


@pytest.fixture(autouse=True)
def every_work_is_a_graph(caplog):
    yield
    assert "no graph of each" not in caplog.text


@pytest.fixture(scope="module")
def model():
    return tiny_model().to("cuda")


@pytest.fixture(scope="module")
def data(images):
    return images[1][:COUNT].to("cuda")


@ATTACKS
def test_graphs_of_an_attack_compute_the_bits_of_its_operations(attack, model, data, both):
    levels, found = data.images.float() / 255, []
    with frozen(model):
        for _ in range(2):
            stream = generator(0, "attack", device="cuda")
            attacker = Attacker(model, attack, stream, both)
            parts = [slice(250), slice(250, COUNT), slice(20, 260)]  # further images in a graph
            found.append([attacker.perturb(levels[part], data.labels[part]) for part in parts])
    assert all(map(torch.equal, *found))
    assert both.recorders[0].recorded == both.recorders[1].recorded >= 2


@ATTACKS
def test_an_attack_breaks_what_it_breaks_on_a_cpu(attack, model, data):
    on_gpu = evaluation.attack_accuracy(model, data, attack, generator(0, device="cuda"))
    on_cpu = evaluation.attack_accuracy(
        tiny_model(), data.to("cpu"), attack, generator(0, "attack")
    )  # with other random starts
    assert abs(on_gpu.extra["correct"] - on_cpu.extra["correct"]) <= COUNT // 50
    levels = data.images.float() / 255
    with frozen(model):
        stream = generator(0, "attack", device="cuda")
        found = attacks.perturb(model, levels, data.labels, attack, stream)
    assert found.min() >= 0 and found.max() <= 1
    if isinstance(attack, PGDAttack):
        assert (found - levels).abs().max() <= attack.size * (1 + 1e-5)


class Strict(Recordings):
    """Takes a wait of the host in a work that was recorded for an error."""

    def run(self, name, work, form=None):
        recording = self._recordings.get((name, form))
        is_recorded = recording is not None and recording.replay is not None
        torch.cuda.set_sync_debug_mode("error" if is_recorded else "default")
        try:
            super().run(name, work, form)
        finally:
            torch.cuda.set_sync_debug_mode("default")


def test_the_host_does_not_wait_in_a_replayed_step(model, data):
    attack, passes = DDNAttack(1e-9, steps=60), []

    def make(device, streams):
        return Strict(Recorder(device, streams), lambda: passes.append(1))

    with frozen(model):
        stream = generator(0, "attack", device="cuda")
        levels = data.images[:250].float() / 255
        Attacker(model, attack, stream, make).perturb(levels, data.labels[:250])
    assert len(passes) == attack.steps - TRIES - 1  # the recorded one calls the model


@pytest.mark.parametrize("name", NOISES)
def test_graphs_of_looks_compute_the_bits_of_their_operations(name, model, data, both):
    found = [
        evaluation.median_perturbation_size(
            model, data, NOISES[name], generator(0, name, device="cuda"), recordings=both
        )
        for _ in range(2)
    ]
    assert found[0] == found[1] and both.recorders[0].recorded >= 1


def test_graphs_of_a_generator_compute_the_bits_of_its_operations(model, data, both):
    found = [
        evaluation.adversarial_noise(
            model, data, ANT(epsilon=3.0), 0, batch_size=70, block=10, max_blocks=3,
            recordings=both,
        )
        for _ in range(2)
    ]  # fmt: skip
    assert found[0].losses == found[1].losses
    weights = [each.generator.state_dict().values() for each in found]
    assert all(map(torch.equal, *weights))
    assert both.recorders[0].recorded == 2  # the last batch of an epoch is smaller


def test_a_stop_is_noticed_between_two_replayed_steps(model, data):
    left = iter(range(20))

    def passed():
        if next(left, None) is None:
            raise StoppedError

    def make(device, streams):
        return on_device(device, streams, passed)

    attack = DDNAttack(1e-9, steps=100)
    with pytest.raises(StoppedError):
        stream = generator(0, "attack", device="cuda")
        evaluation.attack_accuracy(model, data, attack, stream, make)
    assert model.training is False and all(each.requires_grad for each in model.parameters())
    stream = generator(0, "attack", device="cuda")
    assert evaluation.attack_accuracy(model, data, attack, stream).count == COUNT


def test_batches_of_digits_are_larger_where_no_gradient_is_computed(model, images):
    data, seen = images[1][:1500].to("cuda"), []
    assert accuracy.pass_size(data) == 1024 and accuracy.batch_size(data) == 250
    hook = model.register_forward_pre_hook(lambda model, given: seen.append(len(given[0])))
    right = evaluation.count_correct(model, data)
    hook.remove()
    assert seen == [1024, 476]
    assert abs(right - evaluation.count_correct(tiny_model(), data.to("cpu"))) <= 1
