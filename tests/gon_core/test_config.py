"""What a trial is: refused when it is wrong, named by its content."""

import json
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from gon_core.config import (
    ANT,
    DDN,
    GNT,
    PGD,
    UAT,
    AugMix,
    DataConfig,
    EvaluationConfig,
    Ford,
    GNTMult,
    PatchGaussian,
    Speckle,
    StartConfig,
    TrainingConfig,
    TrialConfig,
    Vanilla,
    content_hash,
    whole,
)

START = StartConfig(data=DataConfig(), training=TrainingConfig(learning_rate=0.01))
TRIAL = TrialConfig(
    method=GNT(sigma=0.5), data=DataConfig(), training=TrainingConfig(), start=START, seed=3
)


def test_names_never_change():
    # A changed name would train again what is on storage already.
    assert TRIAL.trial_id == "5c3ecfc0b1aa"
    vanilla = TrialConfig(
        method=Vanilla(), data=DataConfig(), training=TrainingConfig(), start=None
    )
    assert vanilla.trial_id == "5eb44ed8c168"
    assert content_hash(START) == "a288e98fafad"


# Another legal value for every field of TRIAL.
OTHER = {
    "method": {"sigma": 0.4, "noisy_share": 0.25},
    "data": (data := {
        "dataset": "kmnist", "training_images": 100, "validation_images": 4_999,
        "test_images": 9_999, "split_seed": 1, "sample": "balanced",
        "image_list": "e" * 64,
    }),
    "training": (training := {
        "batch_size": 299, "learning_rate": 0.002, "momentum": 0.8, "decay_factor": 0.2,
        "patience": 9, "min_improvement": 0.002, "max_epochs": 599, "precision": "bf16",
        "nesterov": True, "weight_decay": 1e-4, "warm_up_epochs": 1, "decay_epochs": [3],
        "anneals": True, "decays": 2, "batch_norm_parts": 2, "compiled": True,
    }),
    "model": "wong_small",
    "start": {
        "data": data, "model": "wong_small", "training": training, "seed": 1, "weights": "beef",
    },
    "evaluation": {
        "corruption_seed": 1, "measures": ["attacks"], "images": 100, "corruption_set": "feed",
        "objective": "corruptions", "left_out": ["frost"],
        "generator_steps": 10,
        "generator_blocks": 2, "generator_batch": 10, "generator_learning_rate": 0.01,
    },
    "seed": 4,
}  # fmt: skip


def leaves(value, path=()):
    """Yield the path and the value of every field of a JSON object."""
    for name, inner in value.items():
        if isinstance(inner, dict):
            yield from leaves(inner, (*path, name))
        else:
            yield (*path, name), inner


def put(value, path, new):
    """Return a copy of a JSON object with one field replaced."""
    return value | {path[0]: new if len(path) == 1 else put(value[path[0]], path[1:], new)}


def test_every_field_decides_the_name():
    config = whole(TRIAL)
    changed = {path: put(config, path, new) for path, new in leaves(OTHER)}
    # Fields without another legal value: a folder is of one data set alone.
    only_one = {("method", "method"), ("data", "folder"), ("start", "data", "folder")}
    only_one |= {("data", "stylized"), ("start", "data", "stylized")}  # see the test of it
    assert changed.keys() | only_one == dict(leaves(config)).keys(), "a field is not tried"
    both = changed.pop(("model",)) | {"start": changed.pop(("start", "model"))["start"]}
    changed["model",] = both  # a trial starts from a model of its own kind
    changed["start",] = config | {"start": None}
    changed["method",] = config | {"method": {"method": "vanilla"}}
    names = {TrialConfig.model_validate(other).trial_id for other in changed.values()}
    assert len(names | {TRIAL.trial_id}) == len(changed) + 1


def test_a_folder_of_images_decides_the_name_and_the_benchmark():
    folder = {
        "image_size": 32, "classes": 3, "training_images": 100, "test_images": 20, "digest": "a",
    }  # fmt: skip
    others = {
        "image_size": 64, "classes": 4, "training_images": 110, "test_images": 21, "digest": "b",
    }  # fmt: skip
    configs = [
        DataConfig.model_validate({"dataset": "image_folder", "folder": folder | changed})
        for changed in ({}, *({name: value} for name, value in others.items()))
    ]
    assert len({config.model_dump_json() for config in configs}) == 6
    benchmark = configs[0].benchmark
    assert benchmark == DataConfig.model_validate_json(configs[0].model_dump_json()).benchmark
    assert benchmark.image_shape == (3, 32, 32) and benchmark.classes == 3
    assert (benchmark.pool, benchmark.held_out, benchmark.test_images) == (90, 10, 20)
    for wrong in ({"dataset": "image_folder"}, {"dataset": "mnist", "folder": folder}):
        with pytest.raises(ValidationError, match="one's own images alone"):
            DataConfig.model_validate(wrong)


def test_stylised_images_decide_the_name_of_trials_that_use_them_alone():
    sin = [
        TRIAL.model_dump() | {"method": method, "data": {"stylized": digest}}
        for method in (
            {"method": "sin_in"},
            {"method": "ant", "epsilon": 10, "stylized_share": 0.2},
        )
        for digest in ("a", "b")
    ]
    assert len({TrialConfig.model_validate(each).trial_id for each in sin}) == 4
    for each in (sin[0] | {"data": {}}, sin[0] | {"method": {"method": "vanilla"}}):
        with pytest.raises(ValidationError, match=r"stylized.*do not fit"):
            TrialConfig.model_validate(each)
    with pytest.raises(ValidationError, match=r"part of clean_share, got 0.6 of 0.5"):
        ANT(epsilon=10, stylized_share=0.6)
    assert ANT(epsilon=1, stylized_share=0.1, kernel_size=3).variant == "ant_3x3_sin"


DATA = st.builds(
    DataConfig,
    dataset=st.sampled_from(["mnist", "kmnist"]),
    training_images=st.none() | st.integers(1, 3),
    split_seed=st.integers(0, 2),
)
TRAINING = st.builds(
    TrainingConfig,
    learning_rate=st.floats(0, 1, exclude_min=True),
    momentum=st.floats(0, 1, exclude_max=True),
    max_epochs=st.integers(1, 3),
)
TRIALS = st.builds(
    TrialConfig,
    method=st.just(Vanilla())
    | st.builds(GNT, sigma=st.floats(0, 2))
    | st.builds(
        ANT,
        epsilon=st.sampled_from([5.0, 10.0]),
        reset_interval=st.sampled_from([0.33, 1, "never"]),
    ),
    data=DATA,
    training=TRAINING,
    start=st.none() | st.builds(StartConfig, data=DATA, training=TRAINING, seed=st.integers()),
    evaluation=st.builds(EvaluationConfig, corruption_seed=st.integers(0, 1)),
    seed=st.integers(0, 3),
)


def shuffled(value, rng):
    """Return a JSON object with all keys in another order."""
    if not isinstance(value, dict):
        return value
    return {key: shuffled(value[key], rng) for key in rng.sample(sorted(value), len(value))}


@settings(deadline=None)
@given(TRIALS, TRIALS, st.randoms(use_true_random=False))
def test_equal_trials_have_equal_names_through_json_in_any_order(one, other, rng):
    assert (one.trial_id == other.trial_id) == (one == other)
    text = json.dumps(shuffled(json.loads(one.model_dump_json()), rng))
    again = TrialConfig.model_validate_json(text)
    assert again == one and again.trial_id == one.trial_id
    assert len(one.trial_id) == 12 and set(one.trial_id) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"nesterov": True, "momentum": 0}, "nesterov needs a momentum of more than 0"),
        ({"decay_epochs": (3, 3)}, "decay_epochs must be ascending"),
        ({"decay_epochs": (0,)}, "greater than or equal to 1"),
        ({"weight_decay": -1}, "greater than or equal to 0"),
        ({"warm_up_epochs": -1}, "greater than or equal to 0"),
    ],
)
def test_an_optimiser_that_cannot_be_is_refused(changes, says):
    with pytest.raises(ValidationError, match=says):
        TrainingConfig(**changes)


@pytest.mark.parametrize("zero", [0, 0.0, -0.0, "0", False])
def test_a_number_has_one_spelling(zero):
    assert content_hash(GNT(sigma=zero)) == content_hash(GNT(sigma=0.0))
    assert math.copysign(1, GNT(sigma=zero).sigma) == 1
    assert content_hash(TrainingConfig(momentum=zero, min_improvement=zero)) == content_hash(
        TrainingConfig(momentum=0.0, min_improvement=0.0)
    )


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("method", "sigma"), -0.1),
        (("method", "sigma"), math.nan),
        (("method", "sigma"), math.inf),
        (("method", "sigma"), None),
        (("method", "noisy_share"), 0),
        (("method", "noisy_share"), 1.1),
        (("method", "method"), "fgsm"),
        (("data", "dataset"), "cifar"),
        (("data", "training_images"), 0),
        (("data", "validation_images"), 5001),
        (("data", "validation_images"), 0),
        (("data", "test_images"), -1),
        (("training", "batch_size"), 0),
        (("training", "batch_size"), 1.5),
        (("training", "learning_rate"), 0),
        (("training", "learning_rate"), math.nan),
        (("training", "learning_rate"), math.inf),
        (("training", "momentum"), 1),
        (("training", "decay_factor"), 1),
        (("training", "decay_factor"), 0),
        (("training", "patience"), 0),
        (("training", "min_improvement"), 1),
        (("training", "min_improvement"), -0.1),
        (("training", "max_epochs"), 0),
        (("training", "precision"), "fp16"),
        (("start", "model"), "resnet50"),
        (("start", "training", "momentum"), math.nan),
        (("seed",), "three"),
        (("seed",), 0.5),
    ],
)
def test_bad_values_are_refused_by_name(path, value):
    with pytest.raises(ValidationError) as caught:
        TrialConfig.model_validate(put(TRIAL.model_dump(), path, value))
    (error,) = caught.value.errors()
    assert ".".join(map(str, error["loc"])).startswith(".".join(path[:-1]))
    assert path[-1] in str(error)


ADVERSARIAL = TRIAL.model_copy(update={"method": ANT(epsilon=10)})


def test_the_papers_values_are_the_defaults():
    assert ANT(epsilon=10).model_dump() == {
        "method": "ant", "epsilon": 10.0, "kernel_size": 1, "depth": 4, "reset_interval": 0.33,
        "generator_learning_rate": 1e-4, "clean_share": 0.5, "current_share": 0.3,
        "past_share": 0.2, "pretraining_steps": 1000, "pretraining_learning_rate": 5e-4,
        "stylized_share": 0.0,
    }  # fmt: skip


def test_every_field_of_adversarial_training_decides_the_name():
    changes = [
        {"epsilon": 9.5}, {"kernel_size": 3}, {"depth": 3}, {"reset_interval": 1},
        {"reset_interval": "never"}, {"generator_learning_rate": 1e-5},
        {"clean_share": 0.4, "current_share": 0.4}, {"clean_share": 0.4, "past_share": 0.3},
        {"current_share": 0.5, "past_share": 0.0}, {"pretraining_steps": 0},
        {"pretraining_learning_rate": 1e-3}, {"stylized_share": 0.2},
    ]  # fmt: skip
    assert {name for change in changes for name in change} | {"method"} == set(ANT.model_fields)
    names = {content_hash(ANT(**{"epsilon": 10} | change)) for change in [{}, *changes]}
    assert len(names) == len(changes) + 1


@pytest.mark.parametrize("interval", [1, 1.0, "1", "1.0"])
def test_a_reset_interval_has_one_spelling(interval):
    assert content_hash(ANT(epsilon=10, reset_interval=interval)) == content_hash(
        ANT(epsilon=10.0, reset_interval=1.0)
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epsilon", 0),
        ("epsilon", -1),
        ("epsilon", math.nan),
        ("epsilon", math.inf),
        ("kernel_size", 2),
        ("kernel_size", 5),
        ("depth", 0),
        ("depth", 9),
        ("depth", 2.5),
        ("reset_interval", 0),
        ("reset_interval", -1),
        ("reset_interval", math.nan),
        ("reset_interval", math.inf),
        ("reset_interval", "sometimes"),
        ("generator_learning_rate", 0),
        ("clean_share", -0.1),
        ("clean_share", math.nan),
        ("current_share", 0),
        ("current_share", 1.1),
        ("past_share", -0.1),
        ("pretraining_steps", -1),
        ("pretraining_steps", 0.5),
        ("pretraining_learning_rate", 0),
        ("stylized_share", -0.1),
    ],
)
def test_bad_values_of_adversarial_training_are_refused_by_name(field, value):
    with pytest.raises(ValidationError) as caught:
        TrialConfig.model_validate(put(ADVERSARIAL.model_dump(), ("method", field), value))
    assert all(field in map(str, error["loc"]) for error in caught.value.errors())


@pytest.mark.parametrize(
    ("shares", "sum_text"),
    [
        ((0.5, 0.5, 0.2), r"must be 1, got 0.5 \+ 0.5 \+ 0.2 = 1.2"),
        ((0.5, 0.3, 0.0), r"must be 1, got 0.5 \+ 0.3 \+ 0.0 = 0.8"),
        ((0.5, 0.3, 0.2 + 2e-9), r"must be 1, got .* = 1.000000002"),
    ],
)
def test_shares_that_do_not_add_up_are_refused_with_their_sum(shares, sum_text):
    clean, current, past = shares
    with pytest.raises(
        ValidationError, match="clean_share \\+ current_share \\+ past_share " + sum_text
    ):
        ANT(epsilon=10, clean_share=clean, current_share=current, past_share=past)


@pytest.mark.parametrize(
    "shares", [(0.5, 0.5, 0), (0, 1, 0), (-0.0, 0.6, 0.4), (0.1, 0.2, 0.7), (1 / 3, 1 / 3, 1 / 3)]
)
def test_shares_that_add_up_but_for_rounding_are_taken(shares):
    clean, current, past = shares
    method = ANT(epsilon=10, clean_share=clean, current_share=current, past_share=past)
    assert math.copysign(1, method.clean_share) == 1


def test_a_single_layer_has_no_second_one_to_be_3x3():
    with pytest.raises(ValidationError, match="kernel_size 3 needs a depth of at least 2"):
        ANT(epsilon=10, kernel_size=3, depth=1)
    assert ANT(epsilon=10, kernel_size=3, depth=2).kernel_size == 3


# Of the other methods: the defaults, and another legal value for every field.
OTHER_METHODS = {
    GNTMult: (
        {"sigmas": [0.08, 0.12, 0.18, 0.26, 0.38], "noisy_share": 0.5},
        {"sigmas": [0.1], "noisy_share": 1},
    ),
    Speckle: (
        {"sigmas": [0.15, 0.2, 0.35, 0.45, 0.6], "noisy_share": 0.5},
        {"sigmas": [0.6, 0.45], "noisy_share": 0.25},
    ),
    Ford: ({"sigma_max": 0.4}, {"sigma_max": 0}),
    PatchGaussian: (
        {"patch_size": 22, "sigma_max": 1.0, "random_size": False},
        {"patch_size": 1, "sigma_max": 0, "random_size": True},
    ),
    UAT: ({"epsilon": 10 / 255, "step_size": None}, {"epsilon": 1, "step_size": 1e-3}),
    PGD: (
        {
            "epsilon": 0.3,
            "step_size": 0.01,
            "steps": 40,
            "random_start": True,
            "targeted": False,
            "clean_start_share": 0.0,
            "label_smoothing": 0.0,
        },
        {
            "epsilon": 1,
            "step_size": 1,
            "steps": 1,
            "random_start": False,
            "targeted": True,
            "clean_start_share": 0.2,
            "label_smoothing": 0.1,
        },
    ),
    DDN: (
        {"steps": 100, "init_norm": 1.0, "gamma": 0.05, "max_norm": 2.4},
        {"steps": 1, "init_norm": 2, "gamma": 0.5, "max_norm": 1.5},
    ),
    AugMix: (
        {
            "width": 3,
            "max_depth": 3,
            "severity": 3.0,
            "consistency": 12.0,
            "solarize": False,
            "geometric": False,
        },
        {
            "width": 1,
            "max_depth": 1,
            "severity": 0.1,
            "consistency": 0,
            "solarize": True,
            "geometric": True,
        },
    ),
}


@pytest.mark.parametrize(("kind", "values"), OTHER_METHODS.items())
def test_every_field_of_a_method_has_its_default_and_decides_the_name(kind, values):
    defaults, changes = values
    dumped = kind().model_dump(mode="json")
    assert dumped.keys() == {"method"} and whole(kind()) == dumped | defaults
    names = {content_hash(kind())} | {content_hash(kind(**{k: v})) for k, v in changes.items()}
    assert changes.keys() == defaults.keys() and len(names) == len(changes) + 1
    again = TrialConfig.model_validate_json(
        TRIAL.model_copy(update={"method": kind(**changes)}).model_dump_json()
    )
    assert again.method == kind(**changes)


@pytest.mark.parametrize(
    ("kind", "field", "values"),
    [
        (GNTMult, "sigmas", [(), (-0.1,), (0.1, math.nan), (math.inf,), 0.1, None]),
        (GNTMult, "noisy_share", [0, 1.1, math.nan]),
        (Speckle, "sigmas", [(), (0.1, -1e-9)]),
        (Speckle, "noisy_share", [0, -1]),
        (Ford, "sigma_max", [-0.1, math.nan, math.inf]),
        (PatchGaussian, "patch_size", [0, -1, 2.5]),
        (PatchGaussian, "sigma_max", [-0.1, math.inf]),
        (PGD, "epsilon", [0, -0.1, 1.1, math.nan]),
        (PGD, "step_size", [0, -0.1, 1.1, math.nan]),
        (PGD, "steps", [0, -1, 1.5]),
        (PGD, "random_start", ["perhaps"]),
        (PGD, "clean_start_share", [-0.1, 1.1]),
        (UAT, "step_size", [0, 1.1, math.nan]),
        (DDN, "steps", [0, 1.5]),
        (DDN, "init_norm", [0, -1, math.inf]),
        (DDN, "gamma", [0, 1, math.nan]),
        (DDN, "max_norm", [0, -1, math.inf]),
        (AugMix, "width", [0, 11, 1.5]),
        (AugMix, "max_depth", [0, 11]),
        (AugMix, "severity", [0, 10.1, math.nan]),
        (AugMix, "consistency", [-1, math.inf]),
    ],
)
def test_bad_values_of_a_method_are_refused_by_name(kind, field, values):
    for value in values:
        with pytest.raises(ValidationError) as caught:
            kind(**{field: value})
        assert {error["loc"][0] for error in caught.value.errors()} == {field}


def test_all_problems_of_a_method_are_reported_at_once():
    with pytest.raises(ValidationError) as caught:
        PGD(epsilon=0, step_size=2, steps=0)
    assert caught.value.error_count() == 3


def test_negative_zero_names_no_other_method():
    for kind, field in ((Ford, "sigma_max"), (PatchGaussian, "sigma_max"), (AugMix, "consistency")):
        assert content_hash(kind(**{field: -0.0})) == content_hash(kind(**{field: 0.0}))
    assert content_hash(GNTMult(sigmas=(-0.0, 0.1))) == content_hash(GNTMult(sigmas=(0.0, 0.1)))


@pytest.mark.parametrize(
    "path", [(), ("method",), ("data",), ("training",), ("start",), ("start", "data")]
)
def test_unknown_keys_are_refused(path):
    with pytest.raises(ValidationError, match=r"sigmma\n  Extra inputs are not permitted"):
        TrialConfig.model_validate(put(TRIAL.model_dump(), (*path, "sigmma"), 1))


def test_all_problems_are_reported_at_once():
    with pytest.raises(ValidationError) as caught:
        TrainingConfig(batch_size=0, learning_rate=-1, momentum=2)
    assert caught.value.error_count() == 3


@pytest.mark.parametrize(
    ("config", "name"), [(TRIAL, "seed"), (TRIAL.data, "dataset"), (TRIAL.method, "sigma")]
)
def test_a_configuration_is_frozen(config, name):
    with pytest.raises(ValidationError, match="frozen"):
        setattr(config, name, getattr(config, name))


def test_shuffling_really_shuffles():
    config = json.loads(TRIAL.model_dump_json())
    orders = {tuple(shuffled(config, random.Random(seed))) for seed in range(5)}
    assert len(orders) > 1


def test_json_leaves_out_what_has_its_default_and_reading_it_puts_it_back():
    data = DataConfig()
    assert data.model_dump(mode="json") == {} and DataConfig() == DataConfig.model_validate({})
    assert whole(data) == data.model_dump(mode="json", context={"whole": True})
    assert whole(data)["validation_images"] == 5_000 and whole(data)["test_images"] == 10_000
    said = DataConfig(dataset="kmnist", validation_images=5_000)
    assert said.model_dump(mode="json") == {"dataset": "kmnist"}
    trial = TrialConfig(method=Vanilla(), data=data, training=TrainingConfig(), start=None)
    expected = {"method": {"method": "vanilla"}, "data": {}, "training": {}, "start": None}
    assert trial.model_dump(mode="json") == expected
    assert TrialConfig.model_validate(expected) == trial and trial.model == "madry_cnn"


def test_a_model_must_fit_the_images_and_the_start():
    start = StartConfig(data=DataConfig(), training=TrainingConfig())
    fields = {"method": Vanilla(), "data": DataConfig(), "training": TrainingConfig()}
    with pytest.raises(ValidationError, match=r"must be one of madry_cnn.*on mnist, got resnet18"):
        TrialConfig(**fields, start=None, model="resnet18")
    with pytest.raises(ValidationError, match="the start is a madry_cnn, the model a wong_small"):
        TrialConfig(**fields, start=start, model="wong_small")
