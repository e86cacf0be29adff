"""Bad words and numbers on the command line, and options that do not go together."""

import shlex

import pytest

from tests.sweeps.bad_input.cases import (
    DEPTH,
    EPSILON,
    JOINT,
    METHODS,
    REPLAY,
    RESET,
    SIGMA,
    case,
    file,
)

NUMBERS = [
    case(SIGMA, "--sigmas -1", "--sigmas: -1 is below 0"),
    case(SIGMA, "--sigmas 0.5 nan", "--sigmas: nan is not finite"),
    case(SIGMA, "--sigmas inf", "--sigmas: inf is not finite"),
    case(SIGMA, "--sigmas 1e400", "--sigmas: 1e400 is not finite"),
    case(SIGMA, "--sigmas half", "--sigmas: half is not a number"),
    case(SIGMA, "--sigmas", "--sigmas: needs at least one value"),
    case(SIGMA, "--sigmas 0.5 0.50", "--sigmas: 0.50 is given twice"),
    case(SIGMA, "--sigmas 0.1 --sigmas 0.5", "--sigmas: is given twice", "after one --sigmas"),
    case(SIGMA, "--seeds 0", "--seeds: must be at least 1, given: 0"),
    case(SIGMA, "--seeds 1.5", "--seeds: must be a whole number, given: 1.5"),
    case(SIGMA, "--seeds three", "--seeds: must be a whole number, given: three"),
    case(SIGMA, "--seeds", "--seeds: needs a value"),
    case(SIGMA, "--seeds --name a", "--seeds: needs a value"),
    case(SIGMA, "--seeds 1000000000", "--seeds: must be at most 1000"),
    case(SIGMA, "--seed 2147483648", "--seed: must be less than 2147483648"),
    case(SIGMA, "--seed -1", "--seed: must be at least 0"),
    case(SIGMA, "--num-trials 1000000000", "--num-trials: must be at most 10000"),
    case(SIGMA, "--num-trials -1", "--num-trials: must be at least 0"),
    case(SIGMA, "--max-epochs 0", "--max-epochs: must be at least 1"),
    case(SIGMA, "--max-epochs 1000000", "--max-epochs: must be at most 100000"),
    case(SIGMA, "--start-epochs 1e9", "--start-epochs: must be a whole number, given: 1e9"),
    case(SIGMA, "--checkpoint-every 0", "--checkpoint-every: must be at least 1"),
    case(SIGMA, "--wait-for-driver -1", "--wait-for-driver: must be at least 0"),
    case(SIGMA, "--wait-for-driver long", "--wait-for-driver: must be a number"),
    case(SIGMA, "--max-failures -1", "--max-failures: must be at least 0"),
    case(SIGMA, "--max-concurrent 0", "--max-concurrent: must be at least 1"),
    case(SIGMA, "--training-images 55001", "--training-images: must be at most 55,000"),
    case(SIGMA, "--validation-images 5001", "--validation-images: must be at most 5,000"),
    case(SIGMA, "--test-images 10001", "--test-images: must be at most 10,000"),
    case(SIGMA, "--evaluation-images 10001", "--evaluation-images: must be at most 10,000"),
    case(SIGMA, "--cpus-per-trial 100000", "--cpus-per-trial: must be at most", "the cores"),
    case(SIGMA, "--processes-per-trial 0", "--processes-per-trial: must be at least 1, given: 0"),
    case(SIGMA, "--processes-per-trial 1.5", "--processes-per-trial: must be a whole number"),
    case(SIGMA, "--processes-per-trial 1000", "--processes-per-trial: must be at most", "cores"),
    case(SIGMA, "--gpus-per-trial 1000", "--gpus-per-trial: must be at most", "the GPUs"),
    case(SIGMA, "--gpus-per-trial nan", "--gpus-per-trial: must be a finite number"),
    case(SIGMA, "--gpus-per-trial 1.5", "--gpus-per-trial: must be a whole number above 1"),
    case(SIGMA, "--budget-hours 0", "--budget-hours: must be greater than 0.0, given: 0"),
    case(SIGMA, "--budget-hours -1", "--budget-hours: must be greater than 0"),
    case(SIGMA, "--budget-hours nan", "--budget-hours: must be a finite number"),
    case(SIGMA, "--budget-hours inf", "--budget-hours: must be a finite number"),
    case(SIGMA, "--budget-hours soon", "--budget-hours: must be a number, given: soon"),
    case(SIGMA, "--budget-hours", "--budget-hours: needs a value"),
    case(SIGMA, "", "--budget-hours: must be greater than 0", config="budget-hours: 0"),
    case(DEPTH, "--budget-gpu-hours 0", "--budget-gpu-hours: must be greater than 0"),
    case(SIGMA, "--budget-gpu-hours -0.5", "--budget-gpu-hours: must be greater than 0"),
    case(SIGMA, "--budget-gpu-hours 1e999", "--budget-gpu-hours: must be a finite number"),
    case(SIGMA, "--budget-gpu-hours nan", "--budget-gpu-hours: must be a finite number"),
    case(SIGMA, "--price-per-gpu-hour -1", "--price-per-gpu-hour: must be at least 0"),
    case(SIGMA, "--budget-hours 1e308 --dry-run", "--budget-hours: must be at most 1000000000"),
    case(SIGMA, "--gpus-per-trial 1e300 --dry-run", "--gpus-per-trial: must be at most 1000"),
    case(SIGMA, f"--cpus-per-trial {10**30}", "--cpus-per-trial: must be at most 100"),
    case(SIGMA, "--price-per-gpu-hour 1e308", "--price-per-gpu-hour: must be at most 1000000"),
    case(SIGMA, "--price-per-gpu-hour nan", "--price-per-gpu-hour: must be a finite number"),
    case(EPSILON, "--epsilons 0 7", "--epsilons: 0 is not above 0"),
    case(EPSILON, "--epsilons -inf", "--epsilons: -inf is not finite"),
    case(EPSILON, "--depth 9", "--depth: must be at most 8, given: 9"),
    case(EPSILON, "--kernel-size 2", "--kernel-size: must be one of 1 or 3, given: 2"),
    case(EPSILON, "--reset-interval -0.33", "--reset-interval: must be a number of epochs above 0"),
    case(EPSILON, "--generator-learning-rate inf", "--generator-learning-rate: must be a finite"),
    case(EPSILON, "--past-share 1.5", "--past-share: must be at most 1"),
    case(EPSILON, f"--pretraining-steps {10**23}", "--pretraining-steps: must be at most 100"),
    case(EPSILON, "--pretraining-steps -1", "--pretraining-steps: must be at least 0"),
    case(DEPTH, "--depths 0 3", "--depths: 0 is not one of 1, 2, 3, 4, 5, 6, 7, 8"),
    case(DEPTH, "--depths 2.5", "--depths: 2.5 is not one of 1"),
    case(DEPTH, "--depths", "--depths: needs at least one value"),
    case(DEPTH, "--kernel-sizes 3 3", "--kernel-sizes: 3 is given twice"),
    case(RESET, "--reset-intervals 0", "--reset-intervals: 0 is not above 0"),
    case(RESET, "--reset-intervals often", "--reset-intervals: often is not a number or never"),
    case(RESET, "--reset-intervals never never", "--reset-intervals: never is given twice"),
    case(JOINT, "--objectives 3", "--objectives: must be one of 1 or 2, given: 3"),
    case(JOINT, "--num-trials 0", "--num-trials: must be at least 1"),
    case(JOINT, "--num-trials 10001", "--num-trials: must be at most 10000"),
    case(JOINT, "--seeds 1001", "--seeds: must be at most 1000"),
    case(SIGMA, "--address 127.0.0.1:70000", "--address: must be", "a port of 1 to 65535"),
]

WORDS = [
    case(SIGMA, "--sgimas 0.5", "--sgimas: unknown argument; did you mean --sigmas?"),
    case(SIGMA, "--sigma=0.5", "--sigma: unknown argument; did you mean --sigmas?"),
    case(SIGMA, "--confg x.yaml", "--confg: unknown argument; did you mean --config?"),
    case(SIGMA, "-n 3", "-n: unknown argument"),
    case(SIGMA, "surprise", "surprise: unknown argument"),
    case(SIGMA, "--dataset mnits", "--dataset: must be one of", "did you mean mnist?"),
    case(SIGMA, "--dataset Fashion-MNIST", "--dataset:", "did you mean fashion_mnist?"),
    case(SIGMA, "--scale dmeo", "--scale: must be one of", "did you mean demo?"),
    case(SIGMA, "--precision tf32", "--precision: must be fp32 or bf16, given: tf32", "no TF32"),
    case(SIGMA, "--precision bf61", "--precision: must be one of", "did you mean bf16?"),
    case(SIGMA, "--sampler TPE", "--sampler: must be one of", "did you mean tpe?"),
    case(SIGMA, "--scheduler ahsa", "--scheduler: must be one of", "did you mean asha?"),
    case(SIGMA, "--method gnt_mutl", "--method:", "gnt_mutl is unknown, did you mean gnt_mult?"),
    case(SIGMA, "--method gnt gnt", "--method:", "gnt is given twice"),
    case(SIGMA, "--evaluate attack", "--evaluate:", "did you mean attacks?"),
    case(SIGMA, "--evaluate", "--evaluate:", "needs at least one value"),
    case(METHODS, "--method vanilla gtn", "--method:", "gtn is unknown, did you mean gnt?"),
    case(METHODS, "--method", "--method:", "needs at least one value"),
    case(METHODS, "--evaluate all none", "--evaluate: all and none stand alone"),
    case(JOINT, "--sampler nsga3", "--sampler: must be one of", "did you mean nsga2?"),
]  # fmt: skip

# --------------------------------------------------------------- options that do not go together

CONFLICTS = [
    case(SIGMA, "--sampler nsga2", "--sampler: must be one of gp, tpe, random"),
    case(SIGMA, "--download", "--download: MNIST is embedded"),
    case(SIGMA, "--data-dir .", "--data-dir: MNIST is embedded", "--dataset"),
    case(SIGMA, "--dataset kmnist", "--data-dir: kmnist is not embedded"),
    case(SIGMA, "--evaluate none --evaluation-images 9", "--evaluation-images: is of what"),
    case(
        SIGMA,
        "--gpus-per-trial 0 --budget-gpu-hours 1",
        "--budget-gpu-hours: no trial of this sweep has a GPU: use --budget-hours",
    ),
    case(
        SIGMA,
        "--gpus-per-trial 0 --dry-run --price-per-gpu-hour 1",
        "--price-per-gpu-hour: no trial of this sweep has a GPU, so that it has no effect",
    ),
    case(
        SIGMA,
        "--gpus-per-trial 0 --scale paper --budget-hours 0.01",
        "--budget-hours: 0.01 hours would end before the first trial, which takes at most about",
        "given: 0.01",
    ),
    case(METHODS, "--gpus-per-trial 0 --scale paper --budget-hours 0.01", "are enough for one"),
    case(SIGMA, "--method pgd --sigmas 2", "--sigmas: for pgd, 2:"),
    case(SIGMA, "--method ant_1x1 --sigmas 0", "--sigmas: for ant_1x1, 0:"),
    case(SIGMA, "--epsilons 7", "--epsilons: is an option of"),
    case(EPSILON, "--epsilon 7", "--epsilon: is what this sweep searches: give --epsilons"),
    case(EPSILON, "--kernel-size 3 --depth 1", "--kernel-size: kernel_size 3 needs a depth of"),
    case(EPSILON, "--method ant_3x3 --depth 1", "--depth: kernel_size 3 needs a depth of at least"),
    case(EPSILON, "--clean-share 0.5 --past-share 0.5", "--clean-share:", "leave no images"),
    case(EPSILON, "--current-share 0.4", "--current-share:", "must be 1, got 0.5 + 0.4 + 0.2"),
    case(EPSILON, "--past-share 0.001", "--past-share: 0.001 of a batch of 300 is not one image"),
    case(EPSILON, "--method pgd --depth 3", "--depth: is of adversarial noise training, not of"),
    case(EPSILON, "--method ant_3x3 --kernel-size 1", "--kernel-size: is decided by --method"),
    case(EPSILON, "--sigmas 0.5", "--sigmas: is an option of"),
    case(DEPTH, "--depth 2", "--depth: is what this sweep searches: give --depths"),
    case(DEPTH, "--depths 1 --kernel-sizes 3", "--depths: depth 1 has no layer to be 3x3"),
    case(DEPTH, "--num-trials 2", "--num-trials: must be 0", "its whole grid"),
    case(DEPTH, "--method ant_3x3", "--method: kernel_size is what this sweep searches"),
    case(RESET, "--reset-interval 1", "--reset-interval: is what", "give --reset-intervals"),
    case(RESET, "--num-trials 1", "--num-trials: must be 0"),
    case(REPLAY, "--past-share 0.1", "--past-share: is what this sweep searches"),
    case(REPLAY, "--method ant_1x1_without_replay", "--method: past_share is what this sweep"),
    case(REPLAY, "--num-trials 1", "--num-trials: must be 0"),
    case(JOINT, "--depth 3", "--depth: is what this sweep searches"),
    case(METHODS, "--num-trials 1", "--num-trials: must be 0"),
    case(
        METHODS,
        "--dataset imagenet --data-dir no --method vanilla uat",
        "--uat-step-size: is not given in the paper",
        "--data-dir: no",
        problems=2,
    ),
    case(
        METHODS,
        "--dataset image_folder --data-dir no --method gnt sin_in --model madry_cnm",
        "--method: ",
        "--model: must be one of",
        "--data-dir: no",
        problems=3,
    ),
    case(METHODS, "--epsilon 7", "--epsilon: is an option of"),
    case(METHODS, "--ford-recipe 0.1 256", "--ford-recipe: must be three numbers"),
    case(METHODS, "--ford-recipe 0.1 256 90", "--ford-recipe: is of --method ford on ImageNet"),
]


@pytest.mark.parametrize("bad", [*NUMBERS, *WORDS, *CONFLICTS])
def test_bad_options_are_refused_at_once_and_touch_nothing(bad, is_refused):
    is_refused(bad)


def test_everything_that_is_wrong_comes_in_one_message(here, run_main, capsys):
    file("config.yaml", "schedular: asha\nnum_trials: many\nstorage: config.yaml")(here)
    words = shlex.split(
        "--config config.yaml --sigmas -1 nan --seeds 0 --sgimas 3 --name a/b --gpus-per-trial 999 "
        "--dataset kmnist --data-dir missing --method gnt_mutl --seed"
    )
    code, _ = run_main(SIGMA, words)
    message = capsys.readouterr().err
    assert code == 2 and message.startswith("11 problems, nothing was started:")
    for part in (
        "--config: schedular: unknown key", "--num-trials: must be a whole number",
        "--storage:", "-1 is below 0; nan is not finite", "--seeds: must be at least 1",
        "--sgimas: unknown argument", "--name: must be", "the GPUs of this machine",
        "missing/KMNIST/raw", "did you mean gnt_mult?", "--seed: needs a value",
    ):  # fmt: skip
        assert part in message


def test_an_unknown_kind_of_kernels_is_refused_with_the_rest(here, run_main, capsys, monkeypatch):
    monkeypatch.setenv("GON_FUSION", "quick")
    before = list(here.rglob("*"))
    code, _ = run_main(SIGMA, ["--max-epochs", "0"])
    message = capsys.readouterr().err
    assert code == 2 and message.startswith("2 problems, nothing was started:\n")
    assert "  GON_FUSION: must be auto, fused or eager, given: quick\n" in message
    assert "--max-epochs: must be at least 1" in message
    assert list(here.rglob("*")) == before


def test_a_password_is_not_repeated(here, run_main, capsys):
    words = ["--tracking-uri", "pstgresql://me:secret@host/db", "ftp://me:secret@host"]
    assert run_main(SIGMA, words)[0] == 2
    message = capsys.readouterr().err
    assert "secret" not in message and "me:***@host" in message


def test_what_is_typed_cannot_command_the_terminal(here, run_main, capsys):
    assert run_main(SIGMA, ["--name", "a\x1b[2Jb", "\x1b]0;x\x07"])[0] == 2
    message = capsys.readouterr().err
    assert "\x1b" not in message and "\\x1b[2J" in message
