"""The corruptions of photos: those of ImageNet-C and CIFAR-10-C, made on the fly."""

from gon_core.corruptions.photos.corrupt import CORRUPTIONS, EXTRA, SEVERITIES, corrupt
from gon_core.corruptions.photos.strengths import STRENGTHS

__all__ = ["CORRUPTIONS", "EXTRA", "SEVERITIES", "STRENGTHS", "corrupt"]
