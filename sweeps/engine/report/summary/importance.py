"""How much each parameter of a joint search explains of an objective."""

from search_spaces.parameter import contains
from sweeps.engine.report.summary.aggregate import SweepSummary
from sweeps.engine.search.study import importances

MOST_EXPLAINED = 1_000  # points: a forest of all would take minutes, and say the same

Importances = dict[str, dict[str, float]]
"""By objective and parameter, shares that add up to 1; empty of too few points."""


def measure_importances(summary: SweepSummary) -> Importances:
    """Return the importances for each objective; points of earlier sweeps count as well.

    Of very many points ``MOST_EXPLAINED`` are looked at, evenly spread in the summary's order.
    Only a joint search varies everything at once, so that others have none.
    """
    if summary.search != "joint":
        return {}
    known = summary.known | {p.point: p.means for p in summary.points if p.is_complete}
    usable = [point for point in known if all(map(contains, summary.parameters, point))]
    count = min(len(usable), MOST_EXPLAINED)
    points = [usable[index * len(usable) // count] for index in range(count)]
    explained = {point: known[point] for point in points}
    return {
        name: shares
        for index, name in enumerate(summary.objectives)
        if (shares := importances(summary.parameters, explained, index))
    }
