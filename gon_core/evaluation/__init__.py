"""Evaluation: functions of (model, data) that return rows; the caller prints and writes them."""

from gon_core.evaluation.accuracy import correct_images, count_correct, evaluate
from gon_core.evaluation.corrupted_sets import EvaluationSet, build, mixed
from gon_core.evaluation.corruption_error import (
    corruption_errors,
    errors_over_severities,
    mean_corruption_error,
    mean_without_noise,
)
from gon_core.evaluation.corruption_sets import evaluate_imagenet_c, read_mnist_c
from gon_core.intervals import Interval, mean_interval, standard_error, wilson_interval
from gon_core.rows import AccuracyRow, mean_top1

__all__ = [
    "AccuracyRow",
    "EvaluationSet",
    "Interval",
    "build",
    "correct_images",
    "corruption_errors",
    "count_correct",
    "errors_over_severities",
    "evaluate",
    "evaluate_imagenet_c",
    "mean_corruption_error",
    "mean_interval",
    "mean_top1",
    "mean_without_noise",
    "mixed",
    "read_mnist_c",
    "standard_error",
    "wilson_interval",
]
