"""The training images, as rank 0 leaves them to the others: pixels, or where the files are."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from gon_core.data.decoding import Encoded
from gon_core.data.folder_images import FolderImages
from gon_core.data.listing import Files
from gon_core.data.sharded import Shards
from gon_core.data.splits import Images, LabelledImages
from gon_core.data.stylized import Joined

TENSORS, FILES = "data.safetensors", "files.json"


def of_one_rank(images: Images, count: int) -> Images:
    """Return the images as each of so many ranks reads them: the decoders are divided."""
    if isinstance(images, FolderImages) and images.workers:
        return images.decoded_by(max(1, images.workers // count))
    return images


def leave(images: Images, folder: Path) -> None:
    """Write what the other ranks need to read the images into a folder of this machine."""
    tensors = {"labels": images.labels.cpu()}
    if isinstance(images, FolderImages):
        source = images.source
        sources = [source.first, source.second] if isinstance(source, Joined) else [source]
        said: dict[str, Any] = {
            "side": images.side,
            "workers": images.workers,
            "least_area": images.least_area,
            "sources": [_described(each, f"rows_{k}", tensors) for k, each in enumerate(sources)],
        }
        (folder / FILES).write_text(json.dumps(said))
    else:
        tensors["images"] = images.batch(slice(None)).cpu().contiguous()
    save_file(tensors, folder / TENSORS)


def _described(source: Encoded, rows: str, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """Return where a source's images are; ``rows`` names the tensor of those in shards."""
    if isinstance(source, Shards):
        tensors[rows] = torch.from_numpy(source.rows).contiguous()
        return {"shards": str(source.path.absolute()), "rows": rows}
    assert isinstance(source, Files), f"images in {type(source).__name__}"
    return {"root": str(source.root.absolute()), "paths": source.paths}


def take(folder: Path) -> Images:
    """Return what ``leave`` wrote, on the CPU."""
    tensors = load_file(folder / TENSORS)
    if not (folder / FILES).exists():
        return LabelledImages(tensors["images"], tensors["labels"])
    said = json.loads((folder / FILES).read_text())
    first, *others = [_taken(each, tensors) for each in said["sources"]]
    source = Joined(first, *others) if others else first
    return FolderImages(
        source, tensors["labels"], said["side"], said["workers"], least_area=said["least_area"]
    )


def _taken(said: dict[str, Any], tensors: dict[str, Tensor]) -> Encoded:
    if "shards" in said:
        return Shards(Path(said["shards"]), tensors[said["rows"]].numpy())
    return Files(Path(said["root"]), tuple(said["paths"]))
