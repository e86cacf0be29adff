"""The training methods: one model each, with the values of its authors as defaults."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from gon_core import architectures
from gon_core.config.adversarial import DDN, PGD, UAT, FreeAT
from gon_core.config.base import MethodConfig, PositiveFloat, PositiveInt, Share, UnsignedZero

Sigma = Annotated[float, Field(ge=0), UnsignedZero]
Sigmas = Annotated[tuple[Sigma, ...], Field(min_length=1)]


class Vanilla(MethodConfig):
    """Clean images only."""

    method: Literal["vanilla"] = "vanilla"


class SININ(MethodConfig):
    """The images and stylised versions of them, alike: SIN+IN.

    References:
        Geirhos et al., "ImageNet-trained CNNs are biased towards texture", 2019.
    """

    method: Literal["sin_in"] = "sin_in"

    @property
    def uses_stylized(self) -> bool:
        """Whether it trains on stylised images too."""
        return True


class GNT(MethodConfig):
    """Gaussian noise training: half of every batch clean, half with noise.

    Attributes:
        sigma: standard deviation of the noise in [0, 1] pixel units; 0 trains on clean images.
        noisy_share: the part of each batch that gets noise.
    """

    method: Literal["gnt"] = "gnt"
    sigma: Annotated[float, Field(ge=0), UnsignedZero]
    noisy_share: Annotated[float, Field(gt=0, le=1)] = 0.5


class ANT(MethodConfig):
    """Adversarial noise training: a noise generator is trained against the classifier.

    Of every batch a part stays clean, a part gets noise from the current generator and a part from
    past ones (experience replay). Without replay, "w/o EP" in the paper, the shares are 0.5, 0.5
    and 0. While no generator has been replaced yet, the current one takes the share of the past;
    with a ``reset_interval`` of "never" it does so to the end.

    Attributes:
        epsilon: l2 size of the noise on images in [0, 1], after clipping; 10 in the paper on MNIST.
        kernel_size: 1 makes spatially uncorrelated noise, 3 noise with a correlation length of 3
            pixels: the second layer is then 3x3, so it takes two layers at least.
        depth: convolutions of the generator (Table 11 varies it).
        reset_interval: epochs after which the generator is replaced by a fresh one, or "never".
        generator_learning_rate: of Adam, one step for each step of the classifier.
        clean_share: the part of each batch without noise.
        current_share: the part with noise of the current generator, more than 0.
        past_share: the part with noise of two past generators, half of it each.
        pretraining_steps: those that each fresh generator is first trained alone. The default is
            that of ImageNet, where 0.33 epochs are 6000 steps; on MNIST they are 61, so that most
            of the time goes here.
        pretraining_learning_rate: of Adam during these.
        stylized_share: the part of each batch, out of the clean one, that stylised images take the
            place of ("ANT+SIN"); the generator is shown the clean images instead.

    References:
        Appendix A (generators) and B: epsilon 10 on MNIST; 135, and 70 with kernels of 3, on
        ImageNet; Adam at 1e-4, a fresh generator every 0.33 epochs.
    """

    method: Literal["ant"] = "ant"
    epsilon: PositiveFloat
    kernel_size: Literal[1, 3] = 1
    depth: Annotated[int, Field(ge=1, le=8)] = 4
    reset_interval: PositiveFloat | Literal["never"] = 0.33
    generator_learning_rate: PositiveFloat = 1e-4
    clean_share: Share = 0.5
    current_share: Annotated[float, Field(gt=0, le=1)] = 0.3
    past_share: Share = 0.2
    pretraining_steps: Annotated[int, Field(ge=0)] = 1000
    pretraining_learning_rate: PositiveFloat = 5e-4
    stylized_share: Share = 0.0

    @property
    def variant(self) -> str:
        """``ant_1x1`` or ``ant_3x3``, with ``_without_replay`` where no batch has past noise.

        With ``_sin`` where there are stylised images.
        """
        plain = f"ant_{self.kernel_size}x{self.kernel_size}"
        without = "_without_replay" * (self.past_share == 0)
        return plain + without + "_sin" * self.uses_stylized

    @property
    def uses_stylized(self) -> bool:
        """Whether it trains on stylised images too."""
        return self.stylized_share > 0

    @model_validator(mode="after")
    def _fits_together(self) -> "ANT":
        shares = (self.clean_share, self.current_share, self.past_share)
        if abs(sum(shares) - 1) > 1e-9:
            raise ValueError(
                "clean_share + current_share + past_share must be 1, got "
                f"{' + '.join(map(str, shares))} = {sum(shares):.10g}"
            )
        if self.kernel_size == 3 and self.depth == 1:
            raise ValueError("kernel_size 3 needs a depth of at least 2, got depth 1")
        if self.stylized_share > self.clean_share:
            raise ValueError(
                "stylized_share is a part of clean_share, got "
                f"{self.stylized_share:g} of {self.clean_share:g}"
            )
        return self


class GNTMult(MethodConfig):
    """Gaussian noise training with several sigmas: each noisy image gets one of them at random.

    Attributes:
        sigmas: the standard deviations to choose from, with equal odds, in [0, 1] pixel units.
        noisy_share: the part of each batch that gets noise.

    References:
        GNT_mult of Tables 4 and 5: the sigmas of ImageNet-C's Gaussian noise, severities 1 to 5.
    """

    method: Literal["gnt_mult"] = "gnt_mult"
    sigmas: Sigmas = (0.08, 0.12, 0.18, 0.26, 0.38)
    noisy_share: Annotated[float, Field(gt=0, le=1)] = 0.5

    @property
    def largest_sigma(self) -> float:
        """How strong the method is, as one number."""
        return max(self.sigmas)


class Speckle(MethodConfig):
    """Training on speckle noise, ``x + x * N(0, sigma^2)``, half of every batch clean.

    Attributes:
        sigmas: the standard deviations to choose from, with equal odds, relative to each pixel.
        noisy_share: the part of each batch that gets noise.

    References:
        Appendix B: the speckle noise of ImageNet-C, severities 1 to 5.
    """

    method: Literal["speckle"] = "speckle"
    sigmas: Sigmas = (0.15, 0.2, 0.35, 0.45, 0.6)
    noisy_share: Annotated[float, Field(gt=0, le=1)] = 0.5

    @property
    def largest_sigma(self) -> float:
        """How strong the method is, as one number."""
        return max(self.sigmas)


class Ford(MethodConfig):
    """Gaussian noise on every image, its sigma uniform in [0, ``sigma_max``].

    Attributes:
        sigma_max: largest standard deviation in [0, 1] pixel units; 0 trains on clean images. The
            default is that of the models that Table 8 compares.

    References:
        Ford et al., "Adversarial examples are a natural consequence of test error in noise", 2019;
        appendix H.
    """

    method: Literal["ford"] = "ford"
    sigma_max: Sigma = 0.4


class PatchGaussian(MethodConfig):
    """Gaussian noise inside one square patch of every image, its sigma uniform up to a maximum.

    Attributes:
        patch_size: side of the square in pixels. The default is to 28 pixels what the authors' 25
            is to the 32 of CIFAR-10.
        random_size: whether the side of each is uniform in whole numbers below ``patch_size``
            instead, as for ImageNet, with 250.
        sigma_max: largest standard deviation in [0, 1] pixel units; 0 trains on clean images.

    References:
        Lopes et al., "Improving robustness without sacrificing accuracy with Patch Gaussian
        augmentation", 2019: sigma_max 1.
    """

    method: Literal["patch_gaussian"] = "patch_gaussian"
    patch_size: PositiveInt = 22
    sigma_max: Sigma = 1.0
    random_size: bool = False


class AugMix(MethodConfig):
    """Mixtures of augmentation chains, and a consistency term.

    By default the operations are those that do not overlap MNIST-C; on photos all nine of the
    original are switched on.

    Attributes:
        width: chains in each mixture.
        max_depth: operations in a chain: uniform from 1 to this.
        severity: how far the operations go, 10 at most.
        consistency: weight of the Jensen-Shannon divergence between the predictions for an image
            and for two mixtures of it.
        solarize: whether solarisation is among the operations. It inverts bright pixels, which the
            stripes of MNIST-C do as well, to whole columns: left out like all that overlaps.
        geometric: whether rotate, shear and translate are: corruptions of MNIST-C, but none of
            photos. Each channel is then treated by its own levels, as Pillow does.

    References:
        Hendrycks et al., "AugMix: a simple data processing method to improve robustness and
        uncertainty", 2020: the other defaults are theirs on CIFAR-10.
    """

    method: Literal["augmix"] = "augmix"
    width: Annotated[int, Field(ge=1, le=10)] = 3
    max_depth: Annotated[int, Field(ge=1, le=10)] = 3
    severity: Annotated[float, Field(ge=0.1, le=10)] = 3
    consistency: Annotated[float, Field(ge=0), UnsignedZero] = 12.0
    solarize: bool = False
    geometric: bool = False


Architecture = Annotated[str, AfterValidator(architectures.known)]


class Given(MethodConfig):
    """Weights that were trained elsewhere: there is nothing to train, only to measure.

    Attributes:
        name: what tables call the model.
        architecture: one of ``gon_core.architectures.ARCHITECTURES``.
        sha256: of the tensors, so that other weights are another trial.
    """

    method: Literal["given"] = "given"
    name: str
    architecture: Architecture
    sha256: str

    @property
    def variant(self) -> str:
        """Its name."""
        return self.name


Trained = (
    Vanilla
    | GNT
    | GNTMult
    | Speckle
    | Ford
    | PatchGaussian
    | PGD
    | FreeAT
    | UAT
    | DDN
    | AugMix
    | SININ
    | ANT
)
Method = Annotated[Trained, Field(discriminator="method")]

Variant = Literal[
    "vanilla", "gnt", "gnt_mult", "speckle", "ford", "patch_gaussian", "augmix", "pgd", "free",
    "ddn", "ant_1x1", "ant_3x3", "ant_1x1_without_replay", "ant_1x1_sin", "ant_3x3_sin", "sin_in",
    "uat", "pgd_targeted",
]  # fmt: skip
WITHOUT_STRENGTH: tuple[str, ...] = ("vanilla", "sin_in")
"""Variants without a number to tune them by: a line search has nothing to search."""
