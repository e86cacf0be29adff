"""Every case goes through the real ``main`` of a script, as typed on its command line."""

import importlib
import shlex
import sys
import time
from pathlib import Path

import pytest

from sweeps.engine.planning import plan
from sweeps.engine.runs import checkpoint_evaluation, sweep
from sweeps.engine.trials import measures
from tests.sweeps.bad_input.cases import COMMAND_MODULES, EVAL, REPORT, SWEEPS, TRACKING, file

SECONDS = 5  # of this process, so that a busy machine changes nothing


@pytest.fixture(scope="package", autouse=True)
def loaded():
    """Everything is imported and the embedded images are checked: the start is not measured."""
    for script in (*SWEEPS, EVAL, REPORT, TRACKING):
        importlib.import_module(f"sweeps.{script}")
    plan.data_digest("mnist", None)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory with a storage folder in which something lies; nothing may start."""

    def started(*arguments, **keywords):
        raise AssertionError("something was started")

    monkeypatch.setattr(sweep, "Cluster", started)
    monkeypatch.setattr(sweep, "Tracker", started)
    monkeypatch.setattr(checkpoint_evaluation, "Tracker", started)
    monkeypatch.setattr(measures, "measure", started)
    monkeypatch.setattr("sweeps.engine.tracking.mlflow.outbox.Store", started)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results/earlier").mkdir(parents=True)
    (tmp_path / "results/earlier/notes.txt").write_text("kept")
    return tmp_path


def content(root: Path) -> dict[str, object]:
    """Return everything below a folder; of large files, which no refusal reads, the time."""
    found = {}
    for path in sorted(root.rglob("*")):
        size = path.lstat().st_size
        small = path.is_file() and size < 1_000_000
        found[str(path)] = path.read_bytes() if small else (size, path.lstat().st_mtime_ns)
    return found


@pytest.fixture
def run_main(monkeypatch):
    """Return a function that runs a script's ``main`` and returns its exit code and seconds."""

    def run(script: str, words: list[str]) -> tuple[object, float]:
        module = importlib.import_module(f"sweeps.{script}")
        monkeypatch.setattr(sys, "argv", [f"sweeps/{script}.py", *words])
        started = time.process_time()
        try:
            code = module.main(words) if script in COMMAND_MODULES else module.main()
        except SystemExit as refused:
            code = refused.code
        return code, time.process_time() - started

    return run


@pytest.fixture
def is_refused(here, run_main, capsys):
    """Return a function that runs a case: refused at once, with its key, and nothing is touched."""

    def check(bad):
        words = shlex.split(bad.arguments)
        if bad.config is not None:
            file("config.yaml", bad.config)(here)
            words += ["--config", "config.yaml"]
        if bad.prepare is not None:
            bad.prepare(here)
        before = content(here)

        code, seconds = run_main(bad.script, words)

        message = capsys.readouterr().err
        assert code == 2, message
        for part in bad.says:
            assert part in message
        assert "Traceback" not in message
        assert seconds < SECONDS
        assert content(here) == before
        assert "ray" not in sys.modules or not sys.modules["ray"].is_initialized()
        if bad.script in COMMAND_MODULES:
            lines = [line for line in message.splitlines() if not line.startswith("usage:")]
            assert len(lines) <= 1
        else:
            problem = "problem" if bad.problems == 1 else "problems"
            assert message.startswith(f"{bad.problems} {problem}, nothing was started:\n")
            assert message.count("\n") == bad.problems + 2

    return check
