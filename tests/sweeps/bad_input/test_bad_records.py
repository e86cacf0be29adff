"""Bad folders of sweeps, bad checkpoints, and the commands over a recorded sweep."""

import json
import struct

import pytest
import torch
from safetensors.torch import save_file

from sweeps.engine.runs import checkpoint_models, checkpoint_options
from tests.sweeps.bad_input.cases import (
    BACKBONES,
    CHECK,
    DEPTH,
    EVAL,
    JOINT,
    NESTED,
    RECIPE,
    REPORT,
    SIGMA,
    SWEEP_JSON,
    TRACKING,
    all_of,
    case,
    file,
    folder,
    good,
    recorded,
    wong_weights,
)

SAME = "--name taken --scale demo --sigmas 0.5 --num-trials 0"
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
    case(SIGMA, f"{SAME} --seeds 1 --max-epochs 9", "--name:", "holds another sweep",
         "--max-epochs: recorded", "now 9", prepare=recorded(), problems=2),
    case(SIGMA, f"{SAME} --sampler tpe --precision bf16", "--name:", "--sampler: recorded gp, now",
         "--precision: recorded the default, now bf16", prepare=recorded(), problems=3),
    case(SIGMA, f"{SAME} --method pgd --max-epochs 9", "--name:", "the sweep: recorded sigma, now "
         "pgd_epsilon", prepare=recorded(), problems=2),
    case(SIGMA, f"{SAME} --seeds 1", "--name:", "sweep.json is damaged",
         prepare=recorded(baselines={"vanilla": {"method": "nonsense"}})),
    case(SIGMA, f"{SAME} --seeds 1", "--name:", "the images are not those of the recorded",
         prepare=recorded(data_digest="another"), problems=2),
    case(DEPTH, "--name taken --scale demo", "--name:", "holds another sweep",
         "the sweep: recorded sigma, now generator_depth", prepare=recorded(), problems=2),
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

# ------------------------------------------------------------------------------------ checkpoints


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
    case(EVAL, "--checkpoints no --imagenet nowhere --image-list none --architecture resnet50",
         "--checkpoints: no such file", "--imagenet: no such folder: nowhere",
         "--image-list: no such file: none", problems=3),
    case(RECIPE, "--batch-sizes 0", "--batch-sizes: 0 is not from 1 to 100,000"),
    case(BACKBONES, "--models resnet5 --weights-of resnet50=x", "did you mean resnet50?"),
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


@pytest.mark.parametrize("bad", [*FOLDERS, *CHECKPOINTS, *COMMANDS])
def test_bad_records_are_refused_at_once_and_nothing_is_touched(bad, is_refused):
    is_refused(bad)


def test_weights_that_are_used_above_are_good(tmp_path):
    good(tmp_path)
    (loaded,), problems = checkpoint_models.load_models(
        checkpoint_options.CheckpointOptions(checkpoints=(tmp_path / "good",))
    )
    assert problems == [] and loaded.given.architecture == "wong_small"
