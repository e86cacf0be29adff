"""A sweep grows, and trains nothing that a sweep beside it has; whole sweeps, in this process."""

import json
import shlex

import pytest

from sweeps.engine.records import SweepRecords
from sweeps.engine.records.storage import Folder
from tests.sweeps.here import run_here

SMALL = shlex.split(
    "--scale demo --max-epochs 1 --start-epochs 1 --training-images 300 --validation-images 30 "
    "--test-images 20"
)
pytestmark = [pytest.mark.system, pytest.mark.usefixtures("small_model")]


@pytest.fixture
def run(tmp_path):
    """Return a function that runs a sweep, and returns its records and what it printed."""

    def run(script, words, code=0, name=None):
        before = set(Folder(str(tmp_path / "results")).names())
        found, printed = run_here(
            tmp_path,
            script,
            *SMALL,
            *shlex.split(words),
            *(("--name", name) if name else ()),
            draws=False,
        )
        assert found == code, printed
        storage = Folder(str(tmp_path / "results"))
        sweeps = [each for each in storage.names() if (storage / each).exists("sweep.json")]
        if name is None:
            (name,) = set(sweeps) - before or [sweeps[0]]
        return SweepRecords(storage / name), printed

    return run


def origins(records):
    """Return by sigma and seed which sweep trained each trial; empty for this one."""
    return {
        (result.config.method.sigma, result.config.seed): result.reused_from
        for result in records.results()
    }


def ends(records):
    """Return when each trial ended, by id: a trial that is run again has another time."""
    return {result.trial_id: result.ended + str(result.seconds) for result in records.results()}


@pytest.mark.slow
def test_more_seeds_points_and_proposals_extend_the_sweep_of_the_same_default_name(run):
    first, _ = run("sigma_line_search", "--sigmas 0 0.5 --seeds 1 --num-trials 0")
    before = ends(first)
    assert len(before) == 2
    grown, printed = run("sigma_line_search", "--sigmas 0 0.5 --seeds 2 --num-trials 0")
    assert grown.folder.path == first.folder.path and "grows by seeds 1." in printed
    assert ends(grown).items() >= before.items() and len(grown.results()) == 4
    # What was recorded stays a part of it: two seeds of the new point as well.
    grown, printed = run("sigma_line_search", "--sigmas 0.3 --seeds 1 --num-trials 1")
    assert "grows by points 0.3; 1 proposal." in printed
    assert ends(grown).items() >= before.items() and len(grown.results()) == 8
    described = grown.read_sweep()
    assert described is not None
    assert described.seeds == (0, 1) and described.proposals == 1
    assert described.grid == ((0.0,), (0.5,), (0.3,))
    again, printed = run("sigma_line_search", "--sigmas 0 --seeds 1 --num-trials 0")
    assert "is finished: 8 trials recorded" in printed and ends(again) == ends(grown)


@pytest.mark.slow
def test_methods_are_added_to_a_comparison(run):
    words = "--evaluate none --seeds 1 --method"
    first, _ = run("method_comparison", f"{words} vanilla gnt", name="c")
    before = ends(first)
    grown, printed = run("method_comparison", f"{words} speckle", name="c")
    assert "grows by points speckle." in printed
    assert ends(grown).items() >= before.items() and len(grown.results()) == 3
    table = grown.folder.read("report/table.md").decode()
    assert all(name in table for name in ("vanilla", "gnt", "speckle"))


def test_trials_of_other_sweeps_are_reused_and_a_fresh_sweep_trains_them_again(run, tmp_path):
    one, _ = run("sigma_line_search", "--sigmas 0 0.5 --seeds 1 --num-trials 0", name="one")
    words = "--sigmas 0 0.5 0.3 --seeds 1 --num-trials 0"
    _, printed = run("sigma_line_search", f"{words} --dry-run", name="two")
    assert (
        printed.count("reused: one") == 2 and "2 trials are reused at no cost. 1 trial" in printed
    )
    two, printed = run("sigma_line_search", words, name="two")
    assert "2 trials are reused" in printed and "1 trial," in printed
    assert origins(two) == {(0.0, 0): "one", (0.5, 0): "one", (0.3, 0): ""}
    ids = {result.trial_id for result in one.results()}
    assert {key: value for key, value in ends(two).items() if key in ids} == ends(one)
    assert "2 trials were trained by one." in two.folder.read("report/table.md").decode()
    # All of it is there: nothing is started.
    words = "--sigmas 0 0.5 --seeds 1 --num-trials 0"
    _, printed = run("sigma_line_search", f"{words} --dry-run", name="three")
    assert "2 trials are reused at no cost: nothing to train." in printed
    # A budget that is too small for a trial is enough.
    three, printed = run("sigma_line_search", f"{words} --budget-hours 0.0001", name="three")
    assert three.folder.read("examples.safetensors") == one.folder.read("examples.safetensors")
    assert "nothing to train" in printed and set(origins(three).values()) == {"one"}
    fresh, printed = run("sigma_line_search", f"{words} --fresh")
    assert set(origins(fresh).values()) == {""} and "reused" not in printed
    second, printed = run("sigma_line_search", f"{words} --fresh")
    assert second.folder.name == f"{fresh.folder.name}-2"
    described = second.read_sweep()
    assert described is not None and f"--fresh --name {second.folder.name}" in described.command


@pytest.mark.slow
def test_proposals_that_another_sweep_has_are_reused_as_they_come(run):
    words = "--sigmas 0 0.5 --seeds 1 --num-trials 2"
    one, _ = run("sigma_line_search", words, name="one")
    two, printed = run("sigma_line_search", words, name="two")
    assert "4 trials are reused" in printed and "nothing to train" in printed
    assert origins(two) == dict.fromkeys(origins(one), "one")
    joint = "--num-trials 3 --seeds 1 --pretraining-steps 2"
    one, _ = run("joint_search", joint, name="j1")
    two, printed = run("joint_search", joint.replace("3", "4", 1), name="j2")
    assert "3 trials are reused" in printed
    found = [result.reused_from for result in two.results()]
    assert sorted(found) == ["", "j1", "j1", "j1"]


@pytest.mark.slow
def test_reused_trials_are_in_mlflow_like_any(run, tmp_path):
    run("sigma_line_search", "--sigmas 0 0.5 --seeds 1 --num-trials 0", name="one")
    run("sigma_line_search", "--sigmas 0.5 --seeds 1 --num-trials 0", name="two")
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path}/results/mlflow.db")
    (experiment,) = client.search_experiments(filter_string="name LIKE 'gon/%'")
    runs = client.search_runs([experiment.experiment_id], "tags.sweep = 'two'")
    (trial,) = [run for run in runs if run.data.tags["kind"] == "trial"]
    assert trial.data.tags["reused_from"] == "one" and trial.info.status == "FINISHED"
    assert "mnist_c/mean" in trial.data.metrics


def test_the_command_that_is_recorded_has_each_option_once(run):
    words = "--max-epochs 2 --sigmas 0.5 --seeds 1 --num-trials 0 --max-epochs 1"
    records, _ = run("sigma_line_search", words, name="one")
    described = json.loads(records.folder.read("sweep.json"))
    assert described["command"].count("--max-epochs 1") == 1
    assert "--max-epochs 2" not in described["command"]


@pytest.mark.slow
def test_an_evaluation_of_checkpoints_grows(run, tmp_path):
    trained, _ = run("sigma_line_search", "--sigmas 0 0.5 --seeds 1 --num-trials 0", name="s")
    first, second = (trained.trial(name).folder.path for name in trained.names())

    def evaluate(words, code=0, measured="none"):
        given = ("--name", "ev", "--test-images", 20, "--validation-images", 30)
        found, printed = run_here(
            tmp_path, "evaluate_checkpoint", *given, "--evaluate", measured, *words, draws=False
        )
        assert found == code, printed
        return SweepRecords(Folder(str(tmp_path / "results/ev"))), " ".join(printed.split())

    evaluated, _ = evaluate(["--checkpoints", first])
    before = ends(evaluated)
    grown, printed = evaluate(["--checkpoints", second, first])
    assert "recorded already" in printed and ends(grown).items() >= before.items()
    described = grown.read_sweep()
    assert described is not None and len(described.grid) == len(grown.results()) == 2
    table = grown.folder.read("report/table.md").decode()
    assert table.count("gnt sigma=0") >= 2 and "gnt sigma=0.5 seed 0" in table
    # Other images, or other weights of a name, are another evaluation.
    _, printed = evaluate(["--checkpoints", second, "--test-images", "10"], code=2)
    assert "--checkpoints: the recorded ones were evaluated on other images" in printed
    _, printed = evaluate(["--checkpoints", second], code=2, measured="attacks")
    assert "--evaluate: what is measured of the recorded checkpoints differs" in printed
    evaluate(["--checkpoints", second, "--names", "mine"])
    _, printed = evaluate(["--checkpoints", first, "--names", "mine"], code=2)
    assert "--names: mine: recorded with other weights" in printed
    assert len(ends(grown)) == 3
