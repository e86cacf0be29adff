import subprocess
import sys
import threading
from importlib import import_module
from pathlib import Path

import pytest

import sweeps.sigma_line_search as script
from sweeps.engine.cli.command_line import parse
from sweeps.engine.cli.options import SweepOptions
from sweeps.engine.cli.options_elsewhere import COMMANDS
from sweeps.engine.planning.plan import problems
from sweeps.engine.runs.checkpoint_options import CheckpointOptions

ROOT = Path(__file__).parents[4]


def options(*arguments, check=lambda options: {}):
    return parse(script.Options, "Which sigma?", list(arguments), check)


def refusal(capsys, *arguments, check=lambda options: {}) -> str:
    with pytest.raises(SystemExit) as exit_:
        options(*arguments, check=check)
    assert exit_.value.code == 2
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err + printed.out
    return printed.err + printed.out


BAD = [
    (["--sigmas", "-1"], "--sigmas", "-1 is below 0"),
    (["--sigmas", "nan"], "--sigmas", "nan is not finite"),
    (["--sigmas", "inf"], "--sigmas", "inf is not finite"),
    (["--sigmas", "abc"], "--sigmas", "abc is not a number"),
    (["--sigmas"], "--sigmas", "at least one"),
    (["--sigmas", ","], "--sigmas", "at least one"),
    (["--sigmas", "0.5", "0.50"], "--sigmas", "0.50 is given twice"),
    (["--seeds", "0"], "--seeds", "at least 1"),
    (["--seeds", "-3"], "--seeds", "at least 1"),
    (["--seeds", "1.5"], "--seeds", "whole number"),
    (["--seeds", "many"], "--seeds", "whole number"),
    (["--seed", "-1"], "--seed", "at least 0"),
    (["--num-trials", "-1"], "--num-trials", "at least 0"),
    (["--dataset", "mnits"], "--dataset", "did you mean mnist?"),
    (["--sampler", "tpee"], "--sampler", "did you mean tpe?"),
    (["--scheduler", "hyperband"], "--scheduler", "'none' or 'asha'"),
    (["--scale", "dmeo"], "--scale", "did you mean demo?"),
    (["--precision", "fp16"], "--precision", "did you mean"),
    (["--sgimas", "0.5"], "--sgimas", "did you mean --sigmas?"),
    (["--name", "a/b"], "--name", "for example a-b"),
    (["--name", ".."], "--name", "reserved"),
    (["--name", "starting_models"], "--name", "reserved"),
    (["--name", "mlflow.db"], "--name", "reserved"),
    (["--storage", "file:///etc/hostname"], "--storage", "is a file"),
    (["--name", ""], "--name", "characters"),
    (["--name", "x" * 101], "--name", "1 to 100"),
    (["--gpus-per-trial", "-1"], "--gpus-per-trial", "at least 0"),
    (["--gpus-per-trial", "nan"], "--gpus-per-trial", "finite"),
    (["--cpus-per-trial", "0"], "--cpus-per-trial", "at least 1"),
    (["--max-concurrent", "0"], "--max-concurrent", "at least 1"),
    (["--max-epochs", "0"], "--max-epochs", "at least 1"),
    (["--checkpoint-every", "0"], "--checkpoint-every", "at least 1"),
    (["--validation-images", "5001"], "--validation-images", "at most 5,000"),
    (["--dataset", "kmnist"], "--data-dir", "not embedded"),
    (["--download"], "--download", "nothing to download"),
    (["--storage", "ftp://host/x"], "--storage", "s3://"),
    (["--storage", "/etc/hostname"], "--storage", "is a file"),
    (["--storage", "/etc/hostname/below"], "--storage", "is a file"),
    (["--config", "/no/such.yaml"], "--config", "cannot be read"),
    (["surprise"], "surprise", "unknown argument"),
]


@pytest.mark.parametrize(("arguments", "key", "rule"), BAD)
def test_bad_input_is_refused_with_its_key_and_rule(arguments, key, rule, capsys):
    message = refusal(capsys, *arguments)
    assert key in message and rule in message


def test_all_problems_come_in_one_message(capsys):
    message = refusal(
        capsys, "--sigmas", "-1", "abc", "--seeds", "0", "--datset", "x", "--gpus-per-trial", "99",
        "--data-dir", "/nowhere", "--dataset", "kmnist", check=problems,
    )  # fmt: skip
    for expected in (
        "-1 is below 0",
        "abc is not",
        "--seeds",
        "--dataset?",
        "GPUs",
        "no such file",
    ):
        assert expected in message
    assert message.startswith("5 problems, nothing was started")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("schedular: asha", "did you mean scheduler?"),
        ("seeds: 0", "--seeds"),
        ("- 1\n- 2", "keys and values"),
        ("seeds: [1", "not plain YAML"),
        ("name: !!python/object/apply:os.system ['touch hacked']", "not plain YAML"),
    ],
)
def test_bad_config_files_are_refused_and_never_executed(content, expected, tmp_path, capsys):
    path = tmp_path / "config.yaml"
    path.write_text(content)
    assert expected in refusal(capsys, "--config", str(path))
    assert not Path("hacked").exists()


def test_the_command_line_wins_over_the_config_file(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("seeds: 5\nnum-trials: 2\nsigmas: [0, 0.5]\n")
    got = options("--config", str(path), "--seeds", "1")
    assert (got.seeds, got.num_trials, got.sigmas) == (1, 2, (0.0, 0.5))


def test_sigmas_may_be_separated_by_spaces_or_commas():
    expected = (0.0, 0.1, 0.5)
    assert options("--sigmas", "0", "0.1", "0.5").sigmas == expected
    assert options("--sigmas", "0,.1,0.5").sigmas == expected
    assert options().sigmas is None


def test_a_folder_that_cannot_be_written_is_refused(capsys):
    assert "cannot be written" in refusal(capsys, "--storage", "/proc/nowhere")  # not even by root


def test_too_many_images_are_refused(capsys):
    arguments = ("--training-images", "55001", "--test-images", "10001")
    message = refusal(capsys, *arguments, check=problems)
    assert "at most 55,000" in message and "at most 10,000" in message


def run_script(*arguments, cwd):
    return subprocess.run(
        [sys.executable, str(ROOT / "sweeps/sigma_line_search.py"), *arguments],
        cwd=cwd, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


@pytest.mark.system
def test_the_real_script_refuses_before_it_imports_ray_or_writes(tmp_path):
    ended = run_script("--sigmas", "-1", "--seeds", "0", cwd=tmp_path)
    assert ended.returncode == 2
    assert "2 problems, nothing was started" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert list(tmp_path.iterdir()) == []
    loaded = (
        "import sys, sweeps.sigma_line_search; print('ray' in sys.modules, 'torch' in sys.modules)"
    )
    seen = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True)
    assert seen.stdout.split() == ["False", "False"]


@pytest.mark.system
def test_help_explains_every_option(tmp_path):
    ended = run_script("--help", cwd=tmp_path)
    assert ended.returncode == 0
    text = " ".join(ended.stdout.replace("│", " ").split())
    for name, field in script.Options.model_fields.items():
        assert "--" + name.replace("_", "-") in text
        assert field.description and field.description.split(". Default")[0][:30] in text


def test_a_store_that_is_silent_and_a_cluster_are_asked_at_the_same_time(capsys, monkeypatch):
    both = threading.Barrier(2, timeout=30)

    def ask(name):
        both.wait()  # would never end, one after the other
        return {name: "is silent"}

    monkeypatch.setattr(script.Options, "storage_problems", lambda self: ask("storage"))
    said = refusal(capsys, check=lambda options: ask("address"))
    assert "--storage: is silent" in said and "--address: is silent" in said


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--seeds=2", "--sigmas=0,0.5"], (2, (0.0, 0.5))),
        (["--sigmas", "1e-3", "--seeds", "1", "--seeds", "4"], (4, (0.001,))),
        (["--seeds", "2", "--sigmas", ".5", "--dry_run"], (2, (0.5,))),
    ],
)
def test_words_are_read_as_they_are_typed(arguments, expected):
    found = options(*arguments)
    assert (found.seeds, found.sigmas) == expected


def test_an_unknown_flag_takes_its_words_with_it(capsys):
    message = refusal(capsys, "--sgimas", "1", "2", "3", "--dry-run", "yes", "--seeds", "1", "2")
    assert message.startswith("3 problems")
    assert "yes: unknown argument" in message and "2: unknown argument" in message


SCRIPTS = (
    "sigma_line_search", "epsilon_sphere", "generator_depth", "generator_reset_interval",
    "experience_replay", "joint_search", "method_comparison", "training_recipe", "backbones",
)  # fmt: skip


def test_options_of_other_commands_are_those_that_they_have():
    of = {name: import_module(f"sweeps.{name}").Options for name in SCRIPTS}
    of["evaluate_checkpoint"] = CheckpointOptions
    found = {}
    for command, model in of.items():
        for name in model.model_fields.keys() - SweepOptions.model_fields.keys():
            found[name] = (*found.get(name, ()), command)
    assert found == COMMANDS


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("--pretraining-steps 3", "is an option of epsilon_sphere.py, generator_depth.py, "
         "generator_reset_interval.py, experience_replay.py and joint_search.py, not of this"),
        ("--epsilons 3", "--epsilons: is an option of epsilon_sphere.py, not of this command"),
        ("--learning-rates 3", "--learning-rates: unknown argument\n"),
        ("--method foo", "foo is unknown, given: foo\n"),
        ("--dataset imagenet1k", "imagenet, imagenet100, image_folder; did you mean imagenet?"),
        ("--dry", "--dry: unknown argument; did you mean --dry-run?"),
        ("--method free", "--method: on MNIST must be one of vanilla, gnt, gnt_mult"),
        ("--method gnt free", "given: free\n"),
    ],
)  # fmt: skip
def test_a_hint_is_near_or_there_is_none(given, said, capsys):
    with pytest.raises(SystemExit):
        parse(import_module("sweeps.sigma_line_search").Options, "", given.split())
    printed = capsys.readouterr().err
    assert said in printed, printed
    assert "did you mean" not in printed or "did you mean" in said
