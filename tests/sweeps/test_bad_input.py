"""Bad configurations and folders: each is refused at once, with its key, and nothing is touched.

Every case goes through the real ``main`` of a script, as typed on its command line.
"""

import importlib
import json
import shlex
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import save, save_file

from gon_core.corruptions.mnist_c import CORRUPTIONS
from gon_core.models.wong_cnn import wong_small
from sweeps import sigma_line_search
from sweeps.engine.planning import plan
from sweeps.engine.planning.strength import line_spec
from sweeps.engine.records import SweepRecords
from sweeps.engine.records.storage import Folder
from sweeps.engine.runs import checkpoint_evaluation, checkpoint_models, checkpoint_options, sweep
from sweeps.engine.trials import measures

SECONDS = 5  # of this process, so that a busy machine changes nothing
SWEEPS = (
    "sigma_line_search", "epsilon_sphere", "generator_depth", "generator_reset_interval",
    "experience_replay", "joint_search", "method_comparison",
)  # fmt: skip
SIGMA, EPSILON, DEPTH, RESET, REPLAY, JOINT, METHODS = SWEEPS
EVAL = "evaluate_checkpoint"
REPORT = "engine.report.__main__"
CHECK = "engine.records.__main__"
TRACKING = "engine.tracking.__main__"
COMMAND_MODULES = (REPORT, CHECK, TRACKING)
TINY = "--training-images 300 --validation-images 30 --test-images 30 --max-epochs 1 --seeds 1"


@dataclass(frozen=True)
class Case:
    """What is typed and lies about, and what the refusal must say.

    Attributes:
        script: module below ``sweeps``.
        arguments: as typed in a shell.
        says: parts of the message; the key is among them.
        config: content of the file ``config.yaml``, which the arguments then name.
        prepare: makes files in the working directory.
        problems: how many the message lists.
    """

    script: str
    arguments: str
    says: tuple[str, ...]
    config: str | bytes | None = None
    prepare: Callable[[Path], object] | None = None
    problems: int = 1


def case(script, arguments, *says, marks=(), **given):
    name = " ".join([script, arguments, str(given.get("config", ""))[:60]])
    return pytest.param(Case(script, arguments, says, **given), id=name.strip(), marks=marks)


def file(name: str, content: str | bytes = "x"):
    """Return a function that makes one file."""

    def prepare(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    return prepare


def folder(name: str):
    """Return a function that makes an empty folder."""
    return lambda root: (root / name).mkdir(parents=True)


def all_of(*prepared):
    """Return a function that calls these, one after another."""
    return lambda root: [prepare(root) for prepare in prepared]


# ---------------------------------------------------------------------------- numbers and words

NUMBERS = [
    case(SIGMA, "--sigmas -1", "--sigmas: -1 is below 0"),
    case(SIGMA, "--sigmas 0.5 nan", "--sigmas: nan is not finite"),
    case(SIGMA, "--sigmas inf", "--sigmas: inf is not finite"),
    case(SIGMA, "--sigmas 1e400", "--sigmas: 1e400 is not finite"),
    case(SIGMA, "--sigmas half", "--sigmas: half is not a number"),
    case(SIGMA, "--sigmas", "--sigmas: needs at least one value"),
    case(SIGMA, "--sigmas 0.5 0.50", "--sigmas: 0.50 is given twice"),
    case(SIGMA, "--sigmas 0.1 --sigmas 0.5", "--sigmas: is given twice", "after one --sigmas"),
    case(SIGMA, "--seeds 0", "--seeds: must be at least 1, given: 0"),
    case(SIGMA, "--seeds 1.5", "--seeds: must be a whole number, given: 1.5"),
    case(SIGMA, "--seeds three", "--seeds: must be a whole number, given: three"),
    case(SIGMA, "--seeds", "--seeds: needs a value"),
    case(SIGMA, "--seeds --name a", "--seeds: needs a value"),
    case(SIGMA, "--seeds 1000000000", "--seeds: must be at most 1000"),
    case(SIGMA, "--seed 2147483648", "--seed: must be less than 2147483648"),
    case(SIGMA, "--seed -1", "--seed: must be at least 0"),
    case(SIGMA, "--num-trials 1000000000", "--num-trials: must be at most 10000"),
    case(SIGMA, "--num-trials -1", "--num-trials: must be at least 0"),
    case(SIGMA, "--max-epochs 0", "--max-epochs: must be at least 1"),
    case(SIGMA, "--max-epochs 1000000", "--max-epochs: must be at most 100000"),
    case(SIGMA, "--start-epochs 1e9", "--start-epochs: must be a whole number, given: 1e9"),
    case(SIGMA, "--checkpoint-every 0", "--checkpoint-every: must be at least 1"),
    case(SIGMA, "--wait-for-driver -1", "--wait-for-driver: must be at least 0"),
    case(SIGMA, "--wait-for-driver long", "--wait-for-driver: must be a number"),
    case(SIGMA, "--max-failures -1", "--max-failures: must be at least 0"),
    case(SIGMA, "--max-concurrent 0", "--max-concurrent: must be at least 1"),
    case(SIGMA, "--training-images 55001", "--training-images: must be at most 55,000"),
    case(SIGMA, "--validation-images 5001", "--validation-images: must be at most 5,000"),
    case(SIGMA, "--test-images 10001", "--test-images: must be at most 10,000"),
    case(SIGMA, "--evaluation-images 10001", "--evaluation-images: must be at most 10,000"),
    case(SIGMA, "--cpus-per-trial 100000", "--cpus-per-trial: must be at most", "the cores"),
    case(SIGMA, "--processes-per-trial 0", "--processes-per-trial: must be at least 1, given: 0"),
    case(SIGMA, "--processes-per-trial 1.5", "--processes-per-trial: must be a whole number"),
    case(SIGMA, "--processes-per-trial 1000", "--processes-per-trial: must be at most", "cores"),
    case(SIGMA, "--gpus-per-trial 1000", "--gpus-per-trial: must be at most", "the GPUs"),
    case(SIGMA, "--gpus-per-trial nan", "--gpus-per-trial: must be a finite number"),
    case(SIGMA, "--gpus-per-trial 1.5", "--gpus-per-trial: must be a whole number above 1"),
    case(SIGMA, "--budget-hours 0", "--budget-hours: must be greater than 0.0, given: 0"),
    case(SIGMA, "--budget-hours -1", "--budget-hours: must be greater than 0"),
    case(SIGMA, "--budget-hours nan", "--budget-hours: must be a finite number"),
    case(SIGMA, "--budget-hours inf", "--budget-hours: must be a finite number"),
    case(SIGMA, "--budget-hours soon", "--budget-hours: must be a number, given: soon"),
    case(SIGMA, "--budget-hours", "--budget-hours: needs a value"),
    case(SIGMA, "", "--budget-hours: must be greater than 0", config="budget-hours: 0"),
    case(DEPTH, "--budget-gpu-hours 0", "--budget-gpu-hours: must be greater than 0"),
    case(SIGMA, "--budget-gpu-hours -0.5", "--budget-gpu-hours: must be greater than 0"),
    case(SIGMA, "--budget-gpu-hours 1e999", "--budget-gpu-hours: must be a finite number"),
    case(SIGMA, "--budget-gpu-hours nan", "--budget-gpu-hours: must be a finite number"),
    case(SIGMA, "--price-per-gpu-hour -1", "--price-per-gpu-hour: must be at least 0"),
    case(SIGMA, "--budget-hours 1e308 --dry-run", "--budget-hours: must be at most 1000000000"),
    case(SIGMA, "--gpus-per-trial 1e300 --dry-run", "--gpus-per-trial: must be at most 1000"),
    case(SIGMA, f"--cpus-per-trial {10**30}", "--cpus-per-trial: must be at most 100"),
    case(SIGMA, "--price-per-gpu-hour 1e308", "--price-per-gpu-hour: must be at most 1000000"),
    case(SIGMA, "--price-per-gpu-hour nan", "--price-per-gpu-hour: must be a finite number"),
    case(EPSILON, "--epsilons 0 7", "--epsilons: 0 is not above 0"),
    case(EPSILON, "--epsilons -inf", "--epsilons: -inf is not finite"),
    case(EPSILON, "--depth 9", "--depth: must be at most 8, given: 9"),
    case(EPSILON, "--kernel-size 2", "--kernel-size: must be one of 1 or 3, given: 2"),
    case(EPSILON, "--reset-interval -0.33", "--reset-interval: must be a number of epochs above 0"),
    case(EPSILON, "--generator-learning-rate inf", "--generator-learning-rate: must be a finite"),
    case(EPSILON, "--past-share 1.5", "--past-share: must be at most 1"),
    case(EPSILON, f"--pretraining-steps {10**23}", "--pretraining-steps: must be at most 100"),
    case(EPSILON, "--pretraining-steps -1", "--pretraining-steps: must be at least 0"),
    case(DEPTH, "--depths 0 3", "--depths: 0 is not one of 1, 2, 3, 4, 5, 6, 7, 8"),
    case(DEPTH, "--depths 2.5", "--depths: 2.5 is not one of 1"),
    case(DEPTH, "--depths", "--depths: needs at least one value"),
    case(DEPTH, "--kernel-sizes 3 3", "--kernel-sizes: 3 is given twice"),
    case(RESET, "--reset-intervals 0", "--reset-intervals: 0 is not above 0"),
    case(RESET, "--reset-intervals often", "--reset-intervals: often is not a number or never"),
    case(RESET, "--reset-intervals never never", "--reset-intervals: never is given twice"),
    case(JOINT, "--objectives 3", "--objectives: must be one of 1 or 2, given: 3"),
    case(JOINT, "--num-trials 0", "--num-trials: must be at least 1"),
    case(JOINT, "--num-trials 10001", "--num-trials: must be at most 10000"),
    case(JOINT, "--seeds 1001", "--seeds: must be at most 1000"),
    case(SIGMA, "--address 127.0.0.1:70000", "--address: must be", "a port of 1 to 65535"),
]

WORDS = [
    case(SIGMA, "--sgimas 0.5", "--sgimas: unknown argument; did you mean --sigmas?"),
    case(SIGMA, "--sigma=0.5", "--sigma: unknown argument; did you mean --sigmas?"),
    case(SIGMA, "--confg x.yaml", "--confg: unknown argument; did you mean --config?"),
    case(SIGMA, "-n 3", "-n: unknown argument"),
    case(SIGMA, "surprise", "surprise: unknown argument"),
    case(SIGMA, "--dataset mnits", "--dataset: must be one of", "did you mean mnist?"),
    case(SIGMA, "--dataset Fashion-MNIST", "--dataset:", "did you mean fashion_mnist?"),
    case(SIGMA, "--scale dmeo", "--scale: must be one of", "did you mean demo?"),
    case(SIGMA, "--precision bf61", "--precision: must be one of", "did you mean bf16?"),
    case(SIGMA, "--sampler TPE", "--sampler: must be one of", "did you mean tpe?"),
    case(SIGMA, "--scheduler ahsa", "--scheduler: must be one of", "did you mean asha?"),
    case(SIGMA, "--method gnt_mutl", "--method:", "gnt_mutl is unknown, did you mean gnt_mult?"),
    case(SIGMA, "--method gnt gnt", "--method:", "gnt is given twice"),
    case(SIGMA, "--evaluate attack", "--evaluate:", "did you mean attacks?"),
    case(SIGMA, "--evaluate", "--evaluate:", "needs at least one value"),
    case(METHODS, "--method vanilla gtn", "--method:", "gtn is unknown, did you mean gnt?"),
    case(METHODS, "--method", "--method:", "needs at least one value"),
    case(METHODS, "--evaluate all none", "--evaluate: all and none stand alone"),
    case(JOINT, "--sampler nsga3", "--sampler: must be one of", "did you mean nsga2?"),
]  # fmt: skip

# --------------------------------------------------------------- options that do not go together

CONFLICTS = [
    case(SIGMA, "--sampler nsga2", "--sampler: must be one of gp, tpe, random"),
    case(SIGMA, "--download", "--download: MNIST is embedded"),
    case(SIGMA, "--data-dir .", "--data-dir: MNIST is embedded", "--dataset"),
    case(SIGMA, "--dataset kmnist", "--data-dir: kmnist is not embedded"),
    case(SIGMA, "--evaluate none --evaluation-images 9", "--evaluation-images: is of what"),
    case(
        SIGMA,
        "--gpus-per-trial 0 --budget-gpu-hours 1",
        "--budget-gpu-hours: no trial of this sweep has a GPU: use --budget-hours",
    ),
    case(
        SIGMA,
        "--gpus-per-trial 0 --dry-run --price-per-gpu-hour 1",
        "--price-per-gpu-hour: no trial of this sweep has a GPU, so that it has no effect",
    ),
    case(
        SIGMA,
        "--gpus-per-trial 0 --scale paper --budget-hours 0.01",
        "--budget-hours: 0.01 hours would end before the first trial, which takes at most about",
        "given: 0.01",
    ),
    case(METHODS, "--gpus-per-trial 0 --scale paper --budget-hours 0.01", "are enough for one"),
    case(SIGMA, "--method pgd --sigmas 2", "--sigmas: for pgd, 2:"),
    case(SIGMA, "--method ant_1x1 --sigmas 0", "--sigmas: for ant_1x1, 0:"),
    case(SIGMA, "--epsilons 7", "--epsilons: unknown argument"),
    case(EPSILON, "--epsilon 7", "--epsilon: is what this sweep searches: give --epsilons"),
    case(EPSILON, "--kernel-size 3 --depth 1", "--kernel-size: kernel_size 3 needs a depth of"),
    case(EPSILON, "--method ant_3x3 --depth 1", "--depth: kernel_size 3 needs a depth of at least"),
    case(EPSILON, "--clean-share 0.5 --past-share 0.5", "--clean-share:", "leave no images"),
    case(EPSILON, "--current-share 0.4", "--current-share:", "must be 1, got 0.5 + 0.4 + 0.2"),
    case(EPSILON, "--past-share 0.001", "--past-share: 0.001 of a batch of 300 is not one image"),
    case(EPSILON, "--method pgd --depth 3", "--depth: is of adversarial noise training, not of"),
    case(EPSILON, "--method ant_3x3 --kernel-size 1", "--kernel-size: is decided by --method"),
    case(EPSILON, "--sigmas 0.5", "--sigmas: unknown argument"),
    case(DEPTH, "--depth 2", "--depth: is what this sweep searches: give --depths"),
    case(DEPTH, "--depths 1 --kernel-sizes 3", "--depths: depth 1 has no layer to be 3x3"),
    case(DEPTH, "--num-trials 2", "--num-trials: must be 0", "its whole grid"),
    case(DEPTH, "--method ant_3x3", "--method: kernel_size is what this sweep searches"),
    case(RESET, "--reset-interval 1", "--reset-interval: is what", "give --reset-intervals"),
    case(RESET, "--num-trials 1", "--num-trials: must be 0"),
    case(REPLAY, "--past-share 0.1", "--past-share: is what this sweep searches"),
    case(REPLAY, "--method ant_1x1_without_replay", "--method: past_share is what this sweep"),
    case(REPLAY, "--num-trials 1", "--num-trials: must be 0"),
    case(JOINT, "--depth 3", "--depth: is what this sweep searches"),
    case(METHODS, "--num-trials 1", "--num-trials: must be 0"),
    case(METHODS, "--epsilon 7", "--epsilon: unknown argument"),
]

# ------------------------------------------------------------------------------------ YAML files

NESTED = "[" * 100_000  # beyond all depth
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

# ----------------------------------------------------------------------------- folders of a sweep


def recorded(name: str = "taken", **changes):
    """Return a function that makes the folder of a sweep with one sigma and one seed."""

    def prepare(root: Path) -> None:
        options = sigma_line_search.Options.model_validate(
            {"sigmas": "0.5", "seeds": 1, "num_trials": 0, "scale": "demo", "name": name}
        )
        made = plan.make_plan(line_spec(options, [0.5]), options)
        digest = plan.data_digest("mnist", None)
        description = sweep.describe_sweep(made, options, digest).model_copy(update=changes)
        SweepRecords(Folder(str(root / "results" / name))).write_sweep(description)

    return prepare


SAME = "--name taken --scale demo --sigmas 0.5 --num-trials 0"
SWEEP_JSON = "results/taken/sweep.json"
DAMAGED = (  # truncated, no JSON, a list, a word, without keys, a pickle
    '{"config": {"seeds"', "hello", "[]", '"config"', "{}", b"\x80\x04\x95\x00",
)  # fmt: skip
OTHERWISE = ("null", '{"config": []}', '{"config": null}', NESTED)
FOLDERS = [
    *(
        case(SIGMA, SAME, "--name:", "sweep.json is damaged", prepare=file(SWEEP_JSON, content))
        for content in DAMAGED
    ),
    *(
        case(SIGMA, SAME, "--name:", "sweep.json is damaged", prepare=file(SWEEP_JSON, content))
        for content in OTHERWISE
    ),
    case(SIGMA, SAME, "--name:", "sweep.json is damaged", prepare=folder(SWEEP_JSON)),
    case(SIGMA, SAME, "--name:", "taken is a file, choose", prepare=file("results/taken")),
    case(JOINT, "--name taken", "--name:", "taken is a file", prepare=file("results/taken")),
    case(SIGMA, f"{SAME} --seeds 2", "--name:", "holds another sweep", "seeds: recorded [0], now",
         prepare=recorded(), problems=2),
    case(SIGMA, f"{SAME} --seeds 1 --max-epochs 9", "--name:", "holds another sweep", "training:",
         prepare=recorded(), problems=2),
    case(SIGMA, f"{SAME} --seeds 1", "--name:", "the images are not those of the recorded",
         prepare=recorded(data_digest="another"), problems=2),
    case(DEPTH, "--name taken --scale demo", "--name:", "holds another sweep",
         "experiment: recorded sigma, now generator_depth", prepare=recorded(), problems=5),
    case(JOINT, "--warm-start missing", "--warm-start: missing: no sweep there"),
    case(JOINT, "--warm-start results", "--warm-start: results: no sweep there"),
    case(JOINT, "--warm-start", "--warm-start: needs at least one folder"),
    case(JOINT, "--warm-start results/taken results/taken", "--warm-start: results/taken: given "
         "twice", prepare=recorded()),
    case(JOINT, "--warm-start results/taken", "--warm-start: results/taken: sweep.json cannot be",
         prepare=file(SWEEP_JSON, "{")),
    case(JOINT, "--warm-start results/taken", "--warm-start: results/taken: sweep.json cannot be",
         prepare=file(SWEEP_JSON, NESTED)),
    case(JOINT, "--warm-start results/taken", "--warm-start: results/taken: sweep.json cannot be",
         prepare=folder(SWEEP_JSON)),
    case(JOINT, "--warm-start results/taken", "--warm-start: results/taken: sweep.json",
         prepare=file(SWEEP_JSON, "[]")),
    case(JOINT, "--warm-start ftp://host/x", "--warm-start: ftp://host/x: sweep.json cannot be"),
    case(JOINT, f"--warm-start {'x' * 300}", "--warm-start: xxx", "File name too long"),
]  # fmt: skip

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

# ------------------------------------------------------------------------------------ checkpoints


def good(root: Path) -> None:
    """Make weights with which nothing is wrong."""
    (root / "good").write_bytes(wong_weights())


def wong_weights(**changes) -> bytes:
    state = {name: tensor.clone() for name, tensor in wong_small().state_dict().items()}
    return save({name: t for name, t in (state | changes).items() if t is not None})


def checkpoint(manifest: str, content: bytes = b"", model: str = "model.safetensors"):
    """Return a function that makes the folder of a training checkpoint."""
    weights = content or wong_weights()
    return all_of(file("given/manifest.json", manifest), file(f"given/{model}", weights))


GIVEN = "--checkpoints given"
CHECKPOINTS = [
    case(
        EVAL,
        "--address 127.0.0.1:1 --gpus-per-shard 1e-320",
        "--gpus-per-shard: must be 0 or at least 0.01, given: 9.99989e-321",
        "--address: nobody answers",
        "--checkpoints: needs at least one",
        problems=3,
    ),
    case(
        EVAL, f"--cpus {10**30}", "--cpus: must be at most 100", "--checkpoints: needs", problems=2
    ),
    case(EVAL, "", "--checkpoints: needs at least one"),
    case(EVAL, "--checkpoints", "--checkpoints: needs at least one"),
    case(EVAL, GIVEN, "--checkpoints: no such file or folder: given"),
    case(EVAL, "--checkpoints good ./good", "--checkpoints: given twice: good", prepare=good),
    case(EVAL, f"--checkpoints {'x' * 300}", "--checkpoints: no such file or folder: xxx"),
    case(EVAL, "--checkpoints /dev/zero", "--checkpoints: /dev/zero: not a regular file"),
    case(EVAL, GIVEN, "--checkpoints: given: an empty file", prepare=file("given", "")),
    case(EVAL, GIVEN, "--checkpoints: given: not a safetensors file", prepare=file("given")),
    case(EVAL, GIVEN, "--checkpoints: given: a folder without model", prepare=folder("given")),
    case(EVAL, GIVEN, "--checkpoints: given/model.safetensors: a folder",
         prepare=folder("given/model.safetensors")),
    case(EVAL, GIVEN, "--checkpoints: given: a pickle", prepare=file("given", b"\x80\x04K\x01.")),
    case(EVAL, GIVEN, "--checkpoints: given: a pickle", prepare=file("given", b"PK\x03\x04xxxx")),
    case(EVAL, GIVEN, "--checkpoints: given: truncated", prepare=lambda root: (
        root / "given").write_bytes(wong_weights()[:-9])),
    case(EVAL, GIVEN, "--checkpoints: given: damaged in its head",
         prepare=file("given", struct.pack("<Q", 9) + b"{nothing}")),
    case(EVAL, GIVEN, "--checkpoints: given: it holds no tensors",
         prepare=lambda root: save_file({}, root / "given")),
    case(EVAL, GIVEN, "--checkpoints: given: 0.bias has values that are not finite",
         prepare=lambda root: (root / "given").write_bytes(
             wong_weights(**{"0.bias": torch.full((16,), torch.nan)}))),
    case(EVAL, GIVEN, "--checkpoints: given: 0.bias must be floating point",
         prepare=lambda root: (root / "given").write_bytes(
             wong_weights(**{"0.bias": torch.zeros(16, dtype=torch.int32)}))),
    case(EVAL, f"{GIVEN} --architecture wong_small", "--checkpoints: given:", "missing 0.bias",
         prepare=lambda root: (root / "given").write_bytes(wong_weights(**{"0.bias": None}))),
    case(EVAL, f"{GIVEN} --architecture wong_small", "--checkpoints: given:", "0.bias is [3]",
         prepare=lambda root: (root / "given").write_bytes(
             wong_weights(**{"0.bias": torch.zeros(3)}))),
    case(EVAL, "--checkpoints good --architecture madry_cnn", "--checkpoints: good:",
         "these are the weights of a wong_small", prepare=good),
    case(EVAL, "--checkpoints good --architecture mardy_cnn", "--architecture: must be one of",
         "did you mean madry_cnn?", prepare=good),
    case(EVAL, "--checkpoints good --architecture resnet50", "--architecture: resnet50 is for "
         "ImageNet", prepare=good),
    case(EVAL, GIVEN, "--checkpoints: given/manifest.json: damaged", prepare=checkpoint("{")),
    case(EVAL, GIVEN, "--checkpoints: given/manifest.json: damaged", prepare=checkpoint("[]")),
    case(EVAL, GIVEN, "--checkpoints: given/model.safetensors: damaged, its SHA-256",
         prepare=checkpoint(json.dumps({"sha256": {"model.safetensors": "0" * 64}}))),
    case(EVAL, "--checkpoints good --names a/b", "--names: each must be 1 to 100",
         prepare=good),
    case(EVAL, "--checkpoints good --names ..", "--names: each must be 1 to 100",
         prepare=good),
    case(EVAL, "--checkpoints good --names", "--names: needs one for each", prepare=good),
    case(EVAL, "--checkpoints good --names a b", "--names: must be as many as checkpoints",
         prepare=good),
    case(EVAL, "--checkpoints good other --names a a", "--names: given twice: a",
         prepare=lambda root: (good(root), (root / "other").write_bytes(wong_weights()))),
    case(EVAL, "--checkpoints good below/good", "--names: two checkpoints would be called",
         prepare=lambda root: (good(root), (root / "below").mkdir(), good(root / "below"))),
    case(EVAL, "--checkpoints good --cpus 100000", "--cpus: must be at most", prepare=good),
    case(EVAL, "--checkpoints good --test-images 0", "--test-images: must be at least 1",
         prepare=good),
    case(EVAL, "--checkpoints good --imagenet-c .", "--architecture: must be one of resnet18",
         prepare=good),
    case(EVAL, "--checkpoints good --storage good", "--storage:", "is a file", prepare=good),
    *(
        case(EVAL, "--checkpoints good --name taken", "--name:", "sweep.json is damaged",
             prepare=all_of(good, file(SWEEP_JSON, content)))
        for content in ("{", "{}", "[]", '{"config": null}', NESTED, b"\x80\x04")
    ),
    case(EVAL, "--checkpoints good --name taken", "--name:", "sweep.json is damaged",
         prepare=all_of(good, folder(SWEEP_JSON))),
    case(EVAL, "--checkpoints good --name taken", "--name:", "taken is a file",
         prepare=all_of(good, file("results/taken"))),
    case(EVAL, "--checkpoints good --name taken", "--name:", "holds another sweep",
         prepare=all_of(good, recorded())),
]  # fmt: skip

# --------------------------------------------------------------- commands over a recorded sweep

COMMANDS = [
    case(REPORT, "", "required: folder"),
    case(REPORT, "a b", "unrecognized arguments: b"),
    case(REPORT, "missing", "missing has no sweep.json"),
    case(REPORT, "results", "results has no sweep.json"),
    case(REPORT, "taken", "taken has no sweep.json", prepare=file("taken")),
    case(REPORT, "ftp://host/x", "ftp://host/x: no report could be made"),
    case(REPORT, "results/taken", "no report could be made", prepare=file(SWEEP_JSON, "{")),
    case(REPORT, "results/taken", "damaged (name: Field", prepare=file(SWEEP_JSON, "{}")),
    case(REPORT, "results/taken", "no report could be made", prepare=file(SWEEP_JSON, "[]")),
    case(REPORT, "results/taken", "no report could be made", prepare=file(SWEEP_JSON, "5")),
    case(REPORT, "results/taken", "no report could be made", prepare=file(SWEEP_JSON, NESTED)),
    case(REPORT, "~nobody-of-this-name/x", "~nobody-of-this-name/x"),
    case(CHECK, "", "usage: python -m sweeps.engine.records"),
    case(CHECK, "check", "usage: python -m sweeps.engine.records"),
    case(CHECK, "chekc results", "usage: python -m sweeps.engine.records"),
    case(CHECK, "check missing", "missing has no sweep.json"),
    case(CHECK, "check results", "results has no sweep.json"),
    case(CHECK, "check ftp://host/x", "ftp://host/x: "),
    case(CHECK, "check ~nobody-of-this-name/x", "~nobody-of-this-name/x: "),
    *(
        case(CHECK, "check results/taken", "results/taken: ", prepare=file(SWEEP_JSON, content))
        for content in (
            "{", "[]", "5", NESTED, '{"config": 5}', '{"grid": 5}', '{"grid": null}',
            '{"baselines": null}', '{"seeds": 3}',
        )
    ),
    case(TRACKING, "replay ~nobody-of-this-name/x", "~nobody-of-this-name/x: "),
    case(TRACKING, "", "usage: python -m sweeps.engine.tracking"),
    case(TRACKING, "replay", "usage: python -m sweeps.engine.tracking"),
    case(TRACKING, "repaly results", "usage: python -m sweeps.engine.tracking"),
    case(TRACKING, "replay missing", "missing: no sweep there"),
    case(TRACKING, "replay results", "results: no sweep there"),
    case(TRACKING, "replay ftp://host/x", "ftp://host/x: sweep.json cannot be read"),
    case(TRACKING, "replay results/taken", "sweep.json cannot be", prepare=file(SWEEP_JSON, "{")),
    *(
        case(TRACKING, "replay results/taken", "results/taken: sweep.json",
             prepare=file(SWEEP_JSON, content))
        for content in ("{}", "[]", "5", NESTED)
    ),
    case(TRACKING, "replay results/taken", "the password is not recorded", prepare=recorded(
        tracking_uri="postgresql://me:***@host/db")),
]  # fmt: skip

CASES = [
    *NUMBERS, *WORDS, *CONFLICTS, *YAML, *NAMES, *FOLDERS, *DATA, *CHECKPOINTS, *COMMANDS,
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def warmed():
    """Everything is imported and the embedded images are checked: the start is not measured."""
    for script in (*SWEEPS, EVAL, REPORT, TRACKING):
        importlib.import_module(f"sweeps.{script}")
    plan.data_digest("mnist", None)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory with a storage folder in which something lies; nothing may start."""

    def started(*arguments, **keywords):
        raise AssertionError("something was started")

    monkeypatch.setattr(sweep, "Cluster", started)
    monkeypatch.setattr(sweep, "Tracker", started)
    monkeypatch.setattr(checkpoint_evaluation, "Tracker", started)
    monkeypatch.setattr(measures, "measure", started)
    monkeypatch.setattr("sweeps.engine.tracking.mlflow.outbox.Store", started)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results/earlier").mkdir(parents=True)
    (tmp_path / "results/earlier/notes.txt").write_text("kept")
    return tmp_path


def content(root: Path) -> dict[str, object]:
    """Return everything below a folder; of large files, which no refusal reads, the time."""
    found = {}
    for path in sorted(root.rglob("*")):
        size = path.lstat().st_size
        small = path.is_file() and size < 1_000_000
        found[str(path)] = path.read_bytes() if small else (size, path.lstat().st_mtime_ns)
    return found


def run_main(script: str, words: list[str], monkeypatch) -> tuple[object, float]:
    """Return the exit code of a script's ``main`` and the seconds it took."""
    module = importlib.import_module(f"sweeps.{script}")
    monkeypatch.setattr(sys, "argv", [f"sweeps/{script}.py", *words])
    started = time.process_time()
    try:
        code = module.main(words) if script in COMMAND_MODULES else module.main()
    except SystemExit as refused:
        code = refused.code
    return code, time.process_time() - started


@pytest.mark.parametrize("bad", CASES)
def test_bad_input_is_refused_at_once_and_touches_nothing(bad, here, monkeypatch, capsys):
    words = shlex.split(bad.arguments)
    if bad.config is not None:
        file("config.yaml", bad.config)(here)
        words += ["--config", "config.yaml"]
    if bad.prepare is not None:
        bad.prepare(here)
    before = content(here)

    code, seconds = run_main(bad.script, words, monkeypatch)

    message = capsys.readouterr().err
    assert code == 2, message
    for part in bad.says:
        assert part in message
    assert "Traceback" not in message
    assert seconds < SECONDS
    assert content(here) == before
    assert "ray" not in sys.modules or not sys.modules["ray"].is_initialized()
    if bad.script in COMMAND_MODULES:
        lines = [line for line in message.splitlines() if not line.startswith("usage:")]
        assert len(lines) <= 1
    else:
        problem = "problem" if bad.problems == 1 else "problems"
        assert message.startswith(f"{bad.problems} {problem}, nothing was started:\n")
        assert message.count("\n") == bad.problems + 2


def test_there_are_more_than_sixty_of_them_for_every_command():
    scripts = {parameter.values[0].script for parameter in CASES}
    assert len(CASES) >= 200 and scripts == {*SWEEPS, EVAL, *COMMAND_MODULES}


def test_everything_that_is_wrong_comes_in_one_message(here, monkeypatch, capsys):
    file("config.yaml", "schedular: asha\nnum_trials: many\nstorage: config.yaml")(here)
    words = shlex.split(
        "--config config.yaml --sigmas -1 nan --seeds 0 --sgimas 3 --name a/b --gpus-per-trial 999 "
        "--dataset kmnist --data-dir missing --method gnt_mutl --seed"
    )
    code, _ = run_main(SIGMA, words, monkeypatch)
    message = capsys.readouterr().err
    assert code == 2 and message.startswith("11 problems, nothing was started:")
    for part in (
        "--config: schedular: unknown key", "--num-trials: must be a whole number",
        "--storage:", "-1 is below 0; nan is not finite", "--seeds: must be at least 1",
        "--sgimas: unknown argument", "--name: must be", "the GPUs of this machine",
        "missing/KMNIST/raw", "did you mean gnt_mult?", "--seed: needs a value",
    ):  # fmt: skip
        assert part in message


def test_a_password_is_not_repeated(here, monkeypatch, capsys):
    words = ["--tracking-uri", "pstgresql://me:secret@host/db", "ftp://me:secret@host"]
    assert run_main(SIGMA, words, monkeypatch)[0] == 2
    message = capsys.readouterr().err
    assert "secret" not in message and "me:***@host" in message


def test_what_is_typed_cannot_command_the_terminal(here, monkeypatch, capsys):
    assert run_main(SIGMA, ["--name", "a\x1b[2Jb", "\x1b]0;x\x07"], monkeypatch)[0] == 2
    message = capsys.readouterr().err
    assert "\x1b" not in message and "\\x1b[2J" in message


def test_weights_that_are_used_above_are_good(tmp_path):
    good(tmp_path)
    (loaded,), problems = checkpoint_models.load_models(
        checkpoint_options.CheckpointOptions(checkpoints=(tmp_path / "good",))
    )
    assert problems == [] and loaded.given.architecture == "wong_small"
