"""Adversarial training methods: one model each, with the values of its authors as defaults."""

from typing import Annotated, Literal

from pydantic import Field

from gon_core.config.base import MethodConfig, PositiveFloat, PositiveInt, Share


class PGD(MethodConfig):
    """Adversarial training in l-infinity: every image is perturbed against the classifier.

    Attributes:
        epsilon: largest change of a pixel, at most 1; images are in [0, 1].
        step_size: change of a pixel in one step.
        steps: gradients taken for each batch, the price of the method.
        random_start: whether the search starts anywhere within epsilon, or at the image.

        targeted: whether each image is moved towards a wrong class, uniform among all others,
            instead of away from its own.
        clean_start_share: the part of the batches whose search starts at the images all the same.
        label_smoothing: the part of each label that is spread over all classes in the classifier's
            loss.

    References:
        Madry et al., "Towards deep learning models resistant to adversarial attacks", 2017: the
        defaults are theirs on MNIST. Xie et al., "Feature denoising for improving adversarial
        robustness", 2019, use the other fields on ImageNet.
    """

    method: Literal["pgd"] = "pgd"
    epsilon: Annotated[float, Field(gt=0, le=1)] = 0.3
    step_size: Annotated[float, Field(gt=0, le=1)] = 0.01
    steps: PositiveInt = 40
    random_start: bool = True
    targeted: bool = False
    clean_start_share: Share = 0.0
    label_smoothing: Share = 0.0

    @property
    def variant(self) -> str:
        """``pgd`` or ``pgd_targeted``."""
        return self.method + "_targeted" * self.targeted


class FreeAT(MethodConfig):
    """Free adversarial training in l-infinity: the gradient of each step moves the noise as well.

    Attributes:
        epsilon: largest change of a pixel, at most 1; images are in [0, 1].
        step_size: change of a pixel in one step.
        replays: how often each batch is trained on, one after the other: the price of the method,
            which its authors make up for by fewer epochs.

    References:
        Shafahi et al., "Adversarial training for free!", 2019: the defaults are theirs on ImageNet.
    """

    method: Literal["free"] = "free"
    epsilon: Annotated[float, Field(gt=0, le=1)] = 4 / 255
    step_size: Annotated[float, Field(gt=0, le=1)] = 4 / 255
    replays: PositiveInt = 4


class UAT(MethodConfig):
    """Universal adversarial training in l-infinity: one perturbation for all images.

    Attributes:
        epsilon: largest change of a pixel, at most 1; images are in [0, 1].
        step_size: change of a pixel in one step, of which each batch takes one. It is neither in
            the paper nor in any code that was found, so it has no default: None cannot be trained.

    References:
        Shafahi et al., "Universal adversarial training", 2020: epsilon 10/255 on ImageNet.
    """

    method: Literal["uat"] = "uat"
    epsilon: Annotated[float, Field(gt=0, le=1)] = 10 / 255
    step_size: Annotated[float, Field(gt=0, le=1)] | None = None


class DDN(MethodConfig):
    """Adversarial training in l2 with attacks of decoupled direction and norm.

    Attributes:
        steps: gradients taken for each batch, the price of the method.
        init_norm: l2 size of the first perturbation, on images in [0, 1].
        gamma: the size grows by this factor while the classifier is right and shrinks while not.
        max_norm: larger perturbations are scaled down to it before they are trained on.

    References:
        Rony et al., "Decoupling direction and norm for efficient gradient-based l2 adversarial
        attacks and defenses", 2019: the defaults are theirs on MNIST.
    """

    method: Literal["ddn"] = "ddn"
    steps: PositiveInt = 100
    init_norm: PositiveFloat = 1.0
    gamma: Annotated[float, Field(gt=0, lt=1)] = 0.05
    max_norm: PositiveFloat = 2.4
