"""What is known of a checkpoint before it is evaluated: its row, its cuts, how long it takes."""

import pytest

from gon_core.benchmarks.mnist import MNIST
from gon_core.config import (
    DataConfig,
    EvaluationConfig,
    Given,
    StartConfig,
    TrainingConfig,
    TrialConfig,
)
from gon_core.models import MadryCNN
from gon_core.training import checkpoints
from sweeps.engine.planning import deviations
from sweeps.engine.planning.methods import at_scale
from sweeps.engine.planning.trial_cost import evaluation_seconds, measure_speed
from sweeps.engine.records import MODEL, SweepRecords
from sweeps.engine.records.storage import Folder
from sweeps.engine.resources.resources import Resources
from sweeps.engine.runs.checkpoint_evaluation import cost_text, evaluation_deviations
from sweeps.engine.runs.checkpoint_images import Images, generator_limits
from sweeps.engine.runs.checkpoint_models import load_models
from sweeps.engine.runs.checkpoint_options import CheckpointOptions, problems
from tests.spaces import JOINT_SPACE
from tests.sweeps.engine.descriptions import describe

DEMO = TrainingConfig(learning_rate=0.06, max_epochs=1)


@pytest.fixture
def load(tmp_path):
    """Return a function from a method to the checkpoint of a trial with it."""

    def make(method, dataset="mnist", name=None, inside=""):
        data = DataConfig(dataset=dataset, training_images=10_000)
        start = StartConfig(data=data, training=DEMO)
        config = TrialConfig(method=method, data=data, training=DEMO, start=start)
        trial = SweepRecords(Folder(str(tmp_path))).trial(config.trial_id)
        trial.write_config(config)
        folder = trial.folder / inside if inside else trial.folder
        folder.write(MODEL, checkpoints.dump_model(MadryCNN()))
        options = CheckpointOptions(checkpoints=(folder.path,), names=name)
        ((loaded,), faults) = load_models(options)
        assert faults == []
        return loaded

    return make


def cuts_of(loaded, data):
    images = Images(EvaluationConfig(), DataConfig(), "", data)
    return evaluation_deviations([loaded], images)


def test_a_trial_stands_beside_its_row_and_says_how_much_less_it_was_trained(load, data):
    loaded = load(at_scale("ant_1x1", "demo", MNIST))
    assert loaded.published_row == "ant_1x1"
    (cut,) = cuts_of(loaded, data)
    assert cut.startswith(f"{loaded.given.name}: 10,000 of 55,000 training images, at most 1 epoch")
    assert "pretraining steps 10 (not 1000)" in cut and "1 epochs" not in cut


@pytest.mark.parametrize(
    ("variant", "changes"),
    [
        ("gnt", {"dataset": "kmnist"}),
        ("augmix", {}),
        ("gnt", {"inside": "checkpoints/epoch-000001"}),
    ],
)
def test_what_is_no_model_of_the_table_stands_beside_nothing(load, data, variant, changes):
    loaded = load(at_scale(variant, "demo", MNIST), **changes)
    assert loaded.published_row is None and cuts_of(loaded, data) == []


@pytest.mark.system
def test_a_checkpoint_is_called_by_its_method_and_point(load, tmp_path):
    gnt = at_scale("gnt", "demo", MNIST)
    assert load(gnt).given.name == "gnt seed 0"  # no sweep.json says what was searched
    records = SweepRecords(Folder(str(tmp_path)))
    records.write_sweep(describe())
    assert load(gnt).given.name == "gnt sigma=0.5 seed 0"
    inside = "checkpoints/epoch-000001"
    assert load(gnt, inside=inside).given.name == "gnt sigma=0.5 seed 0 epoch-000001"
    records.write_sweep(describe(baselines={"vanilla": {"method": "vanilla"}}))
    assert load(at_scale("vanilla", "demo", MNIST)).given.name == "vanilla seed 0"
    records.folder.write("sweep.json", b"{")
    assert load(gnt).given.name == "gnt seed 0"


def test_a_checkpoint_of_a_joint_search_is_called_by_its_number(load, tmp_path):
    description = describe(parameters=JOINT_SPACE, search="joint", grid=())
    SweepRecords(Folder(str(tmp_path))).write_sweep(description)
    assert load(at_scale("ant_1x1", "demo", MNIST)).given.name == "ant_1x1 #1 seed 0"


def test_a_name_that_was_given_decides(load):
    assert load(at_scale("augmix", "demo", MNIST), name=("provable_wong",)).published_row == (
        "provable_wong"
    )
    assert load(at_scale("gnt", "demo", MNIST), name=("mine",)).published_row == "gnt_sigma_0.5"


@pytest.mark.parametrize(
    ("steps", "fields", "cut"),
    [
        (None, {}, None),
        (10_000, {}, None),
        (50_000, {}, None),
        (9_999, {"generator_steps": 100, "generator_blocks": 99}, "at most 9,900 steps"),
        (250, {"generator_steps": 100, "generator_blocks": 2}, "at most 200 steps"),
        (7, {"generator_steps": 7, "generator_blocks": 1}, "at most 7 steps"),
    ],
)
def test_a_budget_of_steps_is_recorded_as_a_cut_where_it_is_one(steps, fields, cut):
    assert generator_limits(steps) == fields
    config = EvaluationConfig(measures=("epsilon_star",), **fields)
    found = deviations.evaluation_deviations(config, DataConfig())
    assert [cut in text for text in found] == ([True] if cut else [])
    assert bool(
        config.model_dump(mode="json").keys() & {"generator_steps", "generator_blocks"}
    ) is bool(cut)


@pytest.mark.system
def test_the_time_of_the_generators_is_separate(data):
    asked = EvaluationConfig(measures=("attacks", "epsilon_star"), images=10)
    model = MadryCNN()
    counts = DataConfig(validation_images=len(data.validation), test_images=len(data.test))
    speed = measure_speed(model, counts, TrainingConfig(), Resources(1, 0, 1))
    assert speed.train > 0 and all(parameter.grad is None for parameter in model.parameters())
    (_, whole), (_, reduced), (sure, none) = (
        evaluation_seconds(speed, "cpu", counts, asked.model_copy(update=fields))
        for fields in ({}, generator_limits(100), {"measures": ("attacks",)})
    )
    assert whole / reduced == pytest.approx(100) and none == 0 < sure


def test_the_time_is_in_words():
    assert cost_text([(30.0, 0.0)]) == ("1 model to measure: about 30 s by the speed measured now.")
    text = cost_text([(30.0, 600.0)] * 2)
    assert "2 models to measure: about 1 min 00 s" in text and "at most 20 min 00 s more" in text
    assert "--generator-steps" in text


def test_given_weights_of_an_earlier_evaluation_are_no_trial(load, data):
    given = Given(name="gnt", architecture="madry_cnn", sha256="00")
    loaded = load(given)
    assert loaded.published_row is None and cuts_of(loaded, data) == []


def test_a_trial_is_evaluated_on_its_own_data_set_and_not_beside_one_of_another(load, tmp_path):
    letters, digits = (
        load(at_scale("gnt", "demo", MNIST), dataset=dataset) for dataset in ("kmnist", "mnist")
    )
    options = CheckpointOptions(checkpoints=(letters.source,), test_images=10_001)
    assert [b.name for b in options.trained_on] == ["kmnist"] and letters.benchmark.name == "kmnist"
    found = options.problems()
    assert "not embedded" in found["data_dir"] and "at most 10,000" in found["test_images"]
    both = CheckpointOptions(checkpoints=(letters.source, digits.source))
    assert "several data sets" in both.problems()["checkpoints"]


def test_every_path_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    paths = (tmp_path / "missing", tmp_path / "empty", tmp_path / ("x" * 300))
    said = problems(CheckpointOptions(checkpoints=paths))["checkpoints"]
    assert "missing" in said and "x" * 300 in said and "empty: a folder without model" in said
