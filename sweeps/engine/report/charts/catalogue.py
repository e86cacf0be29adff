"""Which charts the page of a sweep gets, in their order."""

from sweeps.engine.report.charts.chart import Chart
from sweeps.engine.report.charts.points import accuracy_chart, search_charts
from sweeps.engine.report.charts.trials import corruptions_chart, curves_chart, parallel_chart
from sweeps.engine.report.summary.aggregate import SweepSummary
from sweeps.engine.report.summary.importance import Importances


def charts(summary: SweepSummary, importances: Importances) -> list[Chart]:
    """Return the charts of a sweep, the accuracy first."""
    accuracy = None if summary.search == "joint" else accuracy_chart(summary)
    found = [
        accuracy,
        *search_charts(summary, importances),
        parallel_chart(summary),
        corruptions_chart(summary),
        curves_chart(summary),
    ]
    return [chart for chart in found if chart is not None]
