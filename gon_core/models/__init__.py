"""Classifiers: float images [batch, channel, height, width] in [0, 1] -> logits [batch, class]."""

from gon_core.architectures import make
from gon_core.models.madry_cnn import MadryCNN

__all__ = ["MadryCNN", "make"]
