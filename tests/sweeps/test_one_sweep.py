"""One whole sweep as the README's command runs it: Ray, MLflow, a Ctrl-C, and the rest of it."""

import signal

import pytest

from sweeps.engine.records.check import check
from tests.sweeps.faults import PATIENCE, Sweep, wait_for

pytestmark = pytest.mark.end_to_end


def test_a_sweep_that_is_interrupted_resumes_and_ends_with_a_figure(tmp_path):
    arguments = "--sigmas 0.5 --seeds 2 --num-trials 0 --max-epochs 8"
    sweep = Sweep(tmp_path, arguments)
    process = sweep.start()
    wait_for(sweep.checkpoints, process, what="a checkpoint")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130 and "Traceback" not in out + err, out + err
    assert "sigma_line_search.py" in out
    _, parents, trials = sweep.mlflow_runs()
    assert {run.info.status for run in (*parents, *trials)} == {"KILLED"}
    before = sweep.checkpoints()
    assert max(before.values()) > 0 and not sweep.result_stamps()

    code, printed = sweep.run()
    assert code == 0 and "Traceback" not in printed and "WARNING" not in printed, printed
    results = sweep.records.results()
    assert [result.status for result in results] == ["max_epochs"] * 2
    for result in results:
        assert [entry["epoch"] for entry in result.history] == [float(n + 1) for n in range(8)]
        assert sweep.attempts()[result.trial_id][-1].from_epoch >= before.get(result.trial_id, 0)
    assert check(sweep.records).is_whole and sweep.table().num_rows == 2 * 2 * 16
    for name in ("mnist_c_vs_sigma.png", "report.html", "table.md"):
        assert (sweep.folder / "report" / name).stat().st_size > 200
    _, parents, trials = sweep.mlflow_runs()
    assert (len(parents), len(trials)) == (1, 2)
    assert {run.info.status for run in (*parents, *trials)} == {"FINISHED"}
