"""Published checkpoints of every layout load key by key; nothing of them is run."""

import json
import pickle
import struct

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from gon_core.architectures import make
from gon_core.models import convert, layouts, weights
from gon_core.models.convert import main
from gon_core.models.weights import WeightsError


@pytest.fixture(scope="module")
def states():
    """The weights of each model by name, made up once."""
    return {
        name: {key: tensor.contiguous() for key, tensor in make(name).state_dict().items()}
        for name in ("resnet9_small", "densenet121")
    }


def metadata_of(path):
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + size])["__metadata__"]


def prefixed(state, prefix):
    return {prefix + key: tensor for key, tensor in state.items()}


OPTIMIZER = {"state": {0: {"momentum_buffer": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]}
WRAPPED = {
    "torchvision": lambda state: state,
    "game-of-noise release": lambda state: {"model_state_dict": state},
    "game-of-noise training": lambda state: {
        "epoch": 10, "model_state_dict": prefixed(state, "resnet."),
        "optimizer_state_dict": OPTIMIZER,
    },
    "augmix": lambda state: {
        "epoch": 90, "model": "resnet50", "state_dict": prefixed(state, "module."),
        "best_acc1": 77.5, "optimizer": OPTIMIZER,
    },
    "stylised, free": lambda state: {
        "epoch": 60, "arch": "resnet50", "state_dict": prefixed(state, "module."),
        "best_prec1": 60.2, "optimizer": OPTIMIZER,
    },
    "shift-inv": lambda state: {"state_dict": state},
    "pycls": lambda state: {"epoch": 1, "model_state": state, "optimizer_state": OPTIMIZER},
    "two prefixes": lambda state: {"state_dict": prefixed(state, "module.model.")},
}  # fmt: skip


@pytest.mark.parametrize("name", WRAPPED)
def test_every_layout_loads_key_by_key(name, states, tmp_path, capsys):
    state = states["resnet9_small"]
    torch.save(WRAPPED[name](state), tmp_path / "weights.pth.tar")
    out = tmp_path / "out.safetensors"
    assert main([str(tmp_path / "weights.pth.tar"), str(out)]) == 0
    printed = capsys.readouterr().out
    assert f"{len(state)} tensors of a resnet9_small" in printed and f"--weights {out}" in printed
    found = weights.read_state(out)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[key], tensor) for key, tensor in state.items())
    assert set(metadata_of(out)) == {"source", "sha256"}


def test_the_published_densenet_has_names_from_before_dots_were_refused(states):
    def old(name):
        return name.replace(".norm1.", ".norm.1.").replace(".norm2.", ".norm.2.").replace(
            ".conv1.", ".conv.1.").replace(".conv2.", ".conv.2.")  # fmt: skip

    state = states["densenet121"]
    layers = {key for key in state if "denselayer" in key}
    found, said = layouts.plain({old(k) if k in layers else k: t for k, t in state.items()})
    assert found.keys() == state.keys() and "densenet's old names" in said
    assert layouts.plain(state)[1] == ""


def test_a_prefix_in_a_safetensors_file_is_left_out_and_said(states, tmp_path, caplog):
    save_file(prefixed(states["resnet9_small"], "module."), tmp_path / "w.safetensors")
    model = weights.load_weights(tmp_path / "w.safetensors", "resnet9_small")
    assert torch.equal(model.state_dict()["logits.bias"], states["resnet9_small"]["logits.bias"])
    assert "'module.' before every name is left out" in caplog.text
    assert weights.guess_architecture(prefixed(states["resnet9_small"], "module.")) == (
        "resnet9_small"
    )


def test_names_of_a_model_of_ones_own_are_left_as_they_are():
    model = torch.nn.Sequential()
    model.add_module("backbone", torch.nn.Linear(2, 2))
    state = model.state_dict()
    assert weights.adapted(model, state, "here") == state


def test_the_digits_in_a_files_name_are_compared_and_the_recipe_is_named(
    states, tmp_path, capsys, monkeypatch
):
    torch.save(states["resnet9_small"], tmp_path / "resnet18-f37072fd.pth")
    out = tmp_path / "out.safetensors"
    assert main([str(tmp_path / "resnet18-f37072fd.pth"), str(out)]) == 2
    assert "its name says f37072fd: damaged, or another file" in capsys.readouterr().err
    assert not out.exists()
    digits = convert.hashlib.sha256((tmp_path / "resnet18-f37072fd.pth").read_bytes()).hexdigest()
    path = tmp_path / f"mine-{digits[:8]}.pth"
    path.write_bytes((tmp_path / "resnet18-f37072fd.pth").read_bytes())
    monkeypatch.setattr(convert, "_recipe", lambda name: "ResNet50_Weights.IMAGENET1K_V2")
    assert main([str(path), str(out)]) == 0
    assert "another recipe than the paper's" in capsys.readouterr().out
    assert metadata_of(out) == {
        "source": path.name, "sha256": digits, "digits": digits[:8],
        "recipe": "ResNet50_Weights.IMAGENET1K_V2",
    }  # fmt: skip


def test_torchvisions_files_are_known_by_their_names():
    assert convert._recipe("resnet50-0676ba61.pth") == "ResNet50_Weights.IMAGENET1K_V1"
    assert convert._recipe("resnet50-11ad3fa6.pth") == "ResNet50_Weights.IMAGENET1K_V2"
    assert convert._recipe("mine.pth") == ""


class Evil:
    """Its unpickling would make a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_what_is_no_weights_is_refused_in_one_line_and_nothing_is_run(tmp_path, capsys):
    touched, path = tmp_path / "touched", tmp_path / "w.pth"
    out = str(tmp_path / "o.safetensors")

    def refused(content, *options):
        torch.save(content, path)
        assert main([str(path), out, *options]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    assert "may be code: it is not read" in refused({"state_dict": Evil(touched)})
    assert "may be code" in refused(torch.nn.Linear(2, 2))
    path.write_bytes(pickle.dumps(Evil(touched)))
    assert main([str(path), out]) == 2 and "w.pth" in capsys.readouterr().err
    assert "has optimizer, and none of" in refused({"optimizer": OPTIMIZER})
    assert "holds a list" in refused([torch.ones(2)])
    assert "not finite" in refused({"fc.bias": torch.tensor([torch.nan])})
    assert "--bgr" in refused({"fc.bias": torch.ones(2)}, "--bgr")
    for name, content in {"empty.pth": b"", "text.pth": b"no weights", "zip.npz": b"PK"}.items():
        (tmp_path / name).write_bytes(content)
        assert main([str(tmp_path / name), out]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
    assert main([str(path), str(tmp_path / "o.pth")]) == 2
    assert not touched.exists() and not (tmp_path / "o.safetensors").exists()


def test_channels_are_turned_around(tmp_path):
    kernel = torch.rand(4, 3, 2, 2)
    torch.save({"conv1.weight": kernel}, tmp_path / "w.pth")
    found = convert.convert(tmp_path / "w.pth", is_bgr=True).state["conv1.weight"]
    assert torch.equal(found, kernel[:, [2, 1, 0]])


def tensorflow_names(model):
    """Yield the published name, and the shape there, of every weight of the denoising network."""
    kinds = {
        "weight": "gamma", "bias": "beta", "running_mean": "mean/EMA",
        "running_var": "variance/EMA",
    }  # fmt: skip
    for name, tensor in model.state_dict().items():
        path, kind = name.replace(".inner", "").rsplit(".", 1)
        if kind == "num_batches_tracked":
            continue
        parts = path.split(".")
        if path == "fc":
            yield name, f"linear/{'W' if kind == 'weight' else 'b'}"
            continue
        if parts[0] in ("conv1", "bn1"):
            place = "conv0"
        elif parts[1] == "denoising":
            inner = {"theta": "embedding_theta", "phi": "embedding_phi"}.get(parts[2], "conv")
            place = f"group{int(parts[0][5]) - 1}_denoise/{inner}"
        else:
            block = f"group{int(parts[0][5]) - 1}/block{parts[1]}"
            last = "convshortcut" if parts[2] == "downsample" else f"conv{parts[2][-1]}"
            place = f"{block}/{last}"
        yield name, f"{place}/W" if tensor.ndim == 4 else f"{place}/bn/{kinds[kind]}"


@pytest.mark.slow
@pytest.mark.system  # 71 million weights
def test_the_denoising_network_is_read_from_tensorflows_variables(tmp_path):
    with torch.device("meta"):
        model = make("resnet152_denoising")
    arrays, expected = {}, {}
    stream = torch.Generator().manual_seed(0)
    for name, published in tensorflow_names(model):
        tensor = torch.rand(model.state_dict()[name].shape, generator=stream).half().float()
        expected[name] = tensor
        there = tensor.flip(1) if name == "conv1.inner.weight" else tensor
        there = (
            there.permute(2, 3, 1, 0)
            if tensor.ndim == 4
            else there.mT
            if there.ndim == 2
            else there
        )
        arrays[published] = there.contiguous().numpy().astype(np.float16)
    assert "group2/block35/conv3/bn/mean/EMA" in arrays and "group0_denoise/conv/W" in arrays
    np.savez(tmp_path / "r152.npz", **arrays)
    found = convert.convert(tmp_path / "r152.npz").state
    assert not weights.difference(found, model.state_dict())
    assert all(torch.equal(found[name].float(), tensor) for name, tensor in expected.items())
    np.savez(tmp_path / "bad.npz", **{"global_step": np.ones(1)})
    with pytest.raises(WeightsError, match="global_step has no place"):
        convert.convert(tmp_path / "bad.npz")
    np.savez(tmp_path / "objects.npz", allow_pickle=True, a=np.array([Evil(tmp_path)], object))
    with pytest.raises(WeightsError):
        convert.convert(tmp_path / "objects.npz")
