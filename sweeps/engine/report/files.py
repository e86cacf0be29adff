"""Files beside the results of trials: without one, or with a damaged one, its part is left out."""

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from safetensors import SafetensorError

from search_spaces.parameter import Point
from sweeps.engine.records import SweepRecords, TrialResult
from sweeps.engine.records.storage import Folder
from sweeps.engine.report.summary.aggregate import PointSummary

Content = TypeVar("Content")

log = logging.getLogger(__name__)


def read_file(folder: Folder, name: str, load: Callable[[bytes], Content]) -> Content | None:
    """Return what a file holds; None without one, and with a warning if it is damaged."""
    try:
        return load(folder.read(name))
    except FileNotFoundError:
        return None
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        log.warning("%s/%s is left out of the report: %s", folder.path, name, error)
        return None


def first_of_seeds(
    records: SweepRecords,
    points: Iterable[PointSummary],
    name: str,
    load: Callable[[bytes], Content],
) -> Iterator[tuple[Point, tuple[TrialResult, Content]]]:
    """Yield for each point the first measured trial that has a file, and what it holds."""
    for point in points:
        for trial in point.trials:
            if trial.measurements and trial.may_have(name):
                content = read_file(records.trial(trial.trial_id).folder, name, load)
                if content is not None:
                    yield point.point, (trial, content)
                    break
