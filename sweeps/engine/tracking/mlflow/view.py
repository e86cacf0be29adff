"""The comparison of a sweep's runs that its link opens in the MLflow UI.

It is a saved view, a tag of the experiment whose name ends in the sweep's id: which runs, columns
and charts. The names in it are those of MLflow's own UI (3.17), which keeps what it does not know
at its default. The address opens it by that id, and for model training instead of GenAI. First
comes the table; the button beside it shows the charts.
"""

import base64
import json
import uuid
import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from gon_core.benchmarks import Benchmark
from gon_core.config import DataConfig
from sweeps.engine.records import VALIDATION_METRIC, SweepDescription
from sweeps.engine.tracking.mlflow.notes import REPORT
from sweeps.engine.tracking.mlflow.points import CLEAN_METRIC, OBJECTIVE, corrupted_mean
from sweeps.engine.tracking.mlflow.uris import LOCAL_UI

TAG = "mlflow.sharedViewState."
MODE = {"workflowType": "machine_learning"}  # every page opens for GenAI without it
COMPARISON, MODEL_METRICS = (
    "comparison",
    "Model metrics",
)  # sections of charts
LETTER, MARGIN, NARROWEST = 8, 36, 90  # pixels of columns
LONGEST_STATUS, LONGEST_MEAN = 10, 17  # letters; the UI shows every digit
CURVES = (VALIDATION_METRIC, "train_loss")
LINE = {  # what a chart of lines must have, at MLflow's defaults
    "xAxisKey": "step", "xAxisScaleType": "linear", "scaleType": "linear", "range": {},
    "yAxisKey": "metric", "yAxisExpressions": [], "lineSmoothness": 0, "ignoreOutliers": False,
    "useGlobalXaxisKey": True, "useGlobalLineSmoothing": True, "selectedXAxisMetricKey": "",
}  # fmt: skip


def link(uri: str, experiment: str, sweep_id: str) -> str:
    """Return the address of the comparison, without any password.

    Args:
        uri: of the store; the UI of one that is no server is where ``ui_command`` starts it.
        experiment: MLflow's id.
        sweep_id: as in ``saved_view``.
    """
    base = LOCAL_UI
    if uri.startswith("http"):  # the browser asks for user and password by itself
        parts = urlsplit(uri)
        host = parts.netloc.rpartition("@")[2]
        base = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
    return f"{base}/{_comparison(experiment, sweep_id)}"


def pages_of(experiment: str, sweep_id: str, run_id: str) -> dict[str, str]:
    """Return the pages of a sweep, by name; addresses from that of the UI on.

    Args:
        experiment: MLflow's id.
        sweep_id: as in ``saved_view``.
        run_id: of the sweep's run, which has the report.
    """
    report = f"#/experiments/{experiment}/runs/{run_id}/artifacts/{REPORT}/report.html"
    return {
        "report": f"{report}?{urlencode(MODE)}",
        "comparison of its trials": _comparison(experiment, sweep_id),
    }


def _comparison(experiment: str, sweep_id: str) -> str:
    query = {"viewStateShareKey": sweep_id} | MODE
    return f"#/experiments/{experiment}/runs?{urlencode(query)}"


def benchmark_of(description: SweepDescription) -> Benchmark:
    """Return what the models of a sweep are trained on, or given ones evaluated on."""
    first, *_ = description.config.get("trials", [description.config])
    return DataConfig.model_validate(first.get("data", {})).benchmark


def saved_view(description: SweepDescription, sweep_id: str) -> tuple[str, str]:
    """Return the name and the text of the tag that keeps the comparison of a sweep.

    It depends on what is searched alone: the same sweep, the same text.
    """
    state = json.dumps(_state(description, sweep_id), separators=(",", ":"))
    packed = base64.b64encode(zlib.compress(state.encode(), 9)).decode()
    created = round(1000 * datetime.fromisoformat(description.created).timestamp())
    view = {
        "name": f"Sweep {description.name}", "createdAt": created, "updatedAt": created,
        "state": f"deflate;{packed}",
    }  # fmt: skip
    return f"{TAG}{sweep_id}", json.dumps(view)


def _state(description: SweepDescription, sweep_id: str) -> dict[str, Any]:
    searched = [parameter.name for parameter in description.parameters]
    corrupted = corrupted_mean(benchmark_of(description).suites["test"])
    accuracies = (OBJECTIVE, corrupted, CLEAN_METRIC)
    columns = [
        *(_column("params", name) for name in (*searched, "seed")),
        _column("tags", "status"),
        *(_column("metrics", name) for name in accuracies),
    ]
    has_objective = description.scale != "checkpoint"
    return {
        "searchFilter": f"tags.sweep_id = '{sweep_id}' and tags.kind = 'trial'",
        # Sorted by time, MLflow folds trials into the sweep's run.
        "orderByKey": _column("metrics", OBJECTIVE if has_objective else corrupted),
        "orderByAsc": False,
        "selectedColumns": columns,
        "columnOrder": columns,
        "columnWidths": {column: _width(column) for column in columns},
        "runsHiddenMode": "SHOW_ALL",
        "isAccordionReordered": True,  # keeps the order of the sections
        "compareRunSections": [_section(COMPARISON), _section(MODEL_METRICS)],
        "compareRunCharts": _charts(searched, corrupted, sweep_id),
    }


def _column(kind: str, name: str) -> str:
    return f"{kind}.`{name}`"


def _width(column: str) -> int:
    kind, name, _ = column.split("`")
    letters = len(name) if kind != "tags." else LONGEST_STATUS
    if name.endswith("/mean"):
        letters = max(letters, LONGEST_MEAN)
    return max(NARROWEST, MARGIN + LETTER * letters)


def _section(name: str) -> dict[str, Any]:
    return {
        "uuid": _id(name), "name": name, "display": name == COMPARISON, "isReordered": True,
        "deleted": False, "isGenerated": False,
    }  # fmt: skip


def _charts(searched: Sequence[str], corrupted: str, sweep_id: str) -> list[dict[str, Any]]:
    mean = {"key": corrupted, "type": "METRIC", "dataAccessKey": corrupted}
    charts: list[dict[str, Any]] = [
        {"type": "SCATTER", "xaxis": {"key": name, "type": "PARAM"}, "yaxis": mean}
        for name in searched
    ]
    charts.append({
        "type": "PARALLEL", "selectedParams": [*searched],
        "selectedMetrics": [CLEAN_METRIC, corrupted],  # the last is also the colour
        "showAllRuns": True,
    })  # fmt: skip
    charts += [
        {"type": "LINE", "metricKey": name, "selectedMetricKeys": [name], "displayName": name}
        | LINE
        for name in CURVES
    ]  # fmt: skip
    return [
        {
            "uuid": _id(f"{sweep_id} {number}"), "metricSectionId": _id(COMPARISON),
            "isGenerated": False, "deleted": False,
        }
        | chart
        for number, chart in enumerate(charts)
    ]  # fmt: skip


def _id(name: str) -> str:
    return uuid.uuid5(uuid.NAMESPACE_OID, name).hex
