"""Bad configuration files, names and places, and folders of data."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from gon_core.corruptions.mnist_c import CORRUPTIONS
from tests.sweeps.bad_input.cases import (
    DEPTH,
    EPSILON,
    EVAL,
    JOINT,
    METHODS,
    NESTED,
    RESET,
    SIGMA,
    case,
    file,
    good,
)

# ------------------------------------------------------------------------------------ YAML files

GROWTH = (  # each list holds the one before nine times
    f"{name}: &{name} [{', '.join(['*' + before] * 9)}]"
    for before, name in zip("abcdefg", "bcdefgh", strict=True)
)
BOMB = "\n".join(["a: &a [1, 1]", *GROWTH])
YAML = [
    case(SIGMA, "", "--config: schedular: unknown key; did you mean scheduler?",
         config="schedular: asha"),
    case(SIGMA, "", "--config: num-trails: unknown key; did you mean", config="num-trails: 3"),
    case(SIGMA, "", "--config: config: unknown key", config="config: other.yaml"),
    case(SIGMA, "", "--config: 7: unknown key", config="7: 3"),
    case(SIGMA, "", "--config: <<: unknown key", config="<<: {seeds: 3}"),
    case(SIGMA, "", "--config: seeds: is given twice", config="seeds: 3\nseeds: 4"),
    case(SIGMA, "", "--config: num_trials: is given twice", config="num-trials: 3\nnum_trials: 4"),
    case(SIGMA, "", "--seeds: must be at least 1", config="seeds: 0"),
    case(SIGMA, "", "--seeds: must be a whole number, given: true", config="seeds: true"),
    case(SIGMA, "", "--seeds: must be a whole number, given: 2.5", config="seeds: 2.5"),
    case(SIGMA, "", "--seeds: must be one whole number, given: 1 2", config="seeds: [1, 2]"),
    case(SIGMA, "", "--seeds: must be one whole number, given: nothing", config="seeds:"),
    case(SIGMA, "", "--name: must be one word, given: a b", config="name: [a, b]"),
    case(SIGMA, "", "--dry-run: must be true or false, given: perhaps", config="dry-run: perhaps"),
    case(SIGMA, "", "--data-dir: must be one path", config="data-dir: [a, b]"),
    case(SIGMA, "", "--config: seeds: must be a value or a list", config="seeds: {first: 1}"),
    case(SIGMA, "", "--config: sigmas: must be a value or a list", config="sigmas: [0, [1, 2]]"),
    case(SIGMA, "", "--config: sigmas: must be a value or a list", config="sigmas: &a [*a]"),
    case(SIGMA, "", "--sigmas: .nan is not a number", config="sigmas: [0.5, .nan]"),
    case(SIGMA, "", "--sigmas: needs at least one value", config="sigmas: []"),
    case(SIGMA, "", "--storage: must be the path of a folder", config='storage: "a\\0b"'),
    case(SIGMA, "", "config.yaml must hold keys and values", config="- seeds\n- 3"),
    case(SIGMA, "", "config.yaml must hold keys and values", config="just text"),
    case(SIGMA, "", "config.yaml is not plain YAML", config="seeds: [1"),
    case(SIGMA, "", "config.yaml is not plain YAML", config=NESTED[:20_000]),
    case(SIGMA, "", "config.yaml is not plain YAML", config="seeds: 1\n---\nseeds: 2"),
    case(SIGMA, "", "config.yaml is not plain YAML", "python/object/apply:os.system",
         config="!!python/object/apply:os.system ['touch executed']"),
    case(SIGMA, "", "--config: name: is not plain YAML", "python/object/apply:os.system",
         config="name: !!python/object/apply:os.system ['touch executed']"),
    case(SIGMA, "", "config.yaml is not plain YAML", "python/object/new:os.system",
         config="!!python/object/new:os.system {seeds: 3}"),
    case(SIGMA, "", "--config: sigmas: is not plain YAML", "python/name:os.system",
         config="sigmas: [!!python/name:os.system x]"),
    case(SIGMA, "", "cannot be read (it is not text in UTF-8)", config=b"\x80\x04\x95\xff\xfe"),
    case(SIGMA, "", "config.yaml is not plain YAML", config=b"\x00\x01\x02"),
    case(SIGMA, "", "--config: config.yaml is longer than", config="#" * 200_000),
    case(SIGMA, "", "--config: sigmas: must be a value or a list of values",
         config=f"{BOMB}\nsigmas: [*h, *h]", problems=9),
    case(SIGMA, "--config missing.yaml", "missing.yaml cannot be read (No such file"),
    case(SIGMA, "--config .", "--config: . cannot be read (Is a directory)"),
    case(SIGMA, "--config", "--config: needs a value"),
    case(JOINT, "", "--warm-start: missing: no sweep there", config="warm_start: [missing]"),
    case(EVAL, "", "--config: checkpoint: unknown key; did you mean checkpoints?",
         "--checkpoints: needs at least one", config="checkpoint: [a]", problems=2),
]  # fmt: skip

# ------------------------------------------------------------------------------- names and places

PLAIN = "must be 1 to 100 of the characters A-Z a-z 0-9 . _ -"
NAMES = [
    case(SIGMA, "--name a/b", f"--name: {PLAIN}; for example a-b"),
    case(SIGMA, "--name ../escape", f"--name: {PLAIN}"),
    case(SIGMA, "--name ..", "--name: is reserved"),
    case(SIGMA, "--name .", "--name: is reserved"),
    case(SIGMA, "--name 'two words'", f"--name: {PLAIN}; for example two-words"),
    case(SIGMA, f"--name {'x' * 101}", f"--name: {PLAIN}"),
    case(SIGMA, "--name ''", f"--name: {PLAIN}, given: nothing"),
    case(SIGMA, "", f"--name: {PLAIN}; for example a-b, given: a\\nb", config='name: "a\\nb"'),
    case(SIGMA, "--name starting_models", "--name: is reserved"),
    case(SIGMA, "--name mlflow.db.half-made", "--name: is reserved"),
    case(EPSILON, "--name mlflow.db", "--name: is reserved"),
    case(METHODS, "--name mlartifacts", "--name: is reserved"),
    case(SIGMA, "--storage taken", "--storage:", "is a file, a folder", prepare=file("taken")),
    case(SIGMA, "--storage taken/below", "--storage:", "is a file", prepare=file("taken")),
    case(SIGMA, "--storage /proc/nowhere", "--storage: /proc cannot be written"),
    case(SIGMA, "--storage ''", "--storage: must be the path of a folder"),
    case(SIGMA, f"--storage {'x' * 300}", "--storage:", "cannot be written (File name too long)"),
    case(SIGMA, "--storage ~nobody-of-this-name/x", "--storage:", "cannot be written"),
    case(SIGMA, "--storage ftp://host/x", "--storage: must be a local folder, s3://BUCKET"),
    case(SIGMA, "--storage s3://", "--storage: must be a local folder, s3://BUCKET"),
    case(SIGMA, "--storage s3:///key", "--storage: must be a local folder, s3://BUCKET"),
    case(SIGMA, "--storage file://relative", "--storage: needs an absolute path after file://"),
    case(JOINT, "--storage file:///proc/nowhere", "--storage: /proc cannot be written"),
    case(SIGMA, "--tracking-uri somewhere", "--tracking-uri: must be sqlite:///FILE"),
    case(SIGMA, "--tracking-uri ''", "--tracking-uri: must be sqlite:///FILE"),
    case(SIGMA, "--tracking-uri http://", "--tracking-uri: must be sqlite:///FILE, http://HOST"),
    case(SIGMA, "--tracking-uri 'mysql://me:hu sh@host/db'", "must have no blanks", "me:***@host"),
    case(SIGMA, "--tracking-uri 'http://me:hu sh@host:5000'", "must have no blanks", "me:***@host"),
    case(SIGMA, "--tracking-uri postgresql://me:hu?x=sh@host/db", "%3F", "me:***@host"),
    case(SIGMA, "--tracking-uri sqlite:////proc/mlflow.db", "--tracking-uri: /proc cannot be"),
    case(SIGMA, "--tracking-uri sqlite:///results", "--tracking-uri: results is a folder"),
]

# -------------------------------------------------------------------------------- folders of data

RAW = {
    "train-images-idx3-ubyte": (60_000, 28, 28),
    "train-labels-idx1-ubyte": (60_000,),
    "t10k-images-idx3-ubyte": (10_000, 28, 28),
    "t10k-labels-idx1-ubyte": (10_000,),
}
TEST_IMAGES = "t10k-images-idx3-ubyte"
TEST_LABELS = "t10k-labels-idx1-ubyte"


def kmnist(change: Callable[[Path], object]):
    """Return a function that makes a whole, empty data set and then changes it."""

    def prepare(root: Path) -> None:
        raw = root / "data/KMNIST/raw"
        raw.mkdir(parents=True)
        for name, shape in RAW.items():
            head = bytes([0, 0, 8, len(shape)]) + b"".join(axis.to_bytes(4) for axis in shape)
            with (raw / name).open("wb") as content:
                content.write(head)
                content.truncate(len(head) + torch.Size(shape).numel())  # a hole, of no disk space
        change(raw)

    return prepare


def truncate(raw: Path) -> None:
    with (raw / TEST_IMAGES).open("r+b") as content:
        content.truncate(1_000)


def overwrite(name: str, offset: int, content: bytes):
    """Return a function that writes into a file of the data set."""

    def change(raw: Path) -> None:
        with (raw / name).open("r+b") as opened:
            opened.seek(offset)
            opened.write(content)

    return change


def mnist_c(fault: Callable[[Path], object]):
    """Return a function that makes a small MNIST-C folder and then breaks ``fog``."""

    def prepare(root: Path) -> None:
        import numpy as np

        for name in ("identity", *CORRUPTIONS):
            (root / "set" / name).mkdir(parents=True)
            np.save(root / "set" / name / "test_images.npy", np.zeros((3, 28, 28), np.uint8))
            np.save(root / "set" / name / "test_labels.npy", np.arange(3))
        good(root)
        fault(root / "set/fog")

    return prepare


def cut_images(fog: Path) -> None:
    (fog / "test_images.npy").write_bytes((fog / "test_images.npy").read_bytes()[:-1])


KMNIST = "--dataset kmnist --data-dir data"
DATA = [
    case(SIGMA, "--dataset kmnist --data-dir missing", "--data-dir: missing/KMNIST/raw/train-",
         "no such file", "--download fetches it"),
    case(SIGMA, "--dataset kmnist --data-dir taken", "--data-dir: taken/KMNIST/raw/train-",
         prepare=file("taken")),
    case(SIGMA, KMNIST, "--data-dir:", f"{TEST_IMAGES}: no such file",
         prepare=kmnist(lambda raw: (raw / TEST_IMAGES).unlink())),
    case(EPSILON, KMNIST, "--data-dir:", f"{TEST_IMAGES}: 1,000 bytes, expected 7,840,016",
         prepare=kmnist(truncate)),
    case(DEPTH, KMNIST, "--data-dir:", f"{TEST_IMAGES}: not this IDX file",
         prepare=kmnist(overwrite(TEST_IMAGES, 0, b"\x80\x04\x95\x00"))),
    case(RESET, KMNIST, "--data-dir:", f"{TEST_IMAGES}: not this IDX file",
         prepare=kmnist(overwrite(TEST_IMAGES, 4, (9_999).to_bytes(4)))),
    case(METHODS, KMNIST, "--data-dir:", f"{TEST_LABELS}: labels up to 10, expected 0 to 9",
         prepare=kmnist(overwrite(TEST_LABELS, 100, b"\x0a"))),
    case(EVAL, "--checkpoints good --mnist-c missing", "--mnist-c: no such folder: missing",
         prepare=lambda root: good(root)),
    case(EVAL, "--checkpoints good --mnist-c set", "--mnist-c: set/fog: no such folder",
         prepare=mnist_c(lambda fog: fog.rename(fog.parent.parent / "fog"))),
    case(EVAL, "--checkpoints good --mnist-c set", "--mnist-c: set/fgo: no such corruption, "
         "nearest is 'fog'", problems=2,
         prepare=mnist_c(lambda fog: fog.rename(fog.parent / "fgo"))),
    case(EVAL, "--checkpoints good --mnist-c set", "--mnist-c: set/fog/test_images.npy:",
         "bytes, expected", prepare=mnist_c(cut_images)),
    case(EVAL, "--checkpoints good --mnist-c set", "--mnist-c: set/fog/test_labels.npy: not "
         "an .npy file",
         prepare=mnist_c(lambda fog: (fog / "test_labels.npy").write_bytes(b"\x80"))),
    case(EVAL, "--checkpoints good --imagenet-c set --architecture resnet18", "--imagenet-c:",
         "set/gaussian_noise: no such folder", "--checkpoints:", problems=16,
         prepare=lambda root: (good(root), (root / "set").mkdir())),
]  # fmt: skip


@pytest.mark.parametrize("bad", [*YAML, *NAMES, *DATA])
def test_bad_files_and_folders_are_refused_at_once_and_nothing_is_touched(bad, is_refused):
    is_refused(bad)


def shards(root: Path) -> None:
    """Write shards whose labels and footers are whole, and bytes of images are not."""
    from pyarrow import parquet

    from gon_core.data.shards import write
    from tests.class_folders import fill

    fill(root / "photos/train", 10)
    fill(root / "photos/val", 4)
    write(root / "photos", root / "shards")
    path = root / "shards/train-00000-of-00001.parquet"
    start = parquet.read_metadata(path).row_group(0).column(0).data_page_offset
    content = bytearray(path.read_bytes())
    content[start : start + 2_000] = bytes(2_000)
    path.write_bytes(content)


def test_damage_inside_a_shard_is_refused_before_anything_is_written(
    is_refused, tmp_path_factory, monkeypatch
):
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("GON_CACHE_DIR", str(cache))
    shown = "--data-dir: ", "shards/train-00000-of-00001.parquet: "
    given = "--dataset image_folder --data-dir shards --image-size 32"
    (damaged,) = case(SIGMA, given, *shown, prepare=shards).values
    is_refused(damaged)
    assert not [path for path in cache.iterdir() if path.suffix != ".lock"]
