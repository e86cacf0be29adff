"""A trial that ends in the middle of its evaluation: nothing is trained or measured twice."""

import json
import logging
import time

import pytest
import torch
from torch import nn

from gon_core import evaluation
from gon_core.benchmarks.attacks import ON_DIGITS
from gon_core.config import GNT, DataConfig, EvaluationConfig, TrainingConfig, TrialConfig
from gon_core.data.splits import split
from gon_core.evaluation import accuracy
from gon_core.measurement import Measurement, accuracy_row
from gon_core.training import StoppedError
from sweeps.engine.records import MODEL, PERTURBED, RIGHT, Finding, SweepRecords, TrialRecords
from sweeps.engine.records.check import check
from sweeps.engine.records.storage import Folder
from sweeps.engine.trials import evaluation_steps, trial
from sweeps.engine.trials.evaluation_steps import Steps
from sweeps.engine.trials.measures import prepare_data
from tests.sweeps.engine.descriptions import describe

pytestmark = pytest.mark.usefixtures("small_model")
DATA = DataConfig(training_images=60, validation_images=12, test_images=16)
MEASURED = EvaluationConfig(
    measures=("attacks", "epsilon_star", "severities"), images=4, generator_steps=2,
    generator_blocks=1, generator_batch=5,
)  # fmt: skip
CONFIG = TrialConfig(
    method=GNT(sigma=0.5), data=DATA, start=None, evaluation=MEASURED,
    training=TrainingConfig(batch_size=30, learning_rate=0.02, max_epochs=2),
)  # fmt: skip
STEPS = 16 + 16 + 76 + 2 + 2 + 5  # validation, test, severities, attacks, generators, epsilon*
# Around the first and last of each measure.
KILLS = (1, 2, 16, 17, 32, 33, 108, 109, 110, 111, 112, 113, 116, 117)


class Killed(BaseException):
    """Stands for a process that dies: no handler of ours may catch it."""


@pytest.fixture(scope="module", autouse=True)
def short():
    """Attacks of few steps."""
    attacks = {"pgd": evaluation.PGDAttack(steps=2), "ddn": evaluation.DDNAttack(steps=2)}
    with pytest.MonkeyPatch.context() as patch:
        for name, attack in attacks.items():
            patch.setitem(ON_DIGITS, name, attack)
        yield


@pytest.fixture(scope="module")
def few(images):
    torch.set_num_threads(1)
    return prepare_data(split(*images, DATA), MEASURED)


def run(few, kept, **keywords):
    return trial.run_trial(CONFIG, few, None, kept, checkpoint_every=9, **keywords)


def records(folder):
    return SweepRecords(Folder(str(folder))).trial(CONFIG.trial_id)


def outcome(kept):
    """Return all that a trial leaves, but for the times."""
    result = kept.read_result()
    history = [
        {name: value for name, value in entry.items() if not name.endswith("seconds")}
        for entry in result.history
    ]
    left_out = {"history", "seconds", "ended", "notes"}
    said = json.loads(result.model_dump_json(exclude=left_out))
    files = {name: kept.folder.read(name) for name in (MODEL, PERTURBED, RIGHT)}
    return said, history, files


@pytest.fixture(scope="module")
def undisturbed(few, tmp_path_factory):
    kept = records(tmp_path_factory.mktemp("undisturbed"))
    assert run(few, kept).status == "max_epochs"
    assert not kept.folder.exists("evaluation") and not kept.folder.exists("checkpoints")
    return outcome(kept)


@pytest.fixture
def done(monkeypatch):
    """Return what is done from now on: epochs, and calls of what measures, by name."""
    calls = []

    def count(module, name, what):
        real = getattr(module, name)

        def counting(*arguments, **keywords):
            calls.append(what)
            return real(*arguments, **keywords)

        monkeypatch.setattr(module, name, counting)

    count(accuracy, "count", "accuracy")
    count(evaluation, "attack_accuracy", "attack")
    count(evaluation, "adversarial_noise", "generator")
    count(evaluation, "median_perturbation_size", "epsilon*")
    real = trial.train

    def train(*arguments):
        for metrics in real(*arguments):
            calls.append("epoch")
            yield metrics

    monkeypatch.setattr(trial, "train", train)
    return calls


ALL = {"epoch": 2, "accuracy": 108, "attack": 2, "generator": 2, "epsilon*": 5}


def counted(calls):
    return {what: calls.count(what) for what in ALL}


def die_after(monkeypatch, steps):
    """Let the process die when so many further steps of the evaluation have been kept."""
    real, left = TrialRecords.write_finding, [steps]

    def write_finding(*arguments, **keywords):
        real(*arguments, **keywords)
        left[0] -= 1
        if not left[0]:
            raise Killed

    monkeypatch.setattr(TrialRecords, "write_finding", write_finding)


@pytest.mark.slow
@pytest.mark.system
def test_a_trial_killed_between_any_two_steps_of_its_evaluation_measures_nothing_twice(
    few, undisturbed, done, tmp_path, monkeypatch
):
    kept = records(tmp_path)
    for before, after in zip((0, *KILLS), KILLS, strict=False):
        with monkeypatch.context() as patch, pytest.raises(Killed):
            die_after(patch, after - before)
            run(few, kept)
        assert kept.latest_checkpoint().epoch == 2
        assert len(kept.findings()[0]) == after
    assert run(few, kept).status == "max_epochs"
    assert counted(done) == ALL
    assert outcome(kept) == undisturbed
    assert not kept.folder.exists("evaluation") and not kept.read_result().notes


@pytest.mark.slow
def test_the_same_holds_at_every_single_step(few, undisturbed, done, tmp_path, monkeypatch):
    kept = records(tmp_path)
    for _ in range(STEPS):
        with monkeypatch.context() as patch, pytest.raises(Killed):
            die_after(patch, 1)
            run(few, kept)
    assert run(few, kept).status == "max_epochs"
    assert counted(done) == ALL
    assert outcome(kept) == undisturbed


@pytest.mark.system
@pytest.mark.parametrize(
    "name", [pytest.param("attack_accuracy", marks=pytest.mark.slow), "median_perturbation_size"]
)
def test_a_trial_killed_within_a_step_measures_that_step_again_and_no_other(
    name, few, undisturbed, done, tmp_path, monkeypatch
):
    kept, what = records(tmp_path), {"attack_accuracy": "attack"}.get(name, "epsilon*")

    def die(*arguments, **keywords):
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(evaluation, name, die)
        run(few, kept)
    assert counted(done)[what] == 0
    run(few, kept)
    assert counted(done) == ALL
    assert outcome(kept) == undisturbed


@pytest.mark.system
def test_a_failed_evaluation_goes_on_where_it_failed(few, undisturbed, done, tmp_path, monkeypatch):
    kept = records(tmp_path)

    def fail(*arguments, **keywords):
        raise MemoryError("17 GiB")

    with monkeypatch.context() as patch:
        patch.setattr(evaluation, "adversarial_noise", fail)
        assert run(few, kept).reason.startswith("out of memory")
    assert run(few, kept).status == "max_epochs"
    assert counted(done) == ALL and outcome(kept) == undisturbed


class Stops:
    """Returns True from the given call on."""

    def __init__(self, after):
        self.left = after

    def __call__(self):
        self.left -= 1
        return self.left <= 0


@pytest.mark.system
def test_a_trial_stopped_in_its_evaluation_ends_the_step_that_it_is_in(
    few, undisturbed, tmp_path, monkeypatch
):
    kept, training, written = records(tmp_path), 2 * 2, []
    real = TrialRecords.write_finding

    def write_finding(self, step, *arguments, **keywords):
        written.append(step)
        real(self, step, *arguments, **keywords)

    monkeypatch.setattr(TrialRecords, "write_finding", write_finding)
    # It is called at each call of the model: one for a set of images, several for all else.
    for asked, steps in ((training + 1, 0), (20, 19), (90, 108), (2, 109), (2, 110), (2, 111)):
        with pytest.raises(StoppedError):
            run(few, kept, stop=Stops(asked))
        assert len(written) == steps
        assert kept.latest_checkpoint().epoch == 2 and kept.attempts()[-1].stopped
    run(few, kept)
    assert len(written) == len(set(written)) == STEPS
    assert outcome(kept) == undisturbed
    notes = kept.read_result().notes
    assert len(notes) == 6 and all(note.startswith("stopped with a") for note in notes)


@pytest.mark.system
def test_a_step_that_takes_long_is_abandoned_after_a_stop(
    few, undisturbed, done, tmp_path, monkeypatch
):
    kept = records(tmp_path)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        die_after(patch, 110)  # the next one trains a generator
        run(few, kept)
    with monkeypatch.context() as patch, pytest.raises(StoppedError):
        patch.setattr(evaluation_steps, "PATIENCE", -1.0)
        run(few, kept, stop=Stops(2))
    assert len(kept.findings()[0]) == 110
    run(few, kept)
    assert counted(done) == ALL | {"generator": 3}
    assert outcome(kept) == undisturbed


@pytest.mark.system
def test_a_stop_in_the_last_step_lets_the_trial_end(few, undisturbed, tmp_path, monkeypatch):
    kept = records(tmp_path)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        die_after(patch, STEPS - 1)
        run(few, kept)
    assert run(few, kept, stop=Stops(2)).status == "max_epochs"
    assert outcome(kept) == undisturbed


DAMAGED = "test-fog"


def spoil(kept, how, monkeypatch):
    folder = kept.folder / "evaluation"
    content = folder.read(f"{DAMAGED}.json")
    if how == "truncated":
        folder.write(f"{DAMAGED}.json", content[:-9])
    elif how == "a flipped bit":
        at = content.index(b'"correct"') + 11
        folder.write(f"{DAMAGED}.json", content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    elif how == "no hash":
        said = json.loads(content)
        del said["sha256"]
        folder.write_json(f"{DAMAGED}.json", said)
    elif how == "another step":
        folder.write(f"{DAMAGED}.json", folder.read("test-clean.json"))
    elif how == "a pickle":
        folder.write(f"{DAMAGED}.json", b"\x80\x04K\x01.")
    elif how == "another model":
        kept.write_finding(DAMAGED, kept.findings()[0][DAMAGED], "0" * 64)
    else:
        assert how == "another code"
        with monkeypatch.context() as patch:
            newer = {"evaluation_format": 99, "torch": "9.9"}
            patch.setattr("sweeps.engine.records.trial.evaluation_code", lambda: newer)
            kept.write_finding(DAMAGED, Finding(), "")


@pytest.mark.system
@pytest.mark.parametrize(
    ("how", "says"),
    [pytest.param("truncated", "not JSON", marks=pytest.mark.slow), ("a flipped bit", "SHA-256"),
     pytest.param("no hash", "SHA-256", marks=pytest.mark.slow),
     pytest.param("a pickle", "not JSON", marks=pytest.mark.slow),
     pytest.param("another step", "step test-clean, here test-fog", marks=pytest.mark.slow),
     pytest.param("another model", "of.model 0000", marks=pytest.mark.slow),
     ("another code", "code.evaluation_format 99, here ")],
)  # fmt: skip
def test_a_damaged_or_foreign_step_is_measured_again_with_a_warning(
    how, says, few, undisturbed, done, tmp_path, monkeypatch, caplog
):
    kept = records(tmp_path)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        die_after(patch, 40)
        run(few, kept)
    spoil(kept, how, monkeypatch)
    with caplog.at_level(logging.WARNING):
        result = run(few, kept)
    assert counted(done) == ALL | {"accuracy": 109}
    assert outcome(kept) == undisturbed
    (note,) = result.notes
    assert note.startswith(f"step {DAMAGED} of the evaluation passed over: ") and says in note
    assert note in caplog.text


@pytest.mark.system
def test_steps_of_a_model_that_was_trained_again_to_the_same_bits_are_taken_up(
    few, undisturbed, done, tmp_path, monkeypatch
):
    kept = records(tmp_path)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        die_after(patch, 40)
        run(few, kept)
    (kept.folder / "checkpoints").delete()
    run(few, kept)
    assert counted(done) == ALL | {"epoch": 4} and outcome(kept) == undisturbed


@pytest.mark.system
def test_the_check_shows_how_far_an_evaluation_is_and_what_of_it_is_damaged(
    few, tmp_path, monkeypatch
):
    sweep, kept = SweepRecords(Folder(str(tmp_path))), records(tmp_path)
    sweep.write_sweep(describe())
    with monkeypatch.context() as patch, pytest.raises(Killed):
        die_after(patch, 40)
        run(few, kept)
    (found,) = check(sweep).trials
    assert found.state == "interrupted" and check(sweep).is_whole
    assert "checkpoint of epoch 2, 40 steps of the evaluation" in found.detail
    spoil(kept, "a flipped bit", monkeypatch)
    (found,) = check(sweep).trials
    assert found.state == "interrupted" and not check(sweep).is_whole
    assert found.problems[0].startswith(f"step {DAMAGED} of the evaluation passed over: its SHA")


@pytest.mark.system
def test_200_flipped_bits_of_a_step_change_no_figure(few, tmp_path, monkeypatch):
    kept = records(tmp_path)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        die_after(patch, 17)
        run(few, kept)
    folder, name = kept.folder / "evaluation", "test-clean"
    content, expected = folder.read(f"{name}.json"), kept.findings()[0][name]
    for other in set(folder.names()) - {f"{name}.json"}:
        folder.remove(other)
    for number in range(200):
        damaged = bytearray(content)
        damaged[(number * 7919) % len(damaged)] ^= 1 << number % 8
        folder.write(f"{name}.json", bytes(damaged))
        # A space may become another white space.
        assert kept.findings()[0].get(name, expected) == expected, number


def test_a_finding_comes_back_with_every_bit(tmp_path):
    size = Measurement(
        measure="epsilon_star", split="test", setting="speckle", value=float("inf"), count=4,
        extra={"low": 0.1 + 0.2, "high": float("inf"), "sampled": 2, "per_image": True},
    )  # fmt: skip
    kept = records(tmp_path)
    finding = Finding(
        measurements=[accuracy_row("test", "fog", 1, 9, 10, 10), size],
        tensors=bytes(range(256)), converged=False, seconds=1 / 3,
    )  # fmt: skip
    kept.write_finding("epsilon-speckle", finding, "a model")
    assert kept.findings("a model") == ({"epsilon-speckle": finding}, [])


def test_the_seconds_of_a_step_are_measured_and_add_up():
    steps = Steps({"a": Finding(seconds=2.0)})
    time.sleep(0.01)
    steps.add("b", Finding())
    assert 2.01 <= steps.seconds < 4


@pytest.mark.system
def test_the_seconds_of_an_evaluation_are_those_of_all_its_parts(few, tmp_path, monkeypatch):
    kept = records(tmp_path)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        die_after(patch, 40)
        run(few, kept)
    model = kept.folder.read_json(f"evaluation/{DAMAGED}.json")["of"]["model"]
    long = kept.findings()[0][DAMAGED].model_copy(update={"seconds": 1000.0})
    kept.write_finding(DAMAGED, long, model)
    assert 1000 < run(few, kept).seconds["evaluation"] < 1100


class Clock:
    """Time that passes with each call of the model."""

    def __init__(self, step):
        self.now, self.step = 0.0, step

    def __call__(self):
        return self.now


@pytest.fixture
def lines():
    return []


def report(lines, step, calls, of="batches"):
    clock, model = Clock(step), nn.Identity()
    steps = Steps(notify=lines.append, clock=clock)
    with steps.watching(model):
        steps.begin("first", of)
        for _ in range(calls):
            clock.now += step
            assert torch.equal(model(torch.ones(2)), torch.ones(2))
    return steps, model


def test_a_line_every_ten_seconds_with_the_budget(lines):
    report(lines, 4.0, 6, of="of at most 10,000 steps")
    assert lines == [
        "first",
        "  3 of at most 10,000 steps, 12 s",
        "  6 of at most 10,000 steps, 24 s",
    ]


def test_what_is_fast_is_only_named(lines):
    report(lines, 0.01, 50)
    assert lines == ["first"]


def test_the_next_measure_counts_anew_and_the_model_is_left_as_it_was(lines):
    steps, model = report(lines, 11.0, 1)
    steps.begin("second")
    assert lines == ["first", "  1 batches, 11 s", "second"]
    model(torch.ones(1))
    assert len(lines) == 3 and not model._forward_hooks


def test_a_replayed_pass_counts_and_stops_like_a_call_of_the_model(lines):
    clock, wanted = Clock(4.0), []
    steps = Steps(stop=lambda: bool(wanted), notify=lines.append, clock=clock)
    steps.begin("attack")
    for _ in range(3):
        clock.now += 4
        steps.passed()
    assert lines == ["attack", "  3 batches, 12 s"]
    wanted.append("a stop")
    steps.passed()  # the machine may still wait for the step
    clock.now += evaluation_steps.PATIENCE + 1
    with pytest.raises(StoppedError):
        steps.passed()
