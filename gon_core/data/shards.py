"""Write a folder of images as Parquet shards: ``python -m gon_core.data.shards IN OUT``."""

import argparse
import io
import json
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path, PurePath

import pyarrow as pa
from pyarrow import parquet

from gon_core.data.decoding import decode_whole
from gon_core.data.files import DataFileError
from gon_core.data.image_folder import scan
from gon_core.data.listing import LabelledSource

SHARD = 250 * 2**20  # bytes of images, about
GROUP = 256  # rows of a row group
AT_A_TIME = 8  # images that are read or encoded together
SAY_SECONDS = 10.0
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def write(
    folder: Path, out: Path, side: int | None = None, quality: int = 90, shard_bytes: int = SHARD
) -> int:
    """Write the images of a folder, in the layout of ``gon_core.data.sharded``; return how many.

    Args:
        folder: one folder a class; see ``gon_core.data.image_folder``.
        out: where the shards are written; must hold none.
        side: what the shorter side of each image is reduced to, as JPEG; None for the files as they
            are.
        quality: of these JPEGs.
        shard_bytes: after so many bytes of images another shard begins.

    Raises:
        DataFileError: an image cannot be read, or there are shards already.
    """
    if out.is_dir() and any(out.glob("*.parquet")):
        raise DataFileError(f"{out}: holds shards already")
    listing, count = scan(folder), 0
    out.mkdir(parents=True, exist_ok=True)
    feature = {"names": list(listing.classes), "_type": "ClassLabel"}
    features = {"image": {"_type": "Image"}, "label": feature}
    schema = pa.schema(
        [("image", IMAGE), ("label", pa.int64())],
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    for part, labelled in zip(("train", "validation"), listing.open(), strict=True):
        shards = list(_write_part(out, part, labelled, schema, side, quality, shard_bytes))
        for number, (path, rows) in enumerate(shards):
            path.replace(out / f"{part}-{number:05}-of-{len(shards):05}.parquet")
            count += rows
    return count


def _write_part(
    out: Path, part: str, labelled: LabelledSource, schema: pa.Schema, side: int | None,
    quality: int, shard_bytes: int,
) -> Iterator[tuple[Path, int]]:  # fmt: skip
    """Write the shards of a part under passing names; yield each with its number of rows."""
    source, labels = labelled
    read = partial(_image, source, side, quality)
    rows: list[dict] = []
    size, number, said = 0, 0, time.monotonic()
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for first in range(0, len(source), GROUP):
            chunk = range(first, min(first + GROUP, len(source)))
            for index, image in zip(chunk, pool.map(read, chunk), strict=True):
                rows.append({"image": image, "label": int(labels[index])})
                size += len(image["bytes"])
            if size >= shard_bytes:
                yield _write_shard(out / f"{part}-{number:05}.part", rows, schema)
                rows, size, number = [], 0, number + 1
            if time.monotonic() - said > SAY_SECONDS:
                print(f"{part}: {chunk[-1] + 1:,} of {len(source):,} images", flush=True)
                said = time.monotonic()
    if rows:
        yield _write_shard(out / f"{part}-{number:05}.part", rows, schema)


def _write_shard(path: Path, rows: Sequence[dict], schema: pa.Schema) -> tuple[Path, int]:
    table = pa.Table.from_pylist(list(rows), schema=schema)
    parquet.write_table(table, path, row_group_size=GROUP, compression="none")
    return path, len(rows)


def _image(source, side: int | None, quality: int, index: int) -> dict[str, bytes | str]:
    name, content = PurePath(source.name(index)), source.read(index)
    if side is None:
        return {"bytes": content, "path": name.name}
    from PIL import Image

    pixels, _ = decode_whole(content, str(name))
    image = Image.fromarray(pixels.permute(1, 2, 0).numpy())
    scale = side / min(image.size)
    if scale < 1:
        width, height = (max(side, round(length * scale)) for length in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=quality)
    return {"bytes": encoded.getvalue(), "path": f"{name.stem}.jpg"}


def main(arguments: list[str] | None = None) -> int:
    """Write the shards; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m gon_core.data.shards",
        usage="%(prog)s IN OUT [--side 256 --quality 90]",
        description="Write a folder of images, one folder a class, as Parquet shards.",
    )
    parser.add_argument("folder", type=Path, help="train/<class>/* and val/<class>/*")
    parser.add_argument("out", type=Path, help="where train-*.parquet is written")
    parser.add_argument("--side", type=int, help="reduce the shorter side to it, as JPEG")
    parser.add_argument("--quality", type=int, default=90, help="of these JPEGs; default: 90")
    given = parser.parse_args(arguments)
    if (given.side is not None and given.side < 32) or not 1 <= given.quality <= 100:
        print("error: --side must be at least 32, --quality 1 to 100", file=sys.stderr)
        return 2
    try:
        count = write(given.folder, given.out, given.side, given.quality)
    except (DataFileError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{given.out}: {count:,} images in {len(list(given.out.glob('*.parquet')))} shards")
    return 0


if __name__ == "__main__":
    sys.exit(main())
