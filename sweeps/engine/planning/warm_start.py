"""What earlier sweeps, and this one, found, for a search to begin with."""

import statistics
from collections.abc import Mapping, Sequence

from search_spaces.parameter import Point, contains
from sweeps.engine.planning.plan import Plan
from sweeps.engine.records import SweepRecords, TrialRecords, TrialResult
from sweeps.engine.records.object_store import SHORT_PATIENCE
from sweeps.engine.records.storage import Folder
from sweeps.engine.search.ledger import Objectives
from sweeps.engine.search.search import Search
from sweeps.engine.system.errors import StorageError
from sweeps.engine.system.provenance import redact


def problems(folders: Sequence[str] | None) -> dict[str, str]:
    """Return which of the folders hold no sweep, or are given twice, by option name."""
    given, faults = folders or (), ["needs at least one folder"] if folders == () else []
    for index, location in enumerate(given):
        if location in given[:index]:
            faults.append(f"{redact(location)}: given twice")
        elif fault := _fault(location):
            faults.append(f"{redact(location)}: {fault}")
    return {"warm_start": "; ".join(faults)} if faults else {}


def _fault(location: str) -> str:
    try:
        found = SweepRecords(Folder(location, patience=SHORT_PATIENCE))
        if not location or not found.folder.exists("sweep.json"):
            return "no sweep there (sweep.json is missing)"
        found.read_sweep()
    except StorageError as error:
        return f"cannot be read: {error.reason}"
    except (OSError, ValueError, RuntimeError) as error:  # the last: nested beyond all depth
        return f"sweep.json cannot be read ({error})"
    return ""


def read(plan: Plan) -> tuple[dict[Point, Objectives], str]:
    """Return what the sweeps named in ``plan`` found at points of the plan's space, and in words.

    A trial counts if it could be one of the plan: the same data, the same training from the
    same start, and a method that is a point of the space. The objectives are means over seeds.
    """
    by_point: dict[Point, list[Objectives]] = {}
    passed_over = 0
    for folder in plan.spec.warm_start:
        for result in SweepRecords(Folder(folder)).results():
            objectives = plan.objectives(result)
            if objectives is None:
                continue
            point = _comparable_point(plan, result)
            if point is None:
                passed_over += 1
            else:
                by_point.setdefault(point, []).append(objectives)
    means = {
        point: tuple(statistics.fmean(values) for values in zip(*objectives, strict=True))
        for point, objectives in sorted(by_point.items(), key=lambda item: str(item[0]))
    }
    return means, (
        f"Learning from {sum(map(len, by_point.values()))} trials of earlier sweeps, at "
        f"{len(means)} points; {passed_over} others cannot be compared (other data, training or "
        "method)."
    )


def _comparable_point(plan: Plan, result: TrialResult) -> Point | None:
    config, spec = result.config, plan.spec
    try:
        point = spec.point(config)
    except AttributeError:  # its method has no such field
        return None
    inside = all(map(contains, spec.space, point))
    if not inside or plan.trial(point, config.seed) != config:
        return None
    return point


def rebuild_search(
    plan: Plan, records: SweepRecords, known: Mapping[Point, Objectives]
) -> tuple[Search, int]:
    """Return the search as it stands after what is recorded, and how many trials need not run.

    Each record is read once, and none is kept; what failed is to run again. ``known`` is what
    earlier sweeps found.
    """
    search, finished = plan.search(known), 0
    configs = records.trials()
    for trial_id, result in records.ask_each(TrialRecords.result, list(configs)):
        config = configs[trial_id]
        point = plan.spec.point(config)
        search.ledger.propose(point)
        if result is not None and result.is_final:
            objectives = plan.objectives(result)
            search.ledger.record(point, config.seed, result.status, objectives)
            finished += 1
    return search, finished
