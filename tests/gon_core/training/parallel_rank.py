"""One process of several that train: python parallel_rank.py RANK SIZE FOLDER [METHOD ...]

Leaves in FOLDER what each training ended with, and what it said of a process out of step.
"""

import json
import sys
from functools import cache
from pathlib import Path

import torch
from torch import nn

from gon_core.blank import blank
from gon_core.config import (
    ANT,
    DDN,
    GNT,
    PGD,
    SININ,
    UAT,
    AugMix,
    Ford,
    FreeAT,
    GNTMult,
    PatchGaussian,
    Speckle,
    TrainingConfig,
    Vanilla,
)
from gon_core.data import idx
from gon_core.models import MadryCNN
from gon_core.models.madry_cnn import initialise
from gon_core.seeding import generator
from gon_core.training import checkpoints, new_state, train
from gon_core.training.parallel import ALONE, joined

EVERY = {
    "vanilla": Vanilla(),
    "gnt": GNT(sigma=0.3),
    "gnt_mult": GNTMult(),
    "speckle": Speckle(),
    "ford": Ford(),
    "patch_gaussian": PatchGaussian(),
    "pgd": PGD(epsilon=0.1, step_size=0.05, steps=2),
    "pgd_targeted": PGD(epsilon=0.1, step_size=0.05, steps=2, targeted=True, clean_start_share=0.5),
    "free": FreeAT(epsilon=0.1, step_size=0.05, replays=2),
    "uat": UAT(epsilon=0.1, step_size=0.02),
    "ddn": DDN(steps=2, init_norm=1.5, gamma=0.3),
    "augmix": AugMix(),
    "sin_in": SININ(),
    "ant_1x1": ANT(epsilon=5, pretraining_steps=2, reset_interval=0.7),
    "ant_3x3": ANT(epsilon=5, kernel_size=3, pretraining_steps=1, reset_interval=1),
    "ant_1x1_sin": ANT(epsilon=5, pretraining_steps=2, stylized_share=15 / 70),
}
STYLIZED = 5  # images behind the others, where some of a batch are stylised
NORMALISED = {
    f"{name}_normalised": EVERY[name]
    for name in ("vanilla", "pgd", "free", "ddn", "augmix", "ant_1x1")
}  # with a classifier that has batch normalisation
DROPPING = {f"{name}_dropping": EVERY[name] for name in ("gnt", "augmix", "free")}
"""With a classifier that has dropout."""
COMPILED = {f"{name}_compiled": EVERY[name] for name in ("ant_1x1", "augmix")}
"""With a compiled classifier that has batch normalisation and dropout."""
ALL = EVERY | NORMALISED | DROPPING
IMAGES = 31  # batches of 15, 15 and 1: uneven shares, and in the end none at all for some
CONFIG = TrainingConfig(batch_size=15, learning_rate=0.05, max_epochs=2)


@cache
def digits(count=IMAGES):
    """Return the training images."""
    return idx.load("mnist")[0][:count]


class Doubled(nn.Sequential):
    """Layers in double precision, so that hardly anything but a mistake tells two trainings apart.

    Batch normalisation of few images, some of them alone in their batch, multiplies rounding.
    """

    def forward(self, images):
        return super().forward(images.double())


def untaught(name):
    """Return the paper's classifier for vanilla training, and one that is quicker for the rest."""
    if name in NORMALISED:
        return normalised()
    if name in COMPILED:
        return normalised(nn.Dropout(0.25))
    if name == "vanilla":
        return MadryCNN(generator(0, "initial weights"))
    layers = [blank(nn.Conv2d, 1, 8, 5, stride=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    layers += [nn.Dropout(0.5)] * (name in DROPPING)
    model = nn.Sequential(*layers, blank(nn.Linear, 8 * 6 * 6, 10))
    initialise(model, generator(0, "initial weights"))
    return model


def normalised(*further):
    """Return a classifier with batch normalisation, and with further layers."""
    model = Doubled(
        blank(nn.Conv2d, 1, 8, 5, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        blank(nn.Conv2d, 8, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), *further,
        blank(nn.Linear, 8 * 4 * 4, 10),
    )  # fmt: skip
    initialise(model, generator(0, "initial weights"))
    return model.double()


def train_one(name, group=ALONE):
    """Train a method to its end; return the state, and the metrics of each epoch."""
    method, data = (ALL | COMPILED)[name], digits(IMAGES + STYLIZED * name.endswith("_sin"))
    config = CONFIG.model_copy(update={"compiled": name in COMPILED})
    state = new_state(untaught(name), config, 0, method, own_images=IMAGES)
    state.group = group
    history = []
    for metrics in train(state, data, method, config):
        history.append([metrics.train_loss, metrics.train_accuracy, *metrics.extra.values()])
    return state, history


def run_out_of_step(group):
    """Return what is said when one process has drawn one number more than the others."""
    method, data = EVERY["gnt"], digits()
    state = new_state(untaught("gnt"), CONFIG, 0, method)
    state.group = group
    if group.rank == 1:
        torch.rand(1, generator=state.streams["noise"])
    try:
        next(train(state, data, method, CONFIG))
    except RuntimeError as error:
        return str(error)
    return "nothing"


def main(rank, size, folder, names=tuple(ALL)):
    """Train methods as this rank."""
    torch.set_num_threads(1)
    with joined(rank, size, folder, "cpu", timeout=120) as group:
        histories = {}
        for name in names:
            state, histories[name] = train_one(name, group)
            for file, content in checkpoints.dump(state).items():
                (folder / f"{name}.{rank}.{file}").write_bytes(content)
        said = run_out_of_step(group)
    (folder / f"{rank}.json").write_text(json.dumps({"histories": histories, "said": said}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), *filter(None, [sys.argv[4:]]))
