"""Evaluation: functions of (model, data) that return rows; the caller prints and writes them."""

from gon_core.evaluation.accuracy import (
    correct_images,
    count_correct,
    evaluate,
    evaluate_images,
)
from gon_core.evaluation.adversarial_noise import AdversarialNoise, adversarial_noise, restore_noise
from gon_core.evaluation.attacks import DDNAttack, PGDAttack, attack_accuracy
from gon_core.evaluation.corrupted_sets import (
    EvaluationSet,
    build,
    mixed,
)
from gon_core.evaluation.corruption_error import (
    corruption_errors,
    errors_over_severities,
    mean_corruption_error,
    mean_without_noise,
)
from gon_core.evaluation.corruption_sets import evaluate_imagenet_c, read_mnist_c
from gon_core.evaluation.noise_directions import NOISES, Noise
from gon_core.evaluation.perturbation_size import median_perturbation_size, perturbation_sizes
from gon_core.intervals import Interval, mean_interval, standard_error, wilson_interval
from gon_core.measurement import Measurement, mean_top1

__all__ = [
    "NOISES",
    "AdversarialNoise",
    "DDNAttack",
    "EvaluationSet",
    "Interval",
    "Measurement",
    "Noise",
    "PGDAttack",
    "adversarial_noise",
    "attack_accuracy",
    "build",
    "correct_images",
    "corruption_errors",
    "count_correct",
    "errors_over_severities",
    "evaluate",
    "evaluate_imagenet_c",
    "evaluate_images",
    "mean_corruption_error",
    "mean_interval",
    "mean_top1",
    "mean_without_noise",
    "median_perturbation_size",
    "mixed",
    "perturbation_sizes",
    "read_mnist_c",
    "restore_noise",
    "standard_error",
    "wilson_interval",
]
