"""Noise that is added to images in [0, 1] before any preprocessing, and clipped (appendix B)."""

from gon_core.noise.gaussian import add_gaussian_noise

__all__ = ["add_gaussian_noise"]
