"""Attacks against classifiers whose worst case is known, and what they must leave alone."""

import math
import os

import pytest
import torch
from torch import nn

from gon_core.benchmarks.attacks import ON_IMAGENET
from gon_core.blank import blank
from gon_core.data.splits import LabelledImages
from gon_core.evaluation import DDNAttack, PGDAttack, attack_accuracy, attacks, count_correct
from gon_core.evaluation.attack_steps import STEPS_AT_A_TIME, Directions
from gon_core.evaluation.frozen import frozen
from gon_core.models import MadryCNN
from gon_core.seeding import generator

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # foolbox imports GitPython
import foolbox

ATTACKS = (PGDAttack(steps=20), DDNAttack(steps=20))
CONVOLUTIONS = pytest.param("convolutions", marks=pytest.mark.system)
DDN_SIZES = ("size", "gamma", "init_norm")


def linear(scale=1.0):
    """Two classes, and a hyperplane that cuts through images of noise."""
    layer = blank(nn.Linear, 784, 2)
    with torch.no_grad():
        layer.weight.normal_(generator=generator(0, "weights")).mul_(scale)
        layer.bias.copy_(-0.5 * layer.weight.sum(1))
    return nn.Sequential(nn.Flatten(), layer)


@pytest.fixture(scope="module")
def noise_images():
    """Images on both sides of the hyperplane, labelled by a slightly different one."""
    stream = generator(0, "images")
    images = torch.randint(0, 256, (60, 1, 28, 28), dtype=torch.uint8, generator=stream)
    model = linear()
    right = model(images.unsqueeze(1).float() / 255).argmax(1)
    labels = torch.where(torch.rand(60, generator=stream) < 0.1, 1 - right, right)
    return LabelledImages(images, labels)


def margins(model, data):
    """Return each image's margin, and the direction that takes most of it per pixel, in float64."""
    weight, bias = model[1].weight.double(), model[1].bias.double()
    pixels = data.images.flatten(1).double() / 255
    other = 1 - data.labels
    toward = weight[other] - weight[data.labels]
    margin = -(pixels * toward).sum(1) - bias[other] + bias[data.labels]
    return margin.detach(), toward.detach(), pixels


def linf_survivors(model, data, size):
    """Count images right at the worst corner of the box, which is the corner of every pixel."""
    margin, toward, pixels = margins(model, data)
    room = torch.where(toward > 0, 1 - pixels, pixels).clamp(max=size)
    return int((margin > (room * toward.abs()).sum(1)).sum())


def l2_distances(model, data):
    """Return how near the hyperplane is inside [0, 1]: along the weights, clipped, by bisection."""
    margin, toward, pixels = margins(model, data)
    low, high = torch.zeros(len(data)).double(), torch.ones(len(data)).double()
    for _ in range(60):
        middle = (low + high) / 2
        moved = (pixels + middle[:, None] * toward).clamp(0, 1) - pixels
        crossed = (moved * toward).sum(1) > margin
        low, high = torch.where(crossed, low, middle), torch.where(crossed, middle, high)
    moved = (pixels + high[:, None] * toward).clamp(0, 1) - pixels
    return torch.where(margin > 0, moved.norm(dim=1), 0.0)


@pytest.mark.parametrize("size", [0.002, 0.01, 0.05, 0.1])
@pytest.mark.parametrize("scale", [1.0, 10.0])  # certainty must not hide the gradient
def test_pgd_finds_the_worst_case_of_a_linear_classifier(noise_images, size, scale):
    model = linear(scale)
    row = attack_accuracy(model, noise_images, PGDAttack(size), generator(0, "attack"))
    assert row.extra["correct"] == linf_survivors(model, noise_images, size)


@pytest.mark.system
@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_ddn_finds_the_nearest_point_of_a_hyperplane(noise_images, scale):
    model = linear(scale)
    distances = l2_distances(model, noise_images)
    for size in (0.1, 0.2, 0.4, 0.8):
        row = attack_accuracy(model, noise_images, DDNAttack(size), generator(0, "attack"))
        assert (
            int((distances > size).sum())
            <= row.extra["correct"]
            <= int((distances * 1.05 > size).sum())
        )


@pytest.mark.system
@pytest.mark.parametrize("kind", [PGDAttack, pytest.param(DDNAttack, marks=pytest.mark.slow)])
def test_accuracy_falls_with_the_size_from_the_clean_one(kind, mnist):
    data, model = mnist[1][:25], MadryCNN()
    data = LabelledImages(data.images, model(data.images.float() / 255).argmax(1))
    data.labels[:5] = (data.labels[:5] + 1) % 10
    clean = count_correct(model, data)
    sizes = (1e-6, 0.003, 0.03) if kind is PGDAttack else (1e-6, 0.6, 1.5)
    correct = [
        attack_accuracy(model, data, kind(size, steps=20), generator(0, "attack")).extra["correct"]
        for size in sizes
    ]
    assert clean == 20 >= correct[0] > correct[1] > correct[2]


@pytest.mark.parametrize("steps", [1, 10, 13])
def test_pgd_stays_in_the_ball_and_among_images(noise_images, steps):
    images = noise_images.images.float() / 255
    model, attack = linear(), PGDAttack(0.02, steps=steps)
    with frozen(model):
        found = attacks.perturb(model, images, noise_images.labels, attack, generator(0))
    assert found.min() >= 0 and found.max() <= 1
    assert (found - images).abs().max() <= 0.02 + 1e-6
    assert (found != images).any()


class Counting(nn.Module):
    """A classifier that counts the images it sees."""

    def __init__(self, model):
        super().__init__()
        self.model, self.seen = model, 0

    def forward(self, images):
        self.seen += len(images)
        return self.model(images)


def test_broken_images_are_left_out_of_further_work(noise_images):
    counting = Counting(linear())
    easy = PGDAttack(0.1, step_size=0.1)
    assert attack_accuracy(counting, noise_images, easy, generator(0)).extra["correct"] == 0
    assert counting.seen < 20 * len(noise_images)  # of 100 steps

    wrong = LabelledImages(noise_images.images, 1 - linear_answers(noise_images))
    for attack in ATTACKS:
        counting.seen = 0
        assert attack_accuracy(counting, wrong, attack, generator(0)).extra["correct"] == 0
        assert counting.seen == len(wrong)


def whole_run(model, data, attack):
    """Return what foolbox's DDN finds when every image goes through every step."""
    images = data.images.float() / 255
    ddn = foolbox.attacks.DDNAttack(
        init_epsilon=attack.init_norm, steps=attack.steps, gamma=attack.gamma
    )
    counting = Counting(Directions(model)).eval()
    wrapped = foolbox.PyTorchModel(counting, bounds=(0, 1), device="cpu")
    found = ddn.run(wrapped, images, foolbox.Misclassification(data.labels))
    return found, counting.seen


@pytest.mark.system
@pytest.mark.parametrize(
    ("size", "steps"),
    [
        pytest.param(0.3, 30, marks=pytest.mark.slow),
        (1.5, 40),
        pytest.param(9.0, 30, marks=pytest.mark.slow),
    ],
)
def test_ddn_breaks_the_same_images_as_a_whole_run_with_less_work(taught, size, steps):
    model, data = taught
    images, attack = data.images.float() / 255, DDNAttack(size, steps=steps)
    with frozen(model):
        expected, all_of_them = whole_run(model, data, attack)
        expected_broken = attacks.broken(model, images, expected, data.labels, attack)
        counting = Counting(model)
        found = attacks.perturb(counting, images, data.labels, attack, generator(0))
        broken = attacks.broken(model, images, found, data.labels, attack)
    assert torch.equal(broken, expected_broken)
    assert all_of_them == steps * len(data)
    # Each broken image is spared at least the steps in which DDN comes nearer.
    assert counting.seen <= all_of_them - int(broken.sum()) * (steps // 4)
    # The others are what the whole run makes of them, wherever that is.
    torch.testing.assert_close(found[~broken], expected[~broken], rtol=0, atol=1e-3)
    row = attack_accuracy(model, data, attack, generator(0))
    assert row.extra["correct"] == len(data) - int(expected_broken.sum())


@pytest.mark.parametrize("size", [0.1, 0.2, 0.4])
def test_ddn_breaks_the_same_images_of_a_linear_classifier(noise_images, size):
    model, attack = linear(3.0), DDNAttack(size, steps=40)
    with frozen(model):
        images = noise_images.images.float() / 255
        expected = whole_run(model, noise_images, attack)[0]
        found = attacks.perturb(model, images, noise_images.labels, attack, generator(0))
        broken = [
            attacks.broken(model, images, these, noise_images.labels, attack)
            for these in (expected, found)
        ]
    assert torch.equal(*broken) and broken[0].any()


@pytest.mark.system
def test_no_image_goes_through_ddn_once_it_is_broken(taught):
    model, data = taught
    counting = Counting(model)
    row = attack_accuracy(counting, data, DDNAttack(20.0, steps=100), generator(0))
    assert row.extra["correct"] == 0
    assert counting.seen < 25 * len(data)  # of 102


class Continued(foolbox.attacks.LinfProjectedGradientDescentAttack):
    """foolbox's PGD from given images, in the ball around the original ones."""

    def __init__(self, start, attack):
        super().__init__(abs_stepsize=attack.step_size, steps=attack.steps, random_start=True)
        self.start = start

    def get_random_start(self, x0, epsilon):
        return type(x0)(self.start)


@pytest.mark.parametrize("classifier", ["linear", CONVOLUTIONS])
@pytest.mark.parametrize("steps", [1, STEPS_AT_A_TIME])
def test_pgd_takes_foolbox_s_steps_to_the_bit(classifier, steps, noise_images, taught):
    model, data = (linear(), noise_images) if classifier == "linear" else taught
    images, attack = data.images.float() / 255, PGDAttack(0.02, steps=steps)
    start = torch.empty_like(images).uniform_(-0.02, 0.02, generator=generator(0, "attack"))
    with frozen(model):
        begun = (images + start).clamp(0, 1)
        left = ~attacks.misclassified(model, begun, data.labels)
        wrapped = foolbox.PyTorchModel(Directions(model).eval(), bounds=(0, 1), device="cpu")
        criterion = foolbox.Misclassification(data.labels[left])
        begun[left] = Continued(begun[left], attack).run(
            wrapped, images[left], criterion, epsilon=attack.size
        )
        found = attacks.perturb(model, images, data.labels, attack, generator(0, "attack"))
    assert torch.equal(found, begun) and left.any()


@pytest.mark.parametrize("classifier", ["linear", CONVOLUTIONS, "blind"])
def test_ddn_takes_foolbox_s_steps_to_the_bit(classifier, noise_images, taught):
    """Where no image is so near that it is left out; a blind one leads anywhere, the same way."""
    blind = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    nn.init.zeros_(blind[1].weight)
    models = {
        "linear": (linear(), noise_images),
        "convolutions": taught,
        "blind": (blind, taught[1]),
    }
    (model, data), attack = models[classifier], DDNAttack(1e-9, steps=30)
    stream = generator(0, "attack")
    torch.manual_seed(int(torch.randint(2**62, (), generator=stream)))
    with frozen(model):
        expected, _ = whole_run(model, data, attack)
        images = data.images.float() / 255
        right = ~attacks.misclassified(model, images, data.labels)
        found = attacks.perturb(model, images, data.labels, attack, generator(0, "attack"))
    assert torch.equal(found[right], expected[right]) and right.any()


def linear_answers(data):
    """Return what the classifier says."""
    return linear()(data.images.float() / 255).argmax(1)


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_but_its_own_stream_matters_or_moves(attack, noise_images):
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), linear()[1])
    model[2].bias.requires_grad_(False)
    model[1].eval()
    weights = [parameter.clone() for parameter in model.parameters()]
    rows = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        rows.append(attack_accuracy(model, noise_images, attack, generator(0, "attack")))
        assert torch.equal(torch.get_rng_state(), before)
    assert rows[0] == rows[1]
    assert [module.training for module in model.modules()] == [True, True, False, True]
    assert [parameter.requires_grad for parameter in model.parameters()] == [True, False]
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(map(torch.equal, weights, model.parameters()))


@pytest.mark.parametrize("attack", ATTACKS)
def test_equal_seeds_give_equal_bits(attack, noise_images):
    images, model = noise_images.images.float() / 255, linear()
    with frozen(model):
        found = [
            attacks.perturb(model, images, noise_images.labels, attack, generator(seed))
            for seed in (0, 0, 1)
        ]
    assert torch.equal(found[0], found[1])
    if isinstance(attack, PGDAttack):
        assert not torch.equal(found[0], found[2])


def test_a_failing_classifier_is_restored_too():
    model = nn.Dropout().train()
    with pytest.raises(ZeroDivisionError), frozen(model):
        1 / 0  # noqa: B018
    assert model.training


def test_bad_input_is_named(noise_images):
    with pytest.raises(ValueError, match=r"size must be > 0, got 0\.0; steps must be at least 1"):
        PGDAttack(0.0, steps=0)
    with pytest.raises(ValueError, match="gamma must be below 1, got 1"):
        DDNAttack(gamma=1.0)
    for value in (math.nan, math.inf, -math.inf, -1.0):
        for kind, names in ((PGDAttack, ("size", "step_size")), (DDNAttack, DDN_SIZES)):
            for name in names:
                with pytest.raises(ValueError, match=f"^{name} must be "):
                    kind(**{name: value})
        with pytest.raises(
            ValueError, match=r"size must be .*; gamma must be .*; init_norm must be"
        ):
            DDNAttack(value, gamma=value, init_norm=value)
    with pytest.raises(ValueError, match="no images"):
        attack_accuracy(linear(), noise_images[:0], PGDAttack(), generator(0))


@pytest.mark.parametrize("setting", ON_IMAGENET)
def test_imagenet_s_attacks_break_what_can_be_broken_within_their_size(setting):
    class Brightness(nn.Module):
        def forward(self, images):
            above = images.mean((1, 2, 3)) - 0.5
            return torch.stack([above, -above], dim=1) * 10

    images = torch.full((2, 3, 8, 8), 0.5005)  # 0.0005 from the boundary in l-inf, 0.007 in l2
    images[1] += 0.2  # out of reach
    labels, attack, model = torch.zeros(2, dtype=torch.int64), ON_IMAGENET[setting], Brightness()
    found = attacks.perturb(model, images, labels, attack, generator(0, "attack"))
    assert attacks.broken(model, images, found, labels, attack).tolist() == [True, False]
