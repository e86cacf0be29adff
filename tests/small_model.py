"""A small classifier under the Madry CNN's name: for tests of records and sweeps, not of figures.

Only this process has it: who starts others keeps the real one.
"""

from dataclasses import replace

import torch
from torch import nn

from gon_core import architectures
from gon_core.blank import blank
from gon_core.models import MadryCNN
from gon_core.models.madry_cnn import initialise


class SmallCNN(MadryCNN):
    """The layers of the Madry CNN, with 8 and 16 channels and 64 hidden units."""

    def __init__(self, generator=None, classes=10, image_shape=(1, 28, 28)):
        nn.Module.__init__(self)
        channels, height, width = image_shape
        self.conv1 = blank(nn.Conv2d, channels, 8, 5, padding=2)
        self.conv2 = blank(nn.Conv2d, 8, 16, 5, padding=2)
        self.hidden = blank(nn.Linear, (height // 4) * (width // 4) * 16, 64)
        self.logits = blank(nn.Linear, 64, classes)
        initialise(self, generator or torch.Generator().manual_seed(0))


def use_small_model(patch):
    """Let ``madry_cnn`` be the small one until ``patch``, a MonkeyPatch, is undone."""

    def construct(classes, image_shape, generator):
        return SmallCNN(generator, classes, image_shape)

    known = architectures.ARCHITECTURES
    patch.setitem(known, "madry_cnn", replace(known["madry_cnn"], construct=construct))
