"""A sweep that its budget ends: the exit code, the report, MLflow, and the rest of it.

Its clock is ahead by an hour for every trial that has ended, so that the budget and not the speed
of this machine decides how many trials run.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from sweeps.engine.backend import budget
from sweeps.engine.records.__main__ import main as records_command
from tests.sweeps.faults import PATIENCE, SWEEPS, WHOLE, Sweep
from tests.sweeps.here import repeat_here

pytestmark = pytest.mark.slow
AN_HOUR_A_TRIAL = """
import sweeps.sigma_line_search as script
from sweeps.engine.backend import budget
from sweeps.engine.system.leaving import leave
from tests.sweeps.test_budget_sweep import METER

budget.Meter = METER
leave(script.main)
"""


def clock():
    """Return the seconds, and an hour for each trial that has ended."""
    return time.monotonic() + 3600 * len(list(Path("results/small/trials").glob("*/result.json")))


METER = partial(budget.Meter, clock=clock)


def run(sweep, *arguments):
    """Run a sweep whose trials take an hour; return its exit code and what it printed."""
    patched = {"sweeps.engine.backend.budget.Meter": METER}
    return repeat_here(sweep, *arguments, patched=patched, draws=False)


def one_line(text):
    return " ".join(text.split())


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A sweep of six trials with a budget of two and a half hours, one trial at a time."""
    sweep = Sweep(tmp_path_factory.mktemp("stopped"), WHOLE)
    code, text = run(sweep, "--budget-hours", "2.5", "--max-concurrent", "1")
    return sweep, code, text


def test_it_ends_with_an_exit_code_of_its_own_after_the_trials_that_fit(stopped):
    sweep, code, text = stopped
    assert code == 3, text
    assert len(sweep.records.results()) == len(sweep.records.trials()) == 2
    assert {result.status for result in sweep.records.results()} == {"max_epochs"}
    assert "Traceback" not in text


def test_window_page_and_table_say_what_is_missing_for_the_budget(stopped):
    sweep, _, text = stopped
    said = (
        "Stopped by its budget of 2.5 hours: 2 of 6 trials ended; 1 value not yet proposed by the "
        "search."
    )
    report = sweep.folder / "report"
    for shown in (text, *((report / name).read_text() for name in ("report.html", "table.md"))):
        assert said in one_line(shown)
        assert "No best value: no value has been measured with all its seeds" in one_line(shown)
    assert "2 of 2.5 hours used" in text
    assert "Used in all, by every run of this sweep: 2" in text
    assert "Interrupted" not in text


def test_the_resume_command_is_printed_recorded_and_enough(stopped):
    sweep, _, text = stopped
    (line,) = [line for line in text.splitlines() if "--budget-hours" in line]
    assert "--max-concurrent 1" in line and "--budget-hours 6.5" in line  # 2 used, 4 x 1, a tenth
    assert sweep.records.usage.stopped().resume_command == line.strip()
    page = (sweep.folder / "report/report.html").read_text()
    (again,) = re.findall("Resume with a larger budget:</p><pre>(.*?)</pre>", page)
    assert "--budget-hours 6.5" in again and again.startswith("uv run python")


def test_mlflow_and_the_records_know_of_it(stopped, capsys):
    sweep, _, _ = stopped
    _, (parent,), trials = sweep.mlflow_runs()
    assert parent.data.tags["stopped_by"] == "budget of 2.5 hours"
    assert parent.info.status == "KILLED" and len(trials) == 2
    assert records_command(["check", str(sweep.folder)]) == 0
    assert "Stopped by its budget of 2.5 hours." in capsys.readouterr().out


def test_resumed_with_a_larger_budget_it_ends_as_one_that_had_none(stopped, finished):
    sweep, _, _ = stopped
    before = sweep.result_stamps()
    asked = json.loads((sweep.folder / "sweep.json").read_text())
    sweep.command += ["--budget-hours", "0.5"]  # which is used up: nothing is started
    code, text = repeat_here(sweep, draws=False)
    assert code == 3 and sweep.result_stamps() == before and "vanilla start" not in text
    assert "Stopped by its budget of 0.5 hours: 2 of 6 trials ended; 1 value" in one_line(text)
    sweep.command[-1] = "100"
    code, text = repeat_here(sweep, draws=False)
    assert code == 0, text
    assert "Stopped by" not in text and "of 100 hours used" in text
    assert before.items() <= sweep.result_stamps().items()  # nothing was trained again
    assert json.loads((sweep.folder / "sweep.json").read_text()) == asked
    page = (sweep.folder / "report/report.html").read_text()
    assert "Stopped by" not in page and "measured so far" not in page
    _, (parent,), trials = sweep.mlflow_runs()
    assert "stopped_by" not in parent.data.tags
    assert {r.info.status for r in (parent, *trials)} == {"FINISHED"}

    assert finished.table().equals(sweep.table())


def test_a_trial_that_failed_beside_it_decides_the_exit_code(stopped, tmp_path):
    """What failed is listed, and what the budget ended is still said."""
    before, _, _ = stopped
    shutil.copytree(before.cwd, tmp_path, dirs_exist_ok=True)
    sweep = Sweep(tmp_path, WHOLE)
    reason = "[/build/gloo/buffer.cc:78] Timed out"  # what torch says, which is no markup
    ended = sweep.records.results()[0]
    broken = ended.model_copy(update={"status": "failed", "reason": reason, "notes": ["[/b]"]})
    sweep.records.trial(broken.trial_id).write_result(broken)
    sweep.command += ["--budget-hours", "0.5"]  # which is used up: nothing is started
    code, text = repeat_here(sweep, draws=False)
    assert code == 1, text
    assert f"trial {broken.trial_id} failed: {reason}" in text
    assert f"trial {broken.trial_id}: [/b]" in text
    assert "Stopped by its budget of 0.5 hours. Resume with a larger one:" in text
    assert "Interrupted" not in text


def test_beside_each_other_trials_end_and_nothing_waits_for_ever(tmp_path):
    """Two at a time, and the budget ends while the search waits for its grid to refine it."""
    sweep = Sweep(tmp_path, WHOLE)
    words = [*sweep.command[2:], "--budget-hours", "4.5", "--max-concurrent", "2"]
    ended = subprocess.run(
        [sys.executable, "-c", AN_HOUR_A_TRIAL, *words], cwd=sweep.cwd, capture_output=True,
        text=True, timeout=PATIENCE, env=os.environ | {"PYTHONPATH": str(SWEEPS.parent)},
    )  # fmt: skip
    code, text = ended.returncode, ended.stdout + ended.stderr
    assert code == 3, text
    trials = sweep.records.results()
    assert 2 <= len(trials) < 6 and len(trials) == len(sweep.records.trials())
    assert f"Stopped by its budget of 4.5 hours: {len(trials)} of 6 trials" in one_line(text)
    assert not (sweep.folder / "drivers").exists() or not list((sweep.folder / "drivers").iterdir())
