"""The vanilla model is trained once, whatever interrupts its training; it is a trial of its own."""

import hashlib
from dataclasses import replace

import pytest

import sweeps.sigma_line_search as script
from gon_core import architectures, seeding
from gon_core.config import Vanilla
from gon_core.training import checkpoints, new_state, train
from sweeps.engine.backend.budget import Budget, Meter, OutOfBudgetError
from sweeps.engine.backend.in_process import InProcess, ProcessDiedError
from sweeps.engine.backend.start_model import start_weights
from sweeps.engine.planning.plan import make_plan
from sweeps.engine.planning.strength import line_spec
from sweeps.engine.records import SweepRecords, starting_models
from sweeps.engine.records.starting_models import DivergedStartError, stored, training_records
from sweeps.engine.records.storage import Folder
from sweeps.engine.resources.cluster_check import ClusterError
from sweeps.engine.trials.trial import run_trial

pytestmark = pytest.mark.usefixtures("small_model")
EPOCHS = 3
NO_BUDGET = Budget()


@pytest.fixture
def plan():
    options = script.Options(
        scale="demo", sigmas=(0.5,), seeds=1, num_trials=0, training_images=300,
        start_epochs=EPOCHS, name="mine",
    )  # fmt: skip
    made = make_plan(line_spec(options), options)
    training = made.config.start.training.model_copy(update={"batch_size": 100})
    start = made.config.start.model_copy(update={"training": training})
    return replace(made, config=made.config.model_copy(update={"start": start}))


@pytest.fixture
def kept(tmp_path):
    return Folder(str(tmp_path / "kept"))


@pytest.fixture
def get(plan, kept, data, records):
    """Return a function that returns the weights; it trains them in this process."""

    def get(run=run_trial, budget=NO_BUDGET, show=lambda metrics: None, plan=plan, failures=0):
        start = plan.config.start
        vanilla = frozenset([starting_models.trial_config(start).trial_id])
        meter = Meter(records, plan.resources, budget, vanilla=vanilla)
        backend = InProcess(plan.resources, run=run)
        with meter:
            return start_weights(
                replace(plan, max_failures=failures), start, kept, backend, data, meter, show,
            )  # fmt: skip

    return get


@pytest.fixture(scope="module")
def undisturbed(data):
    """Return a function that trains a model as a script of three lines would."""

    def weights(start):
        first = seeding.generator(start.seed, "initial weights")
        model = architectures.make("madry_cnn", generator=first)
        state = new_state(model, start.training, start.seed, Vanilla())
        for _ in train(state, data.training, Vanilla(), start.training):
            pass
        return checkpoints.dump_model(state.model)

    return weights


@pytest.mark.system
def test_it_is_trained_once_and_only_trained(get, plan, kept, undisturbed):
    epochs = []
    weights = get(show=epochs.append)
    assert weights == undisturbed(plan.config.start) == stored(kept)
    assert [metrics["epoch"] for metrics in epochs] == [1, 2, 3]
    assert "validation_corrupted" not in epochs[0]
    assert kept.names() == ["model.safetensors", "start.json"]
    description = kept.read_json("start.json")
    assert description["sha256"] == hashlib.sha256(weights).hexdigest()
    assert description["history"] == epochs
    assert get(run=None) == weights, "nothing is run again"


@pytest.mark.system
def test_a_process_that_dies_resumes_from_its_checkpoint(get, plan, kept, undisturbed):
    deaths, trained = [], []

    def run(*arguments, report, **options):
        def die(metrics):
            report(metrics)
            trained.append(metrics["epoch"])
            if metrics["epoch"] == 2 and not deaths:
                deaths.append(1)
                raise ProcessDiedError

        return run_trial(*arguments, report=die, **options)

    assert get(run=run, failures=1) == undisturbed(plan.config.start)
    assert trained == [1, 2, 1, 2], "what was trained before is reported again"


def test_a_driver_that_was_killed_leaves_checkpoints_which_the_next_one_resumes(
    get, plan, kept, undisturbed
):
    def kill(metrics):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(show=kill)
    (trial,) = training_records(kept, "mine").names()
    kept_trial = training_records(kept, "mine").trial(trial)
    assert kept_trial.latest_checkpoint().epoch == 1 and stored(kept) is None
    assert get() == undisturbed(plan.config.start)
    assert not training_records(kept, "mine").folder.exists()


def test_a_process_that_died_too_often_is_one_line(get):
    def run(*arguments, **options):
        raise ProcessDiedError

    with pytest.raises(ClusterError, match=r"could not be trained: .*process died 2 times$"):
        get(run=run, failures=1)


def test_a_budget_without_room_for_a_trial_ends_it_with_a_checkpoint(get, kept):
    with pytest.raises(OutOfBudgetError):
        get(budget=Budget(hours=1e-9))
    assert stored(kept) is None


def test_one_that_diverges_is_no_model(get, plan, kept):
    training = plan.config.start.training.model_copy(update={"learning_rate": 1e12})
    wild = plan.config.start.model_copy(update={"training": training})
    with pytest.raises(DivergedStartError):
        get(plan=replace(plan, config=plan.config.model_copy(update={"start": wild})))
    assert stored(kept) is None


def test_two_sweeps_that_train_it_do_not_share_checkpoints(kept):
    one, other = (training_records(kept, name).folder for name in ("one", "other"))
    assert one.path != other.path and one.parent.path == other.parent.path == kept.path


def test_its_trial_says_all_that_decides_its_weights(plan):
    start = plan.config.start
    config = starting_models.trial_config(start)
    assert (config.training, config.seed, config.data) == (start.training, start.seed, start.data)
    assert config.start is None and isinstance(SweepRecords(Folder("x")).trial("1").trial_id, str)
