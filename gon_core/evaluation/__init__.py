"""Evaluation: functions of (model, data) that return rows; the caller prints and writes them."""

from gon_core.evaluation.accuracy import count_correct, evaluate
from gon_core.evaluation.corrupted_sets import EvaluationSet, build, mixed
from gon_core.intervals import Interval, mean_interval, wilson_interval
from gon_core.rows import AccuracyRow, mean_top1

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
