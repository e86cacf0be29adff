"""Weights that nobody vouches for: what fits is loaded, all else is refused in one line."""

import json
import os
import pickle
import random
import re
import shlex
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save, save_file
from torch import nn

from gon_core.models import convert, imagenet, make, weights
from gon_core.models.weights import WeightsError, digest, load_weights, read_state

MNIST = ("madry_cnn", "wong_small", "wong_large")


class Evil:
    """Its unpickling would make a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def state_of(name):
    return {k: v.contiguous() for k, v in make(name).state_dict().items()}


@pytest.mark.parametrize("name", MNIST)
def test_weights_come_back_and_are_recognised(name, tmp_path):
    state = {key: torch.randn_like(value) for key, value in state_of(name).items()}
    save_file(state, tmp_path / "w.safetensors")
    model = load_weights(tmp_path / "w.safetensors", name)
    assert not model.training
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert weights.guess_architecture(state) == name
    assert model(torch.rand(2, 1, 28, 28)).shape == (2, 10)


@pytest.mark.system
@pytest.mark.parametrize(
    "name",
    [
        "preactresnet18",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("alexnet", "inception_v3")),
    ],
)
def test_weights_of_any_size_are_recognised(name):
    with torch.device("meta"):
        state = make(name).state_dict()
    assert weights.guess_architecture(state) == name


@pytest.mark.system
def test_torchvisions_weights_are_recognised_and_built():
    state = {name: tensor.clone() for name, tensor in make("resnet18").state_dict().items()}
    assert weights.guess_architecture(state) == "resnet18"
    assert isinstance(weights.build(state, "resnet18", "here"), imagenet.Normalised)
    # Counters are often left out; an answer more is another model.
    counters = [name for name in state if name.endswith("num_batches_tracked")]
    plain = {name: tensor for name, tensor in state.items() if name not in counters}
    assert counters and weights.guess_architecture(plain) == "resnet18"
    weights.build(plain, "resnet18", "here")
    assert weights.guess_architecture(state | {"fc.bias": torch.ones(1001)}) is None
    assert weights.guess_architecture({"fc.bias": torch.ones(1000)}) is None


def test_half_precision_is_loaded_into_single(tmp_path):
    state = {name: tensor.half() for name, tensor in state_of("wong_small").items()}
    save_file(state, tmp_path / "w")
    model = load_weights(tmp_path / "w", "wong_small")
    for name, tensor in model.state_dict().items():
        assert tensor.dtype == torch.float32 and torch.equal(tensor, state[name].float())


@pytest.mark.system
@pytest.mark.parametrize("size", [0x280, 0x380, 0x480, 0x580])
def test_a_head_whose_length_looks_like_a_pickle_is_none(size, tmp_path):
    state = state_of("wong_small")
    notes = (save(state, {"note": "x" * length}) for length in range(1000))
    content = next(c for c in notes if int.from_bytes(c[:8], "little") == size)
    assert content.startswith(weights.PICKLES)
    (tmp_path / "w").write_bytes(content)
    load_weights(tmp_path / "w", "wong_small")
    (tmp_path / "w").write_bytes(content[:-1])
    with pytest.raises(WeightsError, match="truncated"):
        read_state(tmp_path / "w")


def without(name, key):
    return {k: v for k, v in state_of(name).items() if k != key}


def bad_files():
    """Yield a name, the content of the file and what the refusal must say."""
    good = save(state_of("wong_small"))
    yield "empty", b"", "empty file"
    yield "words", b"these are not weights at all", "not a safetensors file"
    yield "short", b"abc", "not a safetensors file"
    yield "truncated", good[:-1000], r"truncated: [\d,]+ bytes, expected [\d,]+"
    yield "head alone", good[:100], "truncated in its head"
    yield "pickle", pickle.dumps({"a": 1}), "a pickle, which may hold code and is never loaded"
    yield "other model", save(state_of("madry_cnn")), "these are the weights of a madry_cnn"
    yield "missing", save(without("wong_small", "0.bias")), "missing 0.bias"
    extra = state_of("wong_small") | {"more": torch.ones(1)}
    yield "unexpected", save(extra), "unexpected more"
    other = state_of("wong_small") | {"0.bias": torch.ones(3)}
    yield "shape", save(other), r"0.bias is \[3\] and must be \[16\]"
    whole = state_of("wong_small") | {"0.bias": torch.ones(16, dtype=torch.int64)}
    yield "integers", save(whole), "0.bias must be floating point"
    nan = state_of("wong_small") | {"0.bias": torch.full((16,), torch.nan)}
    yield "nan", save(nan), "0.bias has values that are not finite"
    prefixed = {f"module.{key}": value for key, value in state_of("wong_small").items()}
    yield "prefix", save(prefixed | {"0.bias": torch.ones(16)}), "missing 0.weight"
    yield "nothing", save({}), "holds no tensors"
    yield "zip", b"PK\x03\x04" + bytes(100), "a pickle, which may hold code and is never loaded"
    yield "old pickle", b"cos\nsystem\n(S'false'\ntR.", "not a safetensors file"
    yield "web page", b"<html>\n<body>404</body></html>", "not a safetensors file"
    yield "more behind it", good + b"more", "not fully covered"
    infinite = state_of("wong_small") | {"0.bias": torch.full((16,), -torch.inf)}
    yield "infinite", save(infinite), "0.bias has values that are not finite"
    large = state_of("wong_small") | {"0.bias": torch.full((16,), 1e300, dtype=torch.float64)}
    yield "too large a double", save(large), "0.bias has values that are not finite"
    strange = {"a\nb\x1b[31m": torch.ones(1)}
    yield "strange name", save(state_of("wong_small") | strange), r"unexpected 'a\\nb\\x1b\[31m'$"
    long = state_of("wong_small") | {"a" * 10_000: torch.ones(1)}
    yield "long name", save(long), r"unexpected a{80}\.\.\.$"
    many = state_of("wong_small") | {f"more{index}": torch.ones(1) for index in range(9)}
    yield "many", save(many), r"unexpected (more\d, ){3}more\d and 5 more$"
    yield "deep", headed(b'{"a":' * 100_000), "damaged in its head"
    yield "text for a place", headed(entry([0, "x"])), "damaged in its head"
    yield "endless", headed(entry([0, float("inf")])), "damaged in its head"
    yield "too long a head", struct.pack("<Q", 2**63) + b"{}", "not a safetensors file"
    yield "type of no torch", headed(entry([0, 4], "F8_E8M0"), bytes(4)), "unknown type 'F8_E8M0'"
    yield "type of nobody", headed(entry([0, 4], "Q9"), bytes(4)), "unknown variant `Q9`"
    yield "complex", headed(entry([0, 32], "C64"), bytes(32)), "must be floating point"


def entry(places, kind="F32"):
    """Return a head with one tensor of four numbers."""
    return json.dumps({"a": {"dtype": kind, "shape": [4], "data_offsets": places}}).encode()


def headed(head, data=b""):
    """Return the content of a file with this head."""
    return struct.pack("<Q", len(head)) + head + data


@pytest.mark.parametrize(
    ("name", "content", "says"), bad_files(), ids=lambda value: str(value)[:20]
)
def test_a_bad_file_is_refused_in_one_line_that_names_it(name, content, says, tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError) as refused:
        load_weights(path, "wong_small")
    message = str(refused.value)
    assert re.search(says, message) and str(path) in message
    assert message.isprintable() and len(message) < len(str(path)) + 450


@pytest.mark.system
def test_damage_anywhere_in_the_head_is_refused_or_harmless(tmp_path):
    good, path = save(state_of("wong_small")), tmp_path / "w"
    size = 8 + int.from_bytes(good[:8], "little")
    draw = random.Random(0)
    refused = 0
    for _ in range(300):
        content = bytearray(good)
        for _ in range(draw.choice([1, 1, 3])):
            content[draw.randrange(size)] = draw.choice([0, 10, 34, 48, 57, 123, 128, 255])
        path.write_bytes(content)
        try:
            read_state(path)
        except WeightsError as error:
            refused += 1
            assert str(error).startswith(f"{path}: ") and str(error).isprintable()
    assert refused > 200


def test_no_code_in_a_pickle_is_run(tmp_path):
    touched, path = tmp_path / "touched", tmp_path / "model.pt"
    bare = pickle.dumps(Evil(touched))
    path.write_bytes(bare)
    with pytest.raises(WeightsError, match="pickle"):
        read_state(path)
    with zipfile.ZipFile(path, "w") as archive:  # as torch.save makes them
        archive.writestr("model/data.pkl", bare)
    with pytest.raises(WeightsError, match=r"pickle.*gon_core\.models\.convert"):
        read_state(path)
    assert not touched.exists()


@pytest.mark.slow
@pytest.mark.system
def test_the_conversion_that_a_refusal_gives_works(tmp_path):
    path = tmp_path / "model.pt"
    model = make("madry_cnn")  # channels last, which safetensors refuses
    torch.save(model.state_dict(), path)
    with pytest.raises(WeightsError) as refused:
        read_state(path)
    out = str(tmp_path / "model.safetensors")
    command = str(refused.value).split("uv run python ")[1].replace("OUT.safetensors", out)
    subprocess.run([sys.executable, *shlex.split(command)], check=True)
    converted = load_weights(Path(out), "madry_cnn").state_dict()
    assert all(torch.equal(converted[name], t) for name, t in model.state_dict().items())
    torch.save({"state_dict": [model.state_dict()], "epoch": 1}, path)  # as Wong et al. do
    assert convert.main([str(path), out]) == 0
    assert digest(read_state(Path(out))) == digest(converted)


def test_what_is_no_plain_file_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")  # reading it would wait forever
    with pytest.raises(WeightsError, match="not a regular file"):
        read_state(tmp_path / "pipe")
    with pytest.raises(WeightsError, match="cannot be read"):
        read_state(tmp_path / ("x" * 300))
    (tmp_path / "file").touch()
    with pytest.raises(WeightsError, match="no such file"):
        read_state(tmp_path / "file" / "below")


def test_a_missing_file_a_folder_and_an_unknown_architecture(tmp_path):
    with pytest.raises(WeightsError, match="no such file"):
        read_state(tmp_path / "nothing")
    with pytest.raises(WeightsError, match="a folder"):
        read_state(tmp_path)
    save_file(state_of("wong_small"), tmp_path / "w")
    with pytest.raises(ValueError, match=r"must be one of.*'wong_large'"):
        load_weights(tmp_path / "w", "wong_larg")


def test_the_digest_is_of_the_values():
    state = state_of("wong_small")
    assert digest(state) == digest(dict(reversed(state.items())))
    assert digest(state) != digest(state | {"0.bias": state["0.bias"] + 1})


def test_a_head_of_other_classes_is_new_and_all_else_is_from_the_file():
    state = {key: torch.randn_like(value) for key, value in state_of("madry_cnn").items()}
    model = make("madry_cnn", 7)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    words = weights.fill(model, state, "madry_cnn", "here", 7)
    (head,) = {name.rpartition(".")[0] for name in state if state[name].shape != before[name].shape}
    assert words == f"{head} has 10 classes in the file and 7 here: it is new"
    for name, value in model.state_dict().items():
        is_head = name.startswith(f"{head}.")
        assert torch.equal(value, before[name] if is_head else state[name])
    assert weights.fill(make("madry_cnn"), state, "madry_cnn", "here", 10) == ""


def test_both_heads_of_inception_are_new():
    with torch.device("meta"):
        state, model = make("inception_v3").state_dict(), make("inception_v3", 10)
    words = weights.fill(model, state, "inception_v3", "here", 10)
    counts = "have 1,000 classes in the file and 10 here"
    assert words == f"AuxLogits.fc and fc {counts}: they are new"
    other = state | {name: state[name][:7] for name in ("fc.weight", "fc.bias")}
    with pytest.raises(WeightsError, match=r"^here: not the weights of an inception_v3: AuxLogits"):
        weights.fill(model, other, "inception_v3", "here", 10)


def test_heads_that_are_new_keep_their_values_and_the_body_is_from_the_file():
    def two_heads(classes):
        return nn.ModuleDict({
            "body": nn.Linear(4, 3), "first": nn.Linear(3, classes), "second": nn.Linear(3, classes)
        })  # fmt: skip

    model, state = two_heads(5), two_heads(8).state_dict()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    words = weights.fill(model, state, "x", "here", 5)
    assert words == "first and second have 8 classes in the file and 5 here: they are new"
    for name, value in model.state_dict().items():
        assert torch.equal(value, (state if name.startswith("body") else before)[name])


@pytest.mark.parametrize("change", ["missing", "unexpected", "another shape"])
def test_weights_that_differ_elsewhere_fill_no_model(change):
    state, model = state_of("madry_cnn"), make("madry_cnn", 7)
    name = next(iter(state))
    if change == "missing":
        del state[name]
    elif change == "unexpected":
        state["more"] = torch.zeros(1)
    else:
        state[name] = state[name][:3]
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(
        WeightsError,
        match=r"^x\.safetensors: not the weights of a madry_cnn: .*(missing|unexpected|must be)",
    ):
        weights.fill(model, state, "madry_cnn", "x.safetensors", 7)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
