"""Evaluation: functions of (model, data) that return rows; the caller prints and writes them."""

from gon_core.evaluation.accuracy import AccuracyRow, count_correct, evaluate, mean_top1
from gon_core.evaluation.corrupted_sets import EvaluationSet, build, mixed
from gon_core.evaluation.intervals import Interval, mean_interval, wilson_interval

__all__ = [
    "AccuracyRow",
    "EvaluationSet",
    "Interval",
    "build",
    "count_correct",
    "evaluate",
    "mean_interval",
    "mean_top1",
    "mixed",
    "wilson_interval",
]
