"""Noise that is added to images in [0, 1] before any preprocessing, and clipped (appendix B)."""

from gon_core.noise.gaussian import add_gaussian_noise
from gon_core.noise.generator import NoiseGenerator
from gon_core.noise.patch import add_patch_gaussian_noise
from gon_core.noise.replay import Replay
from gon_core.noise.speckle import add_speckle_noise
from gon_core.noise.sphere import scale_to_sphere, scale_to_sphere_checked, solver_name

__all__ = [
    "NoiseGenerator",
    "Replay",
    "add_gaussian_noise",
    "add_patch_gaussian_noise",
    "add_speckle_noise",
    "scale_to_sphere",
    "scale_to_sphere_checked",
    "solver_name",
]
