"""Data sets that differ from MNIST in their images alone, read from a folder of IDX files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gon_core.benchmarks.benchmark import Benchmark
from gon_core.benchmarks.mnist import EXTENSION, MNIST, PUBLISHED_SUITE

if TYPE_CHECKING:
    from gon_core.data.splits import LabelledImages


def like_mnist(name: str, title: str) -> Benchmark:
    """Return the benchmark of a data set in torchvision's layout that is trained on as MNIST is.

    Args:
        name: of it, one in ``gon_core.data.files.FOLDERS``.
        title: for people.
    """

    def read(data_dir: Path | None) -> tuple[LabelledImages, LabelledImages]:
        from gon_core.data import idx

        return idx.load(name, data_dir)

    def check(data_dir: Path | None) -> str:
        from gon_core.data import files

        return files.check(name, data_dir)

    def download(data_dir: Path) -> None:
        from gon_core.data import idx

        idx.download(name, data_dir)

    suite = replace(PUBLISHED_SUITE, title=f"{title}-C")
    extension = replace(EXTENSION, title=f"our extension of {title}-C")
    return replace(
        MNIST, name=name, title=title, read=read, check=check, download=download, published=None,
        suites={"validation": suite, "test": suite, "severities": extension},
    )  # fmt: skip
