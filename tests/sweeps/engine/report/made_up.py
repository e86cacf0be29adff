"""Made-up results of trials, and sweeps of them written through the real records."""

import math
from functools import cache

import torch

from gon_core.benchmarks.mnist import MNIST
from gon_core.config import ANT, GNT, DataConfig, TrainingConfig, TrialConfig
from gon_core.corruptions.mnist_c import CORRUPTIONS
from gon_core.evaluation import learned_noise
from gon_core.measurement import SEVERITIES_SPLIT, Measurement, accuracy_row, mean_top1
from gon_core.noise import NoiseGenerator
from search_spaces.generator_depth import DEPTH, KERNEL_SIZE
from search_spaces.parameter import Choice
from search_spaces.reset_interval import RESET_INTERVAL
from sweeps.engine.records import NOISE, SweepDescription, SweepRecords, TrialResult
from sweeps.engine.records.storage import Folder
from tests.spaces import JOINT_SPACE, SIGMA

IMAGES = 1_000
PUBLISHED = {
    "curve": {"table": "mnist_c_vs_sigma", "x": "sigma", "y": "mnist_c_top1"},
    "rows": [
        {"point": [0.0], "table": "mnist_c_top1", "model": "vanilla_madry"},
        {"point": [0.5], "table": "mnist_c_top1", "model": "gnt_sigma_0.5"},
    ],
}
ANT_AT_10 = {"rows": [{"point": [10.0], "table": "mnist_c_top1", "model": "ant_1x1"}]}
ANT_AT_033 = {"rows": [{"point": [0.33], "table": "mnist_c_top1", "model": "ant_1x1"}]}
TABLE_11 = {"table_11": "generator_depth_imagenet_c"}
JOINT = {"space": JOINT_SPACE, "search": "joint", "published": None}
REASONS = {"diverged": "the training loss is not finite", "failed": "RuntimeError: <b>broken</b>"}
CUTS = ["10,000 of 55,000 training images", "2 epochs per trial, not until convergence"]


def description(space=(SIGMA,), seeds=3, **changes):
    """Return what sweep.json says, by default of a search for sigma."""
    return {
        "name": "sigma-demo",
        "experiment": "sigma",
        "title": "Which sigma of Gaussian noise training?",
        "created": "2026-11-22T13:00:00+00:00",
        "scale": "demo",
        "deviations": CUTS,
        "search": "line",
        "parameters": space,
        "objectives": ["corrupted"],
        "published": PUBLISHED,
        "seeds": list(range(seeds)),
        "grid": [],
        "code": {"git_sha": "0123abcd", "dirty": True},
        "packages": {"torch": "2.9.1"},
        "data_digest": "sha256:feed",
        "command": "python -m sweeps.sigma_line_search --scale demo",
        "tracking": "mlflow ui --backend-store-uri sqlite:///results/mlflow.db",
    } | changes


def accuracy_rows(top1, clean=98.5):
    """Return rows whose mean over corruptions is ``top1`` on test, 1 more on validation."""
    rows = []
    for split, mean in (("validation", top1 + 1), ("test", top1)):
        rows.append(accuracy_row(split, "clean", 0, round(10 * clean), IMAGES))
        # Not in the paper's order, and not all alike.
        for index, name in enumerate(reversed(CORRUPTIONS)):
            rows.append(accuracy_row(split, name, 1, round(10 * mean) + index - 7, IMAGES))
    return rows


def result(method, seed, status, top1, clean=98.5, history=None):
    """Return how a trial ended; measured if it has an accuracy."""
    training = TrainingConfig(max_epochs=2)
    trial = TrialConfig(method=method, data=DataConfig(), training=training, start=None, seed=seed)
    rows = accuracy_rows(top1, clean) if top1 is not None else []
    return TrialResult(
        trial_id=trial.trial_id,
        config=trial,
        status=status,
        reason=REASONS.get(status, ""),
        history=history or [{"epoch": 1.0, "loss": 1.0}, {"epoch": 2.0, "loss": 0.5}],
        measurements=rows,
        objective=mean_top1(rows, "validation") if rows else None,
        seconds={"training": 41.25, "evaluation": 3.5},
        ended="2026-11-22T13:10:00+00:00",
        device="cpu, 1 thread(s)",
    )


def ant_history(epochs=2, unattainable=0.0):
    """Return the metrics of training against a generator."""
    return [
        {
            "epoch": float(epoch),
            "generator_accuracy": 90 - 30 / epoch,
            "generator_loss": 1.5 / epoch,
            "share_unattainable": unattainable,
            "resets": 3.0 * epoch - 1,
        }
        for epoch in range(1, epochs + 1)
    ]


def ant_result(seed=0, status="converged", top1=85.0, clean=98.5, unattainable=0.0, **method):
    """Return how a trial of adversarial noise training ended."""
    history = ant_history(unattainable=unattainable)
    return result(ANT(**{"epsilon": 10.0} | method), seed, status, top1, clean, history)


def noise_file(kernel_size=1, images=None):
    """Return what a generator with large random weights learned, as trials store it."""
    stream = torch.Generator().manual_seed(0)
    generator = NoiseGenerator(1, 3, kernel_size, stream)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.normal_(0.0, 0.3, generator=stream)
    if images is None:
        images = torch.randint(0, 256, (20, 1, 28, 28), generator=stream, dtype=torch.uint8)
    return learned_noise.dump(learned_noise.describe(generator, images, 5.0, stream), generator)


def write_sweep(folder, results, noise=None, **changes):
    """Write a sweep into a folder; each measured trial with ``noise`` if there is any."""
    records = SweepRecords(Folder(str(folder)))
    records.write_sweep(SweepDescription.model_validate(description(**changes)))
    for turn, ended in enumerate(results):
        trial = records.trial(ended.trial_id)
        trial.write_config(ended.config)
        trial.write_ask_index(turn)
        if noise is not None and ended.measurements:
            trial.folder.write(NOISE, noise)
        trial.write_result(ended)
    return records


SHIFTS = (-0.4, 0.0, 0.5)  # of the accuracies of three seeds, in percentage points


def epsilon_line():
    """Return a line search for epsilon; the two largest are not always attainable."""
    means = {4.0: 80.1, 7.0: 83.4, 9.3: 85.2, 10.0: 84.9, 13.0: 83.8, 17.0: 80.0}
    shares = {13.0: 3.4, 17.0: 61.2}
    return [
        ant_result(seed, "max_epochs", mean + shift, epsilon=epsilon,
                   unattainable=shares.get(epsilon, 0.0))
        for epsilon, mean in means.items()
        for seed, shift in enumerate(SHIFTS)
    ]  # fmt: skip


def depth_grid():
    """Return a grid of depth and kernel size; one seed was lost, one point has but one seed."""
    results = []
    for depth, kernel in ((1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (2, 3), (3, 3), (4, 3), (5, 3)):
        mean = 82 + [0, 1.2, 2.1, 2.6, 2.2][depth - 1] - (0.9 if kernel == 3 else 0)
        for seed, shift in enumerate(SHIFTS):
            lost = (depth, kernel, seed) in ((5, 3, 1), (5, 3, 2), (2, 1, 0))
            status = "failed" if lost else "max_epochs" if depth < 4 else "converged"
            top1 = None if lost else mean + shift
            results.append(ant_result(seed, status, top1, depth=depth, kernel_size=kernel))
    return results


def reset_grid():
    """Return a grid of reset intervals, with the word among them."""
    means = {"never": 82.0, 0.1: 84.6, 0.33: 85.1, 1.0: 84.0}
    return [
        ant_result(seed, "max_epochs", mean + shift, reset_interval=interval)
        for interval, mean in means.items()
        for seed, shift in enumerate(SHIFTS)
    ]


def joint_points(count):
    """Return points of the joint space, all different, and their two accuracies."""
    stream = torch.Generator().manual_seed(3)
    points = {}
    for index in range(count):
        u = torch.rand(6, generator=stream).tolist()
        depth = 1 + int(5 * u[1])
        epsilon = round(3 + 11 * u[0], 1)
        rate = float(f"{10 ** (-5 + 4 * u[4]):.6f}") or 1e-5
        point = (
            epsilon, depth, 1 if depth == 1 or u[2] < 0.6 else 3,
            RESET_INTERVAL.values[int(7 * u[3])], rate, round(0.4 * u[5], 2),
        )  # fmt: skip
        corrupted = 85 - 0.25 * (epsilon - 9.5) ** 2 + 1.5 * u[5] - 4 * abs(u[4] - 0.5)
        points[point] = (99.2 - 0.12 * epsilon + 0.3 * u[5] + 0.01 * index, corrupted)
    return points


def joint_search(count=14, seeds=1):
    """Return a joint search; every seventh trial was pruned."""
    results = []
    for index, (point, (clean, corrupted)) in enumerate(joint_points(count).items()):
        named = {p.name: value for p, value in zip(JOINT_SPACE, point, strict=True)}
        named["current_share"] = round(0.5 - named["past_share"], 10)
        lost = index % 7 == 6
        for seed in range(seeds):
            status = "pruned" if lost else "max_epochs"
            top1 = None if lost else corrupted + SHIFTS[seed]
            results.append(ant_result(seed, status, top1, clean, **named))
    return results


SPACES = {
    "depth": (DEPTH, KERNEL_SIZE),
    "reset": (RESET_INTERVAL,),
    "joint": JOINT_SPACE,
}


def earlier_points(objectives):
    """Return what sweep.json says of six points of earlier sweeps."""
    points = list(joint_points(20).items())[-6:]
    return [[list(point), list(accuracies[-objectives:])] for point, accuracies in points]


VARIANT = Choice("variant", tuple(MNIST.methods), "", "ant_1x1")
METHODS = {
    "space": (VARIANT,),
    "search": "grid",
    "title": "Which method?",
    "published": {
        "rows": [
            {"point": ["vanilla"], "table": "mnist_c_top1", "model": "vanilla_madry"},
            {"point": ["gnt"], "table": "mnist_c_top1", "model": "gnt_sigma_0.5"},
            {"point": ["ant_1x1"], "table": "mnist_c_top1", "model": "ant_1x1"},
        ]
    },
}
# About what a vanilla model reaches, in the order of CORRUPTIONS.
VANILLA = (98, 96, 96, 94, 98, 95, 92, 88, 57, 88, 50, 97, 96, 86, 72)
NOISES = ("gaussian", "uniform", "speckle", "adversarial_1x1", "adversarial_3x3")


def corrupted_top1(gain, severity=3):
    """Return accuracies by corruption: ``gain`` takes a part of vanilla's errors away."""
    steepness = (0.35, 0.65, 1.0, 1.4, 1.8)[severity - 1]
    errors = {name: 100 - top1 for name, top1 in zip(CORRUPTIONS, VANILLA, strict=True)}
    parts = {name: gain * (0.4 + 0.6 * (i % 4 != 0)) for i, name in enumerate(CORRUPTIONS)}
    return {
        name: 100 - min(error * steepness * (1 - parts[name]), 90) for name, error in errors.items()
    }


def measured_rows(gain, clean=99.1, severities=True):
    """Return accuracies on clean and corrupted images, like those of MNIST, at all severities."""
    by_split = {
        "validation": {1: corrupted_top1(gain)},
        "test": {1: corrupted_top1(gain)},
        SEVERITIES_SPLIT: {s: corrupted_top1(gain, s) for s in range(1, 6) if severities},
    }
    return [
        *(
            accuracy_row(split, "clean", 0, round(10 * clean), IMAGES)
            for split in ("validation", "test", *[SEVERITIES_SPLIT] * severities)
        ),
        *(
            accuracy_row(split, name, severity, round(10 * top1), IMAGES)
            for split, by_severity in by_split.items()
            for severity, by_corruption in by_severity.items()
            for name, top1 in by_corruption.items()
        ),
    ]  # fmt: skip


def attack_rows(gain):
    """Return accuracies under both attacks of Table 7."""
    pairs = (("pgd", "linf", 0.1, 560 + 300 * gain), ("ddn", "l2", 1.5, 730 + 230 * gain))
    return [
        Measurement(
            measure="attacks", split="test", setting=name, value=100 * round(correct) / IMAGES,
            count=IMAGES, extra={"correct": round(correct), "norm": norm, "size": size},
        )
        for name, norm, size, correct in pairs
    ]  # fmt: skip


def size_rows(medians, width=0.2, **changes):
    """Return median perturbation sizes of the noises in ``NOISES``, as many as ``medians`` has."""
    rest = {
        "already_wrong": 9, "never": 0, "saturated": 0, "sampled": 991,
        "non_monotone": 3, "per_image": False, "forwards": 12_000, "precision": 0.05,
        "converged": True,
    }  # fmt: skip
    return [
        Measurement(
            measure="epsilon_star", split="test", setting=noise, value=median, count=IMAGES,
            extra={"low": median - width, "high": median + width} | rest | changes,
        )
        for noise, median in zip(NOISES, medians, strict=False)
    ]  # fmt: skip


def measured_as(trial, measure, rows):
    """Return a trial with other rows of one measure."""
    others = [row for row in trial.measurements if row.measure != measure]
    return trial.model_copy(update={"measurements": [*others, *rows]})


def with_correct(row, correct, count=IMAGES):
    """Return an accuracy with another number of images classified right."""
    extra = row.extra | {"correct": correct}
    return row.model_copy(update={"value": 100 * correct / count, "count": count, "extra": extra})


@cache
def measured_result(method, seed, gain, severities=True, status="converged"):
    """Return a trial with every measure: accuracies, severities, attacks and epsilon*.

    A high gain makes Gaussian and uniform noise harmless: their epsilon* is infinite.
    """
    ended = result(method, seed, status, 85.0)
    gain += (-0.02, 0.0, 0.03)[seed]
    rows = measured_rows(gain, 98.6 + gain, severities)
    gaussian = math.inf if gain > 0.78 else 7 + 9 * gain
    medians = (gaussian, gaussian + 0.3, 9.5 + 8 * gain, 4.6 + 7 * gain, 2.8 + 4 * gain)
    return ended.model_copy(
        update={
            "measurements": [*rows, *attack_rows(gain), *size_rows(medians)],
            "objective": mean_top1(rows, "validation"),
        }
    )


GAINS = (0.0, 0.62, 0.6, 0.42, 0.5, 0.46, 0.35, -0.6, 0.1, 0.8, 0.71, 0.66)


def methods(seeds=3, severities=True):
    """Return a comparison of all methods."""
    return [
        measured_result(method, seed, gain, severities)
        for method, gain in zip(MNIST.methods.values(), GAINS, strict=True)
        for seed in range(seeds)
    ]


def measured_sigmas(seeds=3):
    """Return a line of six sigmas with every measure."""
    gains = {0.0: 0.0, 0.2: 0.4, 0.38: 0.62, 0.5: 0.7, 0.7: 0.66, 1.0: 0.5}
    return [
        measured_result(GNT(sigma=sigma), seed, gain)
        for sigma, gain in gains.items()
        for seed in range(seeds)
    ]
