"""torchvision's ImageNet classifiers with their preprocessing inside."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Normalised(nn.Module):
    """A backbone that takes RGB images in [0, 1]: it normalises them itself.

    Its state dict is the backbone's own, with torchvision's names.

    Attributes:
        mean, deviation: of each channel, subtracted and divided by.

    References:
        Appendix B: the standard preprocessing of PyTorch's model zoo, after the noise.
    """

    mean, deviation = MEAN, DEVIATION

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch label"]:
        """Return the logits of ``images`` in [0, 1]."""
        mean = images.new_tensor(self.mean).view(3, 1, 1)
        deviation = images.new_tensor(self.deviation).view(3, 1, 1)
        return self.backbone((images - mean) / deviation)

    def adapted(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return weights under this model's names, where it takes others as well."""
        return state

    def state_dict(self, *args, **kwargs):
        """Return the backbone's."""
        return self.backbone.state_dict(*args, **kwargs)

    def load_state_dict(self, state_dict, strict: bool = True, assign: bool = False):
        """Load the backbone's."""
        return self.backbone.load_state_dict(state_dict, strict, assign)


def backbone(name: str, classes: int = 1000, generator: Generator | None = None) -> Normalised:
    """Return a classifier of torchvision, with new weights.

    Args:
        name: torchvision's, for example ``resnet50``.
        classes: how many it has.
        generator: draws the initial weights; one that is seeded with 0 by default.
    """
    from torchvision import models  # takes seconds; MNIST does not need it

    with drawing_from(generator):
        return Normalised(models.get_model(name, weights=None, num_classes=classes))


def inception_v3(classes: int = 1000, generator: Generator | None = None) -> Normalised:
    """Return InceptionV3 with new weights; while it trains it answers with two classifiers' logits.

    Its published weights take images that are normalised once more, to levels from -1 to 1
    (``transform_input``); so it does here.
    """
    from torchvision import models

    with drawing_from(generator):
        network = models.inception_v3(
            weights=None, num_classes=classes, transform_input=True, init_weights=True
        )
    return Normalised(network)


@contextmanager
def drawing_from(generator: Generator | None) -> Iterator[None]:
    """Let what draws from torch's global stream draw by a generator; leave that stream as it was.

    Args:
        generator: chooses the seed; 0 by default.
    """
    seed = 0 if generator is None else int(torch.randint(2**31, (), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
