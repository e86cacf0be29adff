"""A search rebuilt from the records, of a new sweep or a resumed one."""

from collections.abc import Mapping

from search_spaces.parameter import Point
from sweeps.engine.planning.plan import Plan
from sweeps.engine.records import SweepRecords, TrialRecords
from sweeps.engine.search.ledger import Objectives
from sweeps.engine.search.search import Search


def rebuild_search(
    plan: Plan, records: SweepRecords, known: Mapping[Point, Objectives]
) -> tuple[Search, int]:
    """Return the search as it stands after what is recorded, and how many trials need not run.

    Each record is read once, and none is kept; what failed is to run again. ``known`` is what
    earlier sweeps found.
    """
    search, finished = plan.search(dict(known)), 0
    configs = records.trials()
    for trial_id, result in records.ask_each(TrialRecords.result, list(configs)):
        config = configs[trial_id]
        point = plan.spec.point(config.method)
        search.ledger.propose(point)
        if result is not None and result.is_final:
            objectives = plan.objectives(result)
            search.ledger.record(point, config.seed, result.status, objectives)
            finished += 1
    return search, finished
