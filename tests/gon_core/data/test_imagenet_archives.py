"""ImageNet's archives become class folders by the lines of docs/imagenet.md, on made-up ones."""

import io
import re
import tarfile
import textwrap
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from torchvision.datasets import imagenet

from gon_core.data import image_folder
from tests.class_folders import photo

PAGE = Path(__file__).parents[3] / "docs/imagenet.md"
WNIDS = ("n01440764", "n01443537", "n01484850")
NUMBERS = (2, 3, 1)  # of the development kit, in another order than the names
TRUTH = (3, 1, 2, 1, 3, 2)  # of each validation image, by these numbers


def jpeg(seed):
    content = io.BytesIO()
    Image.fromarray(photo(seed)).save(content, "JPEG")
    return content.getvalue()


def archive(files, mode="w"):
    """Return a tar file with these files, by name."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=mode) as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return content.getvalue()


def development_kit():
    """Return the archive that says which class a number is, and which number an image has."""
    kinds = [(name, object) for name in ("ILSVRC2012_ID", "WNID", "words", "gloss", "num_children")]
    rows = [(k, wnid, f"a {wnid}", "", 0) for k, wnid in zip(NUMBERS, WNIDS, strict=True)]
    rows.append((4, "n00000001", "what is above them", "", 3))
    meta = io.BytesIO()
    savemat(meta, {"synsets": np.array(rows, dtype=kinds)})
    below = "ILSVRC2012_devkit_t12/data"
    truth = "".join(f"{number}\n" for number in TRUTH).encode()
    files = {
        f"{below}/meta.mat": meta.getvalue(),
        f"{below}/ILSVRC2012_validation_ground_truth.txt": truth,
    }
    return archive(files, "w:gz")


def test_the_page_s_lines_make_class_folders(tmp_path, monkeypatch):
    (snippet,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    snippet = textwrap.dedent(snippet)
    root = tmp_path / "imagenet"
    root.mkdir()
    inner = {
        f"{wnid}.tar": archive({f"{wnid}_{k}.JPEG": jpeg(10 * number + k) for k in range(2)})
        for number, wnid in enumerate(WNIDS)
    }
    (root / "ILSVRC2012_img_train.tar").write_bytes(archive(inner))
    images = {f"ILSVRC2012_val_{k + 1:08}.JPEG": jpeg(100 + k) for k in range(len(TRUTH))}
    (root / "ILSVRC2012_img_val.tar").write_bytes(archive(dict(reversed(images.items()))))
    (root / "ILSVRC2012_devkit_t12.tar.gz").write_bytes(development_kit())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RuntimeError, match="not present in the root directory or is corrupted"):
        exec(snippet, {})  # its sum is not that of the published archive
    unsummed = {part: (name, None) for part, (name, _) in imagenet.ARCHIVE_META.items()}
    monkeypatch.setattr(imagenet, "ARCHIVE_META", unsummed)
    exec(snippet, {})
    listing = image_folder.scan(root)
    assert listing.classes == WNIDS and len(listing.training) == 6
    named = dict(zip(NUMBERS, WNIDS, strict=True))
    expected = {f"val/{named[number]}/{name}" for number, name in zip(TRUTH, images, strict=True)}
    assert {path for path, _ in listing.test} == expected
