"""The space of a user's own question, and what is refused of it."""

import pytest

from gon_core.config import OwnFunction
from search_spaces.parameter import Choice, Real, Whole
from sweeps.engine.planning.own_search import (
    FunctionOptions,
    OwnOptions,
    own_spec,
    parameters,
    space_problems,
)
from sweeps.engine.planning.plan import make_plan
from sweeps.engine.planning.recipe import recipe


def train(trial, seed, report):
    """Train nothing."""


@pytest.mark.parametrize(
    ("given", "parameter"),
    [
        ([0.5, 0, "never"], Choice("x", (0.5, 0, "never"), "", None)),
        (range(3), Choice("x", (0, 1, 2), "", None)),
        ((1, 5), Whole("x", 1, 5, "", None)),
        ((0, 1.0), Real("x", 0, 1.0, 0.001, "", None)),
        ((1e-5, 0.1, "log"), Real("x", 1e-5, 0.1, 1e-6, "", None, log=True)),
        ((1, 100, "log"), Real("x", 1, 100, 0.1, "", None, log=True)),
    ],
)
def test_a_list_has_values_and_a_tuple_is_a_range(given, parameter):
    found, faulty = parameters({"x": given})
    assert not faulty and found == (parameter,)
    if isinstance(parameter, Real):
        assert parameter.nearest(parameter.low) == parameter.low


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ("abc", "must be a list of values, or a range"),
        ([], "must be a list of values, or a range"),
        ((1,), "must be a list of values, or a range"),
        ((1, 2, 3), "must be a list of values, or a range"),
        ((0.0, float("inf")), "must be a list of values, or a range"),
        ((2, 1), "must go up, given: (2, 1)"),
        ((0, 1, "log"), "must be above 0 on a logarithmic scale"),
        ([1, 1.0], "has a value twice"),
        ([[1], [2]], "must be finite numbers or words"),
        ([0.1, float("nan")], "must be finite numbers or words"),
        ([True, False], "must be finite numbers or words"),
    ],
)
def test_what_is_neither_is_refused(given, rule):
    found, faulty = parameters({"x": given, "y": [1]})
    assert rule in faulty["x"] and [parameter.name for parameter in found] == ["y"]


def test_values_make_a_grid_and_a_range_a_search_by_optuna():
    options = OwnOptions(method=("gnt",), scale="demo")
    spec = own_spec("How much noise?", options, {"sigma": [0, 1], "momentum": [0, 0.9]}, None)
    assert spec.search == "grid" and spec.name == "how_much_noise"
    assert spec.grid == ((0, 0), (0, 0.9), (1, 0), (1, 0.9))
    assert spec.method_at((1, 0.9)).sigma == 1
    assert own_spec("?", options, {"sigma": (0.0, 1.0)}, None).search == "joint"


def test_a_function_is_known_by_its_source_and_its_values():
    spec = own_spec("Q", FunctionOptions(scale="demo"), {"x": [1, 2]}, train)
    first, second = (spec.method_at(point) for point in spec.grid)
    assert isinstance(first, OwnFunction) and first.variant == "train"
    assert (first.values, second.values) == ({"x": 1}, {"x": 2})
    assert first.sha256 == second.sha256 and len(first.sha256) == 64


def test_fields_and_their_ends_are_those_of_the_method_and_its_training():
    options = OwnOptions(method=("gnt",), scale="demo")
    space = {"sgima": [1], "sigma": (-1.0, 1.0), "batch_size": [0, 5], "momentum": [0.5]}
    found = space_problems(options, space, None)
    assert set(found) == {"sgima", "sigma", "batch_size"}
    assert "did you mean sigma?" in found["sgima"] and found["sigma"].startswith("-1.0: ")
    assert set(space_problems(FunctionOptions(), {"seed": [1], "x": [1]}, train)) == {"seed"}
    assert set(space_problems(options, {}, None)) == {"space"}


def test_published_figures_stand_beside_the_points_that_are_trained_so():
    options = OwnOptions(method=("gnt",), scale="demo")

    def published(space):
        found = own_spec("?", options, space, None).published or {}
        rows = {tuple(row["point"]): row["model"] for row in found.get("rows", ())}
        return rows, found.get("curve", {}).get("table")

    rate = recipe(options).learning_rate
    clean, noisy = "vanilla_madry", "gnt_sigma_0.5"
    assert published({"sigma": [0, 0.5, 1]}) == ({(0,): clean, (0.5,): noisy}, "mnist_c_vs_sigma")
    assert published({"sigma": (0.0, 1.0)}) == ({}, None)
    both = {"sigma": [0, 0.5], "learning_rate": [rate, rate / 2]}
    assert published(both) == ({(0, rate): clean, (0.5, rate): noisy}, None)
    assert published({"sigma": [0.1], "momentum": [0.1]}) == ({}, None)
    function = own_spec("?", FunctionOptions(scale="demo"), {"sigma": [0.5]}, train)
    assert function.published is None


def test_deviations_are_of_what_trains_and_not_of_what_is_searched():
    def deviations(space, function=None, **options):
        kind = FunctionOptions if function else OwnOptions
        given = kind(scale="demo", **options)
        found = make_plan(own_spec("?", given, space, function), given).deviations
        return [text for text in found if "rate" in text or "batch" in text]

    (rate,) = deviations({"sigma": [0]}, method=("gnt",))
    assert rate.startswith("learning rate ") and " of " not in rate
    assert not deviations({"learning_rate": [0.1, 0.2]}, method=("gnt",))
    assert not deviations({"x": [0]}, train)
    (of_gnt,) = deviations({"x": [0]}, train, method=("gnt",))
    assert of_gnt == f"gnt: {rate}"
