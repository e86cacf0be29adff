"""Paired tests: every configuration against one that the others are measured by.

Over the seeds that both have; with one seed over the test images, which compares two models,
not two trainings.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

from gon_core.comparison import PairedDifference, paired_difference
from gon_core.evaluation import right_images
from gon_core.measurement import CLEAN
from sweeps.engine.records import RIGHT, SweepRecords
from sweeps.engine.report import sentences
from sweeps.engine.report.files import read_file
from sweeps.engine.report.summary.aggregate import PointSummary, SweepSummary
from sweeps.engine.report.summary.estimates import clean_rows, corrupted_rows
from sweeps.engine.report.tables.table import Row, Table, numbers, words
from sweeps.engine.system.text import plural

BASELINE = "vanilla"
MOST = 40  # points of a joint search, the best of them
MEASURES = ("clean", "mean")
NOTE = (
    "Difference of test accuracies (clean, and the mean over corruptions) in points, with its 95 % "
    "interval, by a paired t-test over seeds. With one seed it is over test images: interval and p "
    "compare two models, not two trainings; p of clean accuracy is then McNemar's exact one. p "
    "is not corrected for the number of comparisons."
)


class Comparison(NamedTuple):
    """A point minus the reference, of clean accuracy or the mean; pairs are of ``over``."""

    point: PointSummary
    measure: str
    paired: PairedDifference
    over: str  # seed or image


def find_reference(summary: SweepSummary) -> PointSummary | None:
    """Return the vanilla method where methods are compared, else the best point."""
    vanilla = (point for point in summary.measured if point.point == (BASELINE,))
    return next(vanilla, summary.best)


def compare(summary: SweepSummary, records: SweepRecords) -> Iterator[Comparison]:
    """Yield every measured point against the reference, on clean and on corrupted images."""
    reference = find_reference(summary)
    best = [point for point in summary.by_rank if point.test and point is not reference][:MOST]
    for point in summary.compared:
        if reference and (point in best or summary.is_baseline(point.point)):
            for measure in MEASURES:
                first, second = by_seed(reference, measure), by_seed(point, measure)
                if len(first.keys() & second.keys()) > 1:
                    yield Comparison(point, measure, paired_difference(first, second), "seed")
                elif paired := _over_images(reference, point, measure, records):
                    yield Comparison(point, measure, paired, "image")


def by_seed(point: PointSummary, measure: str) -> dict[int, float]:
    """Return the test accuracy of a point's trials by seed: clean, or the mean."""
    rows_of = clean_rows if measure == "clean" else corrupted_rows
    return {
        trial.config.seed: sum(row.value for row in rows) / len(rows)
        for trial in point.trials
        if (rows := rows_of(trial))
    }


def _over_images(
    reference: PointSummary, point: PointSummary, measure: str, records: SweepRecords
) -> PairedDifference | None:
    for ours in point.trials:
        for theirs in reference.trials:
            if ours.config.seed == theirs.config.seed:
                first, second = (
                    read_file(records.trial(trial.trial_id).folder, RIGHT, right_images.load)
                    for trial in (theirs, ours)
                )
                if first and second and len(first[CLEAN]) == len(second[CLEAN]) > 1:
                    return right_images.paired_over_images(first, second, measure)
    return None


def build_comparisons(summary: SweepSummary, records: SweepRecords) -> tuple[Table, ...]:
    """Return the table of paired tests; none where nothing can be compared."""
    rows = tuple(
        Row(
            (sentences.row_name(summary, point), measure, *texts(paired, over)),
            rank=summary.ranks.get(point.point, 0),
        )
        for point, measure, paired, over in compare(summary, records)
    )
    reference = find_reference(summary)
    if not rows or reference is None:
        return ()
    columns = (*words("", "accuracy"), *numbers("difference", "95 % interval", "p", "pairs"))
    title = f"Paired comparison with {summary.text(reference.point)}"
    return (Table(title, columns, rows, NOTE, heads=2),)


def texts(paired: PairedDifference, over: str) -> tuple[str, ...]:
    """Return the cells of a difference, of its interval, its p and its pairs."""
    difference, p = paired.difference, paired.p_value
    interval = f"{difference.low:+.1f} to {difference.high:+.1f}"
    # One pair has no spread, nor have pairs that all differ by the same.
    if math.isnan(difference.low) or difference.low == difference.high:
        interval = ""
    p_text = "" if math.isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}"
    return f"{difference.estimate:+.1f}", interval, p_text, plural(paired.pairs, over)
