"""Several processes train as one does: equal weights up to rounding, random streams to the bit."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from gon_core.noise.share import EVERY_ROW, counted_from
from gon_core.training import checkpoints
from gon_core.training.parallel import Group
from tests.gon_core.training.parallel_rank import ALL, COMPILED, train_one

SCRIPT = Path(__file__).with_name("parallel_rank.py")
# One of each kind: random rows, attacks, chains, a generator, statistics of batches, dropout.
FEW = ("gnt", "pgd", "augmix", "ant_1x1_sin", "vanilla_normalised", "ant_1x1_normalised",
       "gnt_dropping")  # fmt: skip
# Sums of single-precision numbers in another order differ by a few times 6e-8 of their size, here
# below 1, at each of six steps. A sign that flips in PGD moves a pixel by a tenth.
TOLERANCE = {name: 2e-6 for name in ALL} | {"pgd": 2e-4, "pgd_targeted": 2e-4}
SIZES = pytest.mark.parametrize("size", [2, pytest.param(3, marks=pytest.mark.slow)])


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """Return a function: trainings by 2 (FEW) or 3 (ALL) real processes, started once.

    It returns their number, a folder, and what each of them found.
    """

    @cache
    def run(size):
        return run_processes(size, tmp_path_factory.mktemp("ranks"), *(FEW if size == 2 else ()))

    return run


def run_processes(size, folder, *names):
    """Train methods, by default all, by so many real processes; return what ``several`` has."""
    commands = [[sys.executable, str(SCRIPT), str(rank), str(size), str(folder), *names]
                for rank in range(size)]  # fmt: skip
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE) for command in commands]
    errors = [process.communicate(timeout=580)[1] for process in processes]
    assert not any(process.returncode for process in processes), b"\n".join(errors).decode()
    return size, folder, [json.loads((folder / f"{r}.json").read_text()) for r in range(size)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Return a function: a method's training by this process alone, as files, and its history."""
    folder, done = tmp_path_factory.mktemp("alone"), {}

    def run(name):
        if name not in done:
            state, done[name] = train_one(name)
            for file, content in checkpoints.dump(state).items():
                (folder / f"{name}.0.{file}").write_bytes(content)
        return folder, done[name]

    return run


@pytest.mark.system
@pytest.mark.parametrize(
    ("size", "name"),
    [
        *((2, name) for name in FEW),
        *(pytest.param(3, name, marks=pytest.mark.slow) for name in ALL),
    ],
)
def test_several_processes_end_where_one_does(size, name, several, alone):
    compare(name, several(size), alone)


@pytest.mark.slow
def test_several_processes_that_compile_end_where_one_does(alone, tmp_path):
    compiled = run_processes(2, tmp_path, *COMPILED)
    for name in COMPILED:
        compare(name, compiled, alone)


def compare(name, several, alone):
    """Assert that a method's weights, streams and metrics are those of one process."""
    size, folder, found = several
    reference, history = alone(name)
    for rank in range(size):
        for file in (checkpoints.MODEL, checkpoints.TRAINING):
            ours = load_file(folder / f"{name}.{rank}.{file}")
            theirs = load_file(reference / f"{name}.0.{file}")
            assert ours.keys() == theirs.keys()
            for key, tensor in ours.items():
                if key.startswith("stream."):
                    assert torch.equal(tensor, theirs[key]), key
                else:
                    atol = TOLERANCE.get(name, 2e-6)
                    torch.testing.assert_close(tensor, theirs[key], rtol=1e-4, atol=atol, msg=key)
        assert found[rank]["histories"][name] == found[0]["histories"][name]
        for ours, theirs in zip(found[rank]["histories"][name], history, strict=True):
            assert ours == pytest.approx(theirs, rel=1e-4)


@pytest.mark.system
@SIZES
def test_every_process_ends_with_the_same_bits(size, several):
    _, folder, _ = several(size)
    for path in folder.glob("*.0.*"):
        for rank in range(1, size):
            assert path.with_name(path.name.replace(".0.", f".{rank}.")).read_bytes() == (
                path.read_bytes()
            )


@pytest.mark.system
@SIZES
def test_a_process_that_is_out_of_step_is_noticed_by_all(size, several):
    *_, found = several(size)
    for one in found:
        assert one["said"] == f"the {size} processes of this training are no longer in step"


@given(st.integers(0, 40), st.integers(1, 5), st.integers(0, 40))
def test_shares_are_disjoint_whole_and_even(batch, size, first):
    whole = torch.arange(batch)
    shares = [Group(rank, size).own(whole) for rank in range(size)]
    assert torch.equal(torch.cat(shares).sort().values, whole)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    first = min(first, batch)
    for rank, share in enumerate(shares):
        part = whole[first:][counted_from(Group(rank, size).rows, first)]
        assert torch.equal(part, share[share >= first])


def test_alone_a_batch_is_left_as_it_is():
    images = torch.zeros(2, 3, 4, 4).to(memory_format=torch.channels_last)
    assert Group().own(images) is images and Group().rows == EVERY_ROW
