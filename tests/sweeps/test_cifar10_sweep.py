"""A line search on CIFAR-10, whole but for Ray, on a few made-up images."""

from dataclasses import replace

import pytest
import torch
from pyarrow import parquet

from gon_core import benchmarks, measures
from gon_core.benchmarks.cifar10 import CIFAR10, FROST_VARIABLE
from gon_core.corruptions.photos import frost
from gon_core.data.splits import LabelledImages
from sweeps.engine.runs.checkpoint_options import CheckpointOptions
from tests.sweeps.here import run_here


def made_up(count, seed):
    """Return images of colours that tell their class, as small as CIFAR-10's."""
    stream = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 10
    colours = torch.rand(10, 3, 1, 1, generator=torch.Generator().manual_seed(0)) * 200
    noise = 55 * torch.rand(count, 3, 32, 32, generator=stream)
    return LabelledImages((colours[labels] + noise).to(torch.uint8), labels)


@pytest.fixture
def small(monkeypatch):
    """CIFAR-10 with a few made-up images."""
    tiny = {"training_images": 100, "validation_images": 10, "test_images": 20}
    scales = {n: replace(s, **tiny) for n, s in CIFAR10.scales.items()}
    few = replace(
        CIFAR10, training_images=160, test_images=20, held_out=10, scales=scales,
        read=lambda folder: (made_up(160, 1), made_up(20, 2)), check=lambda folder: "made up",
    )  # fmt: skip
    monkeypatch.setattr(benchmarks, "_BENCHMARKS", dict(benchmarks._BENCHMARKS))
    benchmarks.register(few)


@pytest.mark.system
def test_it_ends_in_a_report(small, tmp_path):
    given = (
        "--dataset", "cifar10", "--data-dir", tmp_path, "--scale", "demo", "--sigmas", 0, 0.1,
        "--seeds", 1, "--num-trials", 0, "--start-epochs", 1, "--name", "photos",
    )  # fmt: skip
    code, printed = run_here(tmp_path, "sigma_line_search", *given)
    assert code == 0, printed
    folder = tmp_path / "results/photos"
    table = parquet.read_table(folder / "results.parquet").to_pylist()
    selected, tested = (CIFAR10.suites[split] for split in ("validation", "test"))
    assert len(table) == 2 * (1 + len(selected.versions) + 1 + len(tested.versions))
    page = (folder / "report/report.html").read_text()
    assert "CIFAR-10-C" in page and "MNIST" not in page
    assert "Deviations from Kireev et al.: " in page and "from the paper" not in page
    assert "model resnet9_small (Kireev et al.: preactresnet18)" in page
    assert "The choice of Kireev et al.: sigma 0.1, with 85.0 %, PreActResNet-18" in page
    assert "85.04" in page and "47.1" in page, "two of their rows stand beside ours"
    assert "mCE: mean corruption error" in page


@pytest.mark.slow
@pytest.mark.system
def test_without_frost_every_mean_says_so(small, tmp_path, monkeypatch):
    few = benchmarks.get("cifar10")
    test = replace(few.suites["test"], lacking=lambda: ("frost",))
    benchmarks.register(replace(few, suites=few.suites | {"test": test}))
    given = (
        "--dataset", "cifar10", "--data-dir", tmp_path, "--scale", "demo", "--sigmas", 0.1,
        "--seeds", 1, "--num-trials", 0, "--start-epochs", 1, "--name", "photos",
        "--objective", "corruptions",
    )  # fmt: skip
    code, printed = run_here(tmp_path, "sigma_line_search", *given, draws=False)
    words = " ".join(printed.split())
    assert code == 0 and "14 of 15 corruptions (without frost)" in words, printed
    assert "is the plain mean over 14 of 15 corruptions" in words
    assert "chosen by validation accuracy alone" in words
    assert "84.9" in words and "85.04" not in words, "their mean is without frost too"
    table = parquet.read_table(tmp_path / "results/photos/results.parquet").to_pylist()
    assert "frost" not in {row["corruption"] for row in table}


@pytest.mark.system
def test_published_corrupted_images_take_the_place_of_ours(small, tmp_path):
    few, read = benchmarks.get("cifar10"), []

    def read_corrupted(folder, chosen, corruptions):
        read.append((folder, len(chosen)))
        blank = LabelledImages(torch.zeros(20, 3, 32, 32, dtype=torch.uint8), made_up(20, 2).labels)
        return {(name, severity): blank for name in corruptions for severity in range(1, 6)}

    benchmarks.register(
        replace(few, check_corrupted=lambda folder: "a digest", read_corrupted=read_corrupted)
    )
    given = (
        "--dataset", "cifar10", "--data-dir", tmp_path, "--scale", "demo", "--sigmas", 0.1,
        "--seeds", 1, "--num-trials", 0, "--start-epochs", 1, "--name", "published",
        "--corrupted-dir", tmp_path,
    )  # fmt: skip
    code, printed = run_here(tmp_path, "sigma_line_search", *given, draws=False)
    assert code == 0 and read == [(tmp_path, 20)], printed
    assert "Corrupted test images are those that were published." in " ".join(printed.split())
    table = parquet.read_table(tmp_path / "results/published/results.parquet").to_pylist()
    tested = {r["value"] for r in table if r["split"] == "test" and r["corruption"] != "clean"}
    assert tested == {10.0}, "a blank image has one class"
    (trial,) = (tmp_path / "results/published/trials").iterdir()
    assert '"corruption_set": "a digest"' in (trial / "trial.json").read_text()


def test_a_published_set_of_another_benchmark_is_refused(tmp_path):
    code, printed = run_here(tmp_path, "sigma_line_search", "--corrupted-dir", tmp_path)
    assert code == 2 and "--corrupted-dir: is of CIFAR-10-C, these are of MNIST" in printed


def test_frost_photos_come_from_a_folder(small, tmp_path, monkeypatch):
    monkeypatch.setenv(FROST_VARIABLE, "")  # what the option sets is undone
    monkeypatch.delenv(FROST_VARIABLE)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)  # no package has them
    lacking = benchmarks.get("cifar10").suites["test"].lacking
    assert lacking() == ("frost",)
    monkeypatch.setenv(FROST_VARIABLE, "")
    assert lacking() == ("frost",), "a variable without a value says nothing"
    monkeypatch.setenv(FROST_VARIABLE, str(tmp_path))
    assert "must have the frost photos" in CheckpointOptions().problems()["frost_dir"]
    monkeypatch.delenv(FROST_VARIABLE)
    given = ("--dataset", "cifar10", "--data-dir", tmp_path, "--frost-dir", tmp_path, "--dry-run")
    code, printed = run_here(tmp_path, "sigma_line_search", *given)
    words = " ".join(printed.split())
    assert code == 2 and "must have the frost photos frost1.png, frost2.png" in words
    for name in frost.PHOTOS:
        (tmp_path / name).write_bytes(b"")
    assert CheckpointOptions(frost_dir=tmp_path).problems().get("frost_dir") is None
    assert lacking() == () and frost.folder() == tmp_path


def test_a_model_for_other_images_is_refused(small, tmp_path):
    given = ("--dataset", "cifar10", "--data-dir", tmp_path, "--model", "madry_cmm")
    code, printed = run_here(tmp_path, "sigma_line_search", *given)
    assert code == 2 and "did you mean madry_cnn?" in printed
    code, printed = run_here(tmp_path, "sigma_line_search", *given[:-1], "wong_small")
    assert code == 2 and "--model: must be one of madry_cnn, resnet9_small" in printed
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("asked", [("severities",), ("attacks", "epsilon_star")])
def test_its_checkpoints_are_measured_by_nothing_that_it_has_not(asked, tmp_path):
    options = CheckpointOptions(checkpoints=(tmp_path,), evaluate=asked, data_dir=tmp_path)
    found = options.data_problems(CIFAR10)
    assert found == {"evaluate": f"CIFAR-10 has epsilon_star, given: {asked[0]}"}
    every = options.model_copy(update={"evaluate": measures.choices()})
    assert every.data_problems(CIFAR10) == {}


@pytest.mark.system
def test_only_what_it_has_is_measured(small, tmp_path):
    given = ("--dataset", "cifar10", "--data-dir", tmp_path, "--seeds", 1, "--dry-run")
    code, printed = run_here(tmp_path, "method_comparison", *given, "--evaluate", "attacks")
    assert code == 2 and "--evaluate: CIFAR-10 has epsilon_star, given: attacks" in printed
    code, printed = run_here(tmp_path, "method_comparison", *given)
    words = " ".join(printed.split())
    assert code == 0 and "13 trials to run" in words and "PGD" not in words, printed
