"""The report of a sweep that still runs: written beside the trials, and not too often."""

import threading
import time

import pytest

from gon_core.config import GNT
from sweeps.engine.report import write_report
from sweeps.engine.runs.live_report import LiveReport
from tests.sweeps.engine.report.made_up import result, write_sweep

ENDED = result(GNT(sigma=0.5), 0, "max_epochs", 85.0)


@pytest.fixture
def records(tmp_path):
    return write_sweep(tmp_path / "sweep", [ENDED])


def wait_for(event):
    assert event.wait(30), "no report was written"


@pytest.mark.system
def test_it_shows_the_trials_that_have_ended(records):
    written = threading.Event()

    def write(found):
        write_report(found)
        written.set()

    with LiveReport(records, write, pause=0.01) as live:
        live.ended(ENDED)
        wait_for(written)
    assert b"1 trial ended" in records.folder.read("report/table.md")


@pytest.mark.system
def test_it_waits_for_news_and_for_its_turn(records):
    times, twice = [], threading.Event()

    def write(found):
        times.append(time.monotonic())
        if len(times) == 2:
            twice.set()

    with LiveReport(records, write, pause=0.2) as live:
        for _ in range(100):
            live.ended(ENDED)
        time.sleep(0.5)
        assert len(times) == 1, "nothing has ended since"
        live.ended(ENDED)
        wait_for(twice)
    assert times[1] - times[0] >= 0.2


def test_a_short_sweep_has_only_its_last_report(records):
    calls = []
    with LiveReport(records, calls.append) as live:
        live.ended(ENDED)
    assert not calls


@pytest.mark.parametrize("error", [OSError("full"), ValueError("damaged")])
def test_one_that_fails_is_tried_again_and_ends_nothing(records, error):
    calls, twice = [], threading.Event()

    def write(found):
        calls.append(found)
        if len(calls) == 2:
            twice.set()
        raise error

    with LiveReport(records, write, pause=0.01) as live:
        while not twice.wait(0.05):
            live.ended(ENDED)
    assert len(calls) >= 2
