"""What is known of each data set: one place, and it fits together."""

from dataclasses import replace

import pytest
import torch

from gon_core import architectures, benchmarks, paper
from gon_core.config import WITHOUT_STRENGTH, DataConfig
from gon_core.corruptions import mnist_c

EVERY = pytest.mark.parametrize("name", benchmarks.names())


@EVERY
def test_its_parts_fit_together(name):
    benchmark = benchmarks.get(name)
    assert benchmark.name == name
    assert benchmark.model in architectures.fitting(benchmark.classes, benchmark.image_shape)
    assert set(benchmark.scales) == {"demo", "paper"}
    assert {"validation", "test"} <= set(benchmark.suites)
    assert ("severities" in benchmark.measures) == ("severities" in benchmark.suites)
    for scale in benchmark.scales.values():
        assert (scale.training_images or 1) <= benchmark.pool
        assert scale.validation_images <= benchmark.held_out
        assert scale.test_images <= benchmark.test_images


@EVERY
def test_every_strength_is_searched_around_the_papers_value(name):
    benchmark = benchmarks.get(name)
    assert set(benchmark.strengths) == set(benchmark.methods) - set(WITHOUT_STRENGTH)
    for variant, strength in benchmark.strengths.items():
        value = getattr(benchmark.methods[variant], strength.parameter)
        assert strength.low <= value <= strength.high
        for grid in (strength.coarse_grid, strength.paper_grid):
            assert all(strength.low <= value <= strength.high for value in grid)
            assert list(grid) == sorted(set(grid))


@EVERY
def test_a_suite_corrupts_images_block_by_block_as_all_at_once(name):
    benchmark = benchmarks.get(name)
    count = 300 if benchmark.image_shape[1] <= 64 else 2 + benchmark.suites["test"].block
    images = torch.randint(0, 256, (count, *benchmark.image_shape), dtype=torch.uint8)
    for suite in benchmark.suites.values():
        corruption, severity = suite.corruptions[0], suite.severities[-1]
        whole = suite.corrupt(images, corruption, severity, 3, 0)
        assert whole.shape == images.shape and whole.dtype == torch.uint8
        second = suite.corrupt(images[suite.block :], corruption, severity, 3, suite.block)
        assert torch.equal(whole[suite.block :], second)


def test_the_published_figures_are_in_the_tables():
    for published in filter(None, (benchmarks.get(name).published for name in benchmarks.names())):
        rows = {row["model"] for row in paper.load(published.top1).to_pylist()}
        assert set(published.rows.values()) | set(published.not_trained) <= rows
        if published.adversarial is not None:
            columns = paper.load(published.adversarial).column_names
            assert {"model", "clean", *published.attacks.values()} <= set(columns)
        for table, *columns in published.curves.values():
            assert set(columns) <= set(paper.load(table).column_names)


def test_mnist_has_the_corruptions_of_mnist_c():
    suites = benchmarks.get("mnist").suites
    assert suites["test"].corruptions == mnist_c.CORRUPTIONS
    assert suites["severities"].severities == mnist_c.SEVERITIES
    assert suites["test"].block == mnist_c.BLOCK
    images = torch.randint(0, 256, (2, 1, 28, 28), dtype=torch.uint8)
    published = mnist_c.corrupt(images[:, 0], "fog", 5)
    assert torch.equal(suites["test"].corrupt(images, "fog", 1, 5, 0)[:, 0], published)
    at_three = suites["severities"].corrupt(images, "fog", mnist_c.PUBLISHED_SEVERITY, 5, 0)
    assert torch.equal(at_three[:, 0], published)


def test_imagenet_c_is_evaluated_on_and_not_trained_on():
    assert "imagenet_c" not in benchmarks.names()
    assert "imagenet_c" in benchmarks.names(trained_only=False)
    suite = benchmarks.get("imagenet_c").suites["test"]
    errors = paper.load(suite.reference_errors)
    assert suite.corruptions == tuple(errors["corruption"].to_pylist())
    assert set(suite.noises) <= set(suite.corruptions)
    assert DataConfig(dataset="imagenet_c").test_images == 50_000
    with pytest.raises(ValueError, match="read from its own folder"):
        benchmarks.get("imagenet_c").read(None)


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"must be one of mnist.*got 'mnits', nearest is 'mnist'"):
        benchmarks.get("mnits")


def test_a_benchmark_of_ones_own_is_known_by_its_name(monkeypatch):
    monkeypatch.setattr(benchmarks, "_BENCHMARKS", dict(benchmarks._BENCHMARKS))
    own = replace(benchmarks.get("mnist"), name="own")
    benchmarks.register(own)
    assert benchmarks.get("own") is own and "own" in benchmarks.names()


def test_other_networks_stand_beside_rows_of_their_own():
    mnist = benchmarks.get("mnist")
    rows = {row["model"]: row for row in paper.load(mnist.published.top1).to_pylist()}
    for model, wanted in {"rony_cnn": (99.5, 89.8), "wong_small": (98.8, 74.3)}.items():
        row = rows[mnist.beside(model).published.rows["vanilla"]]
        assert (row["clean"], row["mean"]) == wanted
        assert mnist.beside(model).published.curves == {}
    assert mnist.beside(None) is mnist and mnist.beside("madry_cnn") is mnist
