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
    own = {point.point: point.means for point in summary.points if point.is_complete}
    usable = {
        point: objectives
        for point, objectives in (summary.known | own).items()
        if all(map(contains, summary.parameters, point))
    }
    if len(usable) > MOST_EXPLAINED:
        step = len(usable) / MOST_EXPLAINED
        points = list(usable)
        usable = {
            (point := points[int(index * step)]): usable[point] for index in range(MOST_EXPLAINED)
        }
    found = {}
    for index, name in enumerate(summary.objectives):
        shares = importances(summary.parameters, usable, index)
        found[name] = {name: float(share) for name, share in shares.items()}
    return {name: shares for name, shares in found.items() if shares}
