"""What the engine costs around the training: eight tiny trials, beside the same in plain Ray Tune.

Run it as ``python benchmarks/engine.py``. The plain script is what one would write with Ray's
documentation at hand: ``ray.init()``, a function trainable, a grid, Ray's MLflow callback. It
trains, starts and evaluates with the same code from ``gon_core``, and must come to the same
accuracies. Both sides are timed as whole processes from start to exit, in turns; CPU time is that
of the driver and of the processes it waited for, which leaves out most of Ray's.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from gon_core.config import GNT, TrialConfig

SIGMAS, SEEDS = (0.1, 0.3, 0.5, 0.7), 2
TRAINING_IMAGES, EVALUATION_IMAGES = 300, 60
TARGET = 2.0
SWEEP = Path(__file__).parent.parent / "sweeps" / "sigma_line_search.py"
OURS, PLAIN, PLAIN_WITHOUT = "engine", "plain Ray Tune, MLflow", "plain Ray Tune, no MLflow"
ENVIRONMENT = {
    "RAY_ADDRESS": "local",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}
Answers = dict[tuple[float, int], float]
"""Mean accuracy on corrupted validation images, in percent, by sigma and seed."""


def plain(folder: Path, with_mlflow: bool) -> None:
    """Run the trials as a researcher would, and write what came out to ``answers.json``."""
    import ray
    import torch
    from ray import tune
    from ray.air.integrations.mlflow import MLflowLoggerCallback

    from gon_core import benchmarks, evaluation, seeding
    from gon_core.benchmarks.mnist import DEMO
    from gon_core.config import GNT, DataConfig, Vanilla
    from gon_core.data import idx
    from gon_core.data.splits import split
    from gon_core.models import MadryCNN
    from gon_core.training import new_state, train

    one_epoch = {"max_epochs": 1}
    start_config = DEMO.start.model_copy(update=one_epoch)
    config_of_training = DEMO.training.model_copy(update=one_epoch)
    torch.set_num_threads(1)
    sizes = DataConfig(
        training_images=TRAINING_IMAGES,
        validation_images=EVALUATION_IMAGES,
        test_images=EVALUATION_IMAGES,
    )
    splits = split(*idx.load("mnist"), sizes)
    start = MadryCNN(seeding.generator(0, "initial weights"))
    list(train(new_state(start, start_config, 0), splits.training, Vanilla(), start_config))

    def trainable(config: dict[str, Any], data: dict[str, Any]) -> None:
        torch.set_num_threads(1)
        model = MadryCNN()
        model.load_state_dict(data["start"])
        state = new_state(model, config_of_training, config["seed"])
        mixed = evaluation.mixed(data["validation"])
        method = GNT(sigma=config["sigma"])
        result: dict[str, float] = {}
        for metrics in train(state, data["training"], method, config_of_training):
            correct = evaluation.count_correct(model, mixed)
            result = {
                "train_loss": metrics.train_loss,
                "train_accuracy": metrics.train_accuracy,
                "validation_corrupted": 100 * correct / len(mixed),
            }
        for name in ("validation", "test"):
            rows = list(evaluation.evaluate(model, data[name]))
            result |= {f"{name}/{row.setting}": row.value for row in rows}
            result[f"{name}/mean"] = evaluation.mean_top1(rows, name)
        tune.report(result)

    suites = benchmarks.get("mnist").suites
    data = {
        "training": splits.training,
        "validation": evaluation.build(splits.validation, "validation", suites["validation"], 0),
        "test": evaluation.build(splits.test, "test", suites["test"], 0),
        "start": start.state_dict(),
    }
    ray.init()
    uri = f"sqlite:///{folder}/mlflow.db"
    callbacks: list[Any] = (
        [MLflowLoggerCallback(tracking_uri=uri, experiment_name="plain")] if with_mlflow else []
    )
    results = tune.Tuner(
        tune.with_parameters(trainable, data=data),
        param_space={
            "sigma": tune.grid_search(list(SIGMAS)),
            "seed": tune.grid_search(list(range(SEEDS))),
        },
        tune_config=tune.TuneConfig(metric="validation/mean", mode="max"),
        run_config=tune.RunConfig(storage_path=str(folder / "ray"), callbacks=callbacks),
    ).fit()
    answers = [
        (result.config["sigma"], result.config["seed"], result.metrics["validation/mean"])
        for result in results
        if result.config is not None and result.metrics is not None
    ]
    (folder / "answers.json").write_text(json.dumps(answers))
    print(results.get_dataframe().sort_values("validation/mean").to_string())


def command(side: str, folder: Path) -> list[str]:
    """Return the command line of one side, which keeps all it writes in ``folder``."""
    if side != OURS:
        return [sys.executable, __file__, "--plain", str(folder), "--mlflow", str(side == PLAIN)]
    images = {"training": TRAINING_IMAGES, "validation": EVALUATION_IMAGES}
    images["test"] = EVALUATION_IMAGES
    arguments = [sys.executable, str(SWEEP), "--name", "eight", "--storage", str(folder)]
    arguments += ["--scale", "demo", "--seeds", str(SEEDS), "--num-trials", "0"]
    arguments += ["--max-epochs", "1", "--start-epochs", "1", "--gpus-per-trial", "0"]
    for part, count in images.items():
        arguments += [f"--{part}-images", str(count)]
    return [*arguments, "--sigmas", *map(str, SIGMAS)]


def read_answers(side: str, folder: Path) -> Answers:
    """Return what a side found."""
    if side != OURS:
        found = json.loads((folder / "answers.json").read_text())
        return {(sigma, seed): accuracy for sigma, seed, accuracy in found}
    paths = (folder / "eight" / "trials").glob("*/result.json")
    results = [json.loads(path.read_text()) for path in paths]
    configs = [TrialConfig.model_validate(result["config"]) for result in results]
    return {
        (config.method.sigma, config.seed): result["objective"]
        for config, result in zip(configs, results, strict=True)
        if isinstance(config.method, GNT)
    }


def timed(side: str) -> tuple[float, float, Answers]:
    """Run one side in a fresh folder; return seconds of wall and of CPU, and what it found."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        # A file: Ray's last processes would hold a pipe open after the driver's exit.
        with (folder / "log.txt").open("w") as log:
            before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            done = subprocess.run(
                command(side, folder),
                env=inherited | ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            wall, after = (
                time.perf_counter() - started,
                resource.getrusage(resource.RUSAGE_CHILDREN),
            )
        if done.returncode:
            sys.exit(f"{side} ended with {done.returncode}:\n{(folder / 'log.txt').read_text()}")
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return wall, cpu, read_answers(side, folder)


def main() -> None:
    """Print seconds of each side and the ratios of the rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plain", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--mlflow", choices=("True", "False"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.plain:
        plain(arguments.plain, arguments.mlflow == "True")
        return

    sides = (OURS, PLAIN, PLAIN_WITHOUT)
    walls: dict[str, list[float]] = {side: [] for side in sides}
    cpus: dict[str, list[float]] = {side: [] for side in sides}
    equal_rounds = 0
    for index in range(arguments.rounds):
        answers: dict[str, Answers] = {}
        for side in sides:
            wall, cpu, answers[side] = timed(side)
            walls[side].append(wall)
            cpus[side].append(cpu)
            print(f"round {index + 1}/{arguments.rounds} {side:26} {wall:6.1f} s, CPU {cpu:6.1f} s",
                  flush=True)  # fmt: skip

        assert len(answers[OURS]) == len(SIGMAS) * SEEDS
        equal_rounds += all(answers[side] == answers[OURS] for side in sides)

    print(f"\nthe same accuracies on all sides: in {equal_rounds} of {arguments.rounds} rounds")
    print(f"{'':26} {'wall s':>7} {'CPU s':>7}   plain / engine, wall: median (least to greatest)")
    for side in sides:
        ratios = [slow / ours for slow, ours in zip(walls[side], walls[OURS], strict=True)]
        line = (
            f"{side:26} {statistics.median(walls[side]):7.1f} {statistics.median(cpus[side]):7.1f}"
        )
        if side != OURS:
            line += f"   {statistics.median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})"
        print(line + (f", target {TARGET:g}" if side == PLAIN else ""))


if __name__ == "__main__":
    main()
