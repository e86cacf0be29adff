"""A measure that is registered, and nothing else, is in every view of a sweep."""

import io

import pytest
from pyarrow import parquet

from gon_core.config import GNT, DataConfig, EvaluationConfig
from gon_core.data.splits import split
from gon_core.evaluation.measure import Measure, Measured, Passes
from gon_core.measurement import CLEAN, Finding, Measurement
from gon_core.measures import MEASURES, Entry
from gon_core.models import MadryCNN
from sweeps.engine.cli.command_options import CommandOptions
from sweeps.engine.planning.deviations import evaluation_deviations
from sweeps.engine.planning.trial_cost import Speed, evaluation_seconds
from sweeps.engine.records import result as records_of_results
from sweeps.engine.report import write_report
from sweeps.engine.tracking.mlflow.points import final_metrics
from sweeps.engine.trials.measures import measure, prepare_data
from tests.sweeps.engine.report.made_up import measured_result, write_sweep

NAME = "sureness"


def run(subject, steps):
    """Return the mean probability of the first class, in one step."""

    def find():
        images = subject.images.batch(slice(None)) / 255
        value = float(subject.model(images).softmax(1)[:, 0].mean().detach())
        row = Measurement(
            measure=NAME, split="test", setting=CLEAN, value=value, count=len(subject.images),
            extra={"low": 0.0, "high": 1.0, "classes": 10},
        )  # fmt: skip
        return Finding(measurements=[row])

    return Measured(steps.take("sureness", find, "how sure it is").measurements, {NAME: b"file"})


MADE_UP = Measure(
    words="sureness", unit="probability", setting="kind", run=run, decimals=3,
    passes=lambda config, images, benchmark: Passes(forward=images),
    deviations=lambda config: ["sureness of one class"],
)  # fmt: skip


DATA = DataConfig(validation_images=9, test_images=10)


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setitem(MEASURES, NAME, Entry(lambda: MADE_UP))


@pytest.fixture
def measured(registered, images):
    config = EvaluationConfig(measures=(NAME,), images=4)
    splits = split(*images, DataConfig(training_images=9, validation_images=9, test_images=9))
    return measure(MadryCNN(), prepare_data(splits, config), config)


def test_it_is_an_option_with_its_cost_and_deviations(registered):
    assert CommandOptions(evaluate=(NAME,)).evaluate == (NAME,)
    config = EvaluationConfig(measures=(NAME,), images=4)
    assert evaluation_seconds(Speed(0.0, 1.0), "cpu", DATA, config) == (16 * 19 + 4, 0.0)
    deviations = evaluation_deviations(config, DataConfig())
    assert deviations == ["sureness on 4 of the test images", "sureness of one class"]


@pytest.mark.system
def test_it_is_in_the_record_parquet_mlflow_and_a_table(measured, tmp_path):
    row = measured.measurements[-1]
    assert row.measure == NAME and row.count == 4
    assert measured.files[f"{NAME}.safetensors"] == b"file"
    trial = measured_result(GNT(sigma=0.5), 0, 0.5)
    trial = trial.model_copy(update={"measurements": [*trial.measurements, row]})
    again = records_of_results.load(records_of_results.dump(trial))
    assert again.of(NAME) == [row]
    records = write_sweep(tmp_path, [trial], seeds=1)
    write_report(records)
    table = parquet.read_table(io.BytesIO(records.folder.read("results.parquet"))).to_pylist()
    (found,) = [line for line in table if line["measure"] == NAME]
    assert (found["kind"], found["value"], found["high"]) == (CLEAN, row.value, 1.0)
    assert found["classes"] == 10 and found["corruption"] is None
    assert final_metrics(again)[f"{NAME}/{CLEAN}"] == row.value
    document = records.folder.read("report/table.md").decode()
    assert "sureness clean" in document and f"{row.value:.3f} (0.000 to 1.000)" in document
    assert "sureness: probability." in document
