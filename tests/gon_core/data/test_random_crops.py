"""Random crops while images are decoded: by epoch and index alone, as torchvision draws them."""

import math
import time

import pytest
import torch
from PIL import Image

from gon_core import seeding
from gon_core.config import ANT, GNT, TrainingConfig
from gon_core.data import decoders, decoding, folder_images, image_folder
from gon_core.data.augmentation import ASPECT, crop_box
from gon_core.training import StoppedError, checkpoints, new_state, train
from gon_core.training.parallel import ALONE
from tests.class_folders import fill, photo
from tests.gon_core.training.threads import in_threads
from tests.small_model import SmallCNN


@pytest.fixture(scope="module")
def divided(tmp_path_factory):
    root = tmp_path_factory.mktemp("photos")
    fill(root / "train", 10)
    fill(root / "val", 4, first=500)
    return root


def images(divided, workers=0):
    training, test = folder_images.load(image_folder.scan(divided), 32, least_area=0.08)
    assert test.least_area is None
    return training.decoded_by(workers)


@pytest.mark.system
def test_the_box_is_drawn_as_torchvision_draws_it():
    stream = seeding.generator(0, "test")
    height, width = 375, 500
    boxes = [crop_box(height, width, 0.08, stream) for _ in range(1500)]
    for top, left, high, wide in boxes:
        assert 0 <= top <= height - high and 0 <= left <= width - wide
        assert 1 / ASPECT - 0.02 < wide / high < ASPECT + 0.02
    areas = torch.tensor([high * wide for _, _, high, wide in boxes]) / (height * width)
    assert areas.min() > 0.079 and areas.max() > 0.9
    theirs = torch.tensor([h * w for _, _, h, w in map(their_box, range(1500))])
    theirs = theirs / (height * width)
    quantiles = torch.tensor([0.1, 0.25, 0.5, 0.75, 0.9])
    assert torch.allclose(areas.quantile(quantiles), theirs.quantile(quantiles), atol=0.05)


def their_box(seed):
    from torchvision.transforms import RandomResizedCrop

    torch.manual_seed(seed)
    return RandomResizedCrop.get_params(torch.zeros(3, 375, 500), [0.08, 1.0], [3 / 4, 4 / 3])


def test_an_image_that_is_too_narrow_shows_its_middle():
    top, left, high, wide = crop_box(500, 20, 0.9, seeding.generator(0, "test"))
    assert (left, wide, high) == (0, 20, round(20 * ASPECT)) and top == (500 - high) // 2
    assert math.isclose(high / wide, ASPECT, rel_tol=0.03)


def test_a_crop_is_of_its_epoch_and_index_alone(tmp_path):
    Image.fromarray(photo(3, 60, 80)).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()

    def crop(seed, index):
        return decoding.decode_cropped(content, "a.png", 32, 0.08, seed, index)[0]

    assert torch.equal(crop(1, 2), crop(1, 2))
    assert not torch.equal(crop(1, 2), crop(2, 2)) and not torch.equal(crop(1, 2), crop(1, 3))
    crops = torch.stack([crop(1, index) for index in range(40)])
    whole, _ = decoding.decode(content, "a.png", 32)
    assert crops.shape == (40, 3, 32, 32) and whole.shape == (3, 32, 32)


@pytest.mark.slow
@pytest.mark.system
def test_processes_and_the_order_of_batches_change_nothing(divided):
    index = torch.tensor([5, 17, 2, 29])
    (expected,) = images(divided).batches([index], seed=7)
    for workers in (1, 2):
        lazy = images(divided, workers)
        first, second = lazy.batches([index[2:], index[:2]], seed=7)
        assert torch.equal(torch.cat([second, first]), expected)
    (centres,) = images(divided).batches([index])
    assert torch.equal(centres, images(divided).batch(index)) and not torch.equal(centres, expected)


@pytest.mark.slow
@pytest.mark.system
def test_what_is_asked_for_during_a_pass_does_not_disturb_it(divided):
    """A fresh noise generator trains alone on other batches while an epoch goes on."""
    wanted = list(torch.arange(30).split(4))
    expected = list(images(divided).batches(wanted, seed=3))
    lazy, found = images(divided, workers=1), []
    for number, batch in enumerate(lazy.batches(wanted, seed=3)):
        found.append(batch)
        inner = list(lazy.batches([wanted[-number], wanted[0]], seed=3))
        assert torch.equal(inner[0], expected[-number]) and torch.equal(inner[1], expected[0])
        assert torch.equal(next(lazy.batches(wanted, seed=3)), expected[0]), "then it is left"
    assert len(found) == len(expected) and all(map(torch.equal, found, expected))
    assert torch.equal(next(lazy.batches(wanted, seed=3)), expected[0]), "then they serve again"


def state_of(method):
    model = SmallCNN(torch.Generator().manual_seed(0), 3, (3, 32, 32))
    config = TrainingConfig(batch_size=8, learning_rate=0.01, max_epochs=2)
    return new_state(model, config, seed=1, method=method, channels=3), config


@pytest.mark.system
@pytest.mark.parametrize(
    "method",
    [
        GNT(sigma=0.1),
        pytest.param(
            ANT(epsilon=5.0, pretraining_steps=2, reset_interval=0.5), marks=pytest.mark.slow
        ),
    ],
)
def test_a_training_that_is_stopped_in_an_epoch_ends_on_the_same_bits(method, divided):
    data = images(divided)
    whole, config = state_of(method)
    list(train(whole, data, method, config))
    stopped, _ = state_of(method)
    steps = iter([False, False, True])
    with pytest.raises(StoppedError):
        list(train(stopped, data, method, config, stop=lambda: next(steps)))
    assert stopped.progress is not None and stopped.progress.crop_seed is not None
    again, _ = state_of(method)
    checkpoints.restore(again, checkpoints.dump(stopped))
    assert again.progress.crop_seed == stopped.progress.crop_seed
    list(train(again, data, method, config))
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], tensor), name


ALONE_OFTEN = ANT(epsilon=5.0, pretraining_steps=9, reset_interval=0.5)


@pytest.mark.system
def test_the_batches_of_a_generator_alone_are_asked_for_ahead_and_timed(divided, monkeypatch):
    """In each epoch of 4 batches two generators train alone for 9, through two orders and a bit."""
    data, asked = images(divided), []
    batches = data.batches

    def slow(indices, seed=None, rows=None):
        asked.append((len(indices), seed))
        for batch in batches(indices, seed, rows):
            time.sleep(0.01)
            yield batch

    monkeypatch.setattr(data, "batches", slow)
    state, config = state_of(ALONE_OFTEN)
    history = list(train(state, data, ALONE_OFTEN, config))
    assert [count for count, _ in asked] == [4, 4, 4, 1, 4, 4, 1] * 2
    for epoch, metrics in enumerate(history):
        (seed,) = {seed for _, seed in asked[7 * epoch : 7 * epoch + 7]}
        assert seed is not None
        assert metrics.seconds > metrics.data_seconds > 0.01 * (4 + 2 * 9)


@pytest.mark.slow
@pytest.mark.system
def test_a_generator_alone_trains_on_what_processes_decode_to_the_bit(divided, monkeypatch):
    """And after a stop while it trains alone, at the end of its first order."""
    whole, config = state_of(ALONE_OFTEN)
    list(train(whole, images(divided), ALONE_OFTEN, config))
    lazy, (ahead, _) = images(divided, workers=1), state_of(ALONE_OFTEN)
    monkeypatch.setattr(decoders.Decoder, "batch", None)  # of this process; others have their own
    steps = iter([False] * 3 + [True])
    with pytest.raises(StoppedError):
        list(train(ahead, lazy, ALONE_OFTEN, config, stop=lambda: next(steps)))
    resumed, _ = state_of(ALONE_OFTEN)
    checkpoints.restore(resumed, checkpoints.dump(ahead))
    assert resumed.method_state.steps_alone == 4
    list(train(resumed, lazy, ALONE_OFTEN, config))
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], tensor), name


def test_each_epoch_shows_other_parts(divided):
    seen, data = [], images(divided)
    batches = data.batches

    def spy(indices, seed=None, rows=None):
        seen.append(seed)
        return batches(indices, seed, rows)

    data.batches = spy
    state, config = state_of(GNT(sigma=0.1))
    list(train(state, data, GNT(sigma=0.1), config))
    assert len(set(seen)) == 2 and None not in seen


@pytest.mark.system
def test_each_process_decodes_its_own_rows_and_trains_what_one_does(divided, monkeypatch):
    """Batches of 8, 8, 8 and 1: in the last one two of three processes have no row."""
    method, read = GNT(sigma=0.1), {}

    def decode(content, name, side, least_area, seed, index):
        read.setdefault(seed, []).append(index)
        return decode_cropped(content, name, side, least_area, seed, index)

    decode_cropped = decoding.decode_cropped
    monkeypatch.setattr(decoders, "decode_cropped", decode)

    def trained(group):
        state, config = state_of(method)
        state.group = group
        history = list(train(state, images(divided)[torch.arange(25)], method, config))
        return state.model.state_dict(), [metrics.train_loss for metrics in history]

    weights, losses = trained(ALONE)
    read.clear()
    for future in in_threads(3, trained):
        own, own_losses = future.result()
        assert own_losses == pytest.approx(losses, rel=1e-5)
        torch.testing.assert_close(own, weights, rtol=1e-4, atol=1e-6)
    assert len(read) == 2 and all(sorted(indices) == [*range(25)] for indices in read.values())


def test_rows_that_are_not_wanted_are_black(divided):
    index = torch.tensor([5, 17, 2, 29, 8])
    (whole,) = images(divided).batches([index], seed=7)
    (some,) = images(divided).batches([index], 7, slice(1, None, 2))
    assert torch.equal(some[1::2], whole[1::2]) and not some[::2].any()
    (none,) = images(divided).batches([index[:1]], 7, slice(1, None, 2))
    assert none.shape == (1, 3, 32, 32) and not none.any()
