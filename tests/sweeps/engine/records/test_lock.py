"""One driver a sweep: refused while another lives, taken over from a dead one."""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace

import pytest

from sweeps.engine.records import lock
from sweeps.engine.records.lock import Claim, SweepIsRunningError, SweepLock, read_claims
from sweeps.engine.records.storage import Folder

HOLD = """
import sys, time
from sweeps.engine.records.lock import SweepLock
from sweeps.engine.records.storage import Folder
with SweepLock(Folder(sys.argv[1])):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""
RACE = """
import sys, time
from sweeps.engine.records.lock import SweepIsRunningError, SweepLock
from sweeps.engine.records.storage import Folder
while time.time() < float(sys.argv[2]):
    time.sleep(0.0005)
try:
    with SweepLock(Folder(sys.argv[1])):
        print("held", time.time(), flush=True)
        time.sleep(1.5)
        print("left", time.time(), flush=True)
except SweepIsRunningError as error:
    print("refused", error)
"""


@pytest.fixture
def sweep(tmp_path):
    return Folder(str(tmp_path / "sweep"))


def start(code, *arguments):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def claim(**changes):
    stamp = time.time()
    mine = Claim(
        "elsewhere", "another boot", 1, "1", "2026-01-01T00:00:00+00:00", stamp, stamp, True
    )
    return replace(mine, **changes)


@pytest.mark.system
def test_a_second_driver_is_refused_by_name_and_a_killed_ones_claim_is_taken_over(sweep):
    holder = start(HOLD, sweep.uri, 60)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    (held,) = read_claims(sweep).values()
    began = time.monotonic()
    with pytest.raises(SweepIsRunningError) as refused, SweepLock(sweep):
        pass
    assert time.monotonic() - began < 5
    for part in (f"process {holder.pid}", held.host, held.since):
        assert part in str(refused.value)
    assert len(read_claims(sweep)) == 1  # the refused one withdrew
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with SweepLock(sweep):
        (mine,) = read_claims(sweep).values()
        assert mine.pid == os.getpid() and mine.holds
    assert read_claims(sweep) == {}


@pytest.mark.system
def test_of_drivers_that_start_at_once_exactly_one_holds_the_sweep(sweep):
    moment = time.time() + 3
    racers = [start(RACE, sweep.uri, moment) for _ in range(4)]
    printed = [racer.communicate(timeout=60)[0].split() for racer in racers]
    held = [words for words in printed if words[0] == "held"]
    times = sorted((float(words[1]), float(words[3])) for words in held)
    # A slow starter may come when the first has left again; never while it holds.
    assert times and all(left <= began for (_, left), (began, _) in itertools.pairwise(times))
    assert read_claims(sweep) == {}


@pytest.mark.system  # it waits in real time
def test_a_waiting_driver_takes_the_sweep_over_once_the_other_counts_as_dead(sweep):
    silent = time.time() - lock.SILENT_SECONDS + 2  # for two more seconds it counts as alive
    folder, said = sweep / "drivers", []
    folder.write_json("a.json", asdict(claim(beat=silent, holds=True)))
    with pytest.raises(SweepIsRunningError), SweepLock(sweep, wait_seconds=0.5, say=said.append):
        pass
    assert len(said) == 1 and "Waiting for process" in said[0]
    assert list(read_claims(sweep)) == ["a.json"]
    began = time.monotonic()
    with SweepLock(sweep, wait_seconds=60, say=said.append):
        assert "a.json" not in read_claims(sweep)
    assert time.monotonic() - began < 30 and len(said) == 2


@pytest.mark.system  # it waits in real time
def test_a_waiting_driver_gives_signs_of_life(sweep):
    (sweep / "drivers").write_json("a.json", asdict(claim(holds=True)))
    beats = set()

    def look():
        for _ in range(15):
            beats.update(found.beat for found in read_claims(sweep).values() if not found.holds)
            time.sleep(0.1)

    looking = threading.Thread(target=look)
    looking.start()
    with pytest.raises(SweepIsRunningError), SweepLock(sweep, 0.2, wait_seconds=1.5):
        pass
    looking.join()
    assert len(beats) > 2


def test_a_claim_from_the_future_does_not_hold_for_ever(sweep):
    later = time.time() + 10 * lock.SILENT_SECONDS
    (sweep / "drivers").write_json("a.json", asdict(claim(beat=later, holds=True)))
    assert lock.holder(sweep) is None
    with SweepLock(sweep):
        holder = lock.holder(sweep)
        assert holder is not None and holder.pid == os.getpid()


def test_a_claim_of_another_machine_counts_as_long_as_it_is_heard_of(sweep):
    folder = sweep / "drivers"
    folder.write_json("a.json", asdict(claim()))
    with pytest.raises(SweepIsRunningError, match=r"elsewhere.* last heard of"), SweepLock(sweep):
        pass
    folder.write_json("a.json", asdict(claim(beat=time.time() - lock.SILENT_SECONDS - 1)))
    with SweepLock(sweep):
        assert len(read_claims(sweep)) == 1


def test_a_pid_that_is_used_again_is_another_process(sweep):
    here = claim(machine=lock.this_machine(), pid=os.getpid(), started="0")
    (sweep / "drivers").write_json("a.json", asdict(here))
    with SweepLock(sweep):
        pass
    assert lock.process_start(os.getpid()) not in ("0", None)


def test_what_is_no_claim_does_not_stop_a_driver(sweep):
    (sweep / "drivers").write("a.json", b"{")
    (sweep / "drivers").write("b.json", json.dumps({"pid": 1}).encode())
    with SweepLock(sweep):
        pass


@pytest.mark.parametrize("is_removed", [True, False])
def test_a_driver_whose_sweep_was_taken_over_stops(is_removed, sweep):
    with pytest.raises(KeyboardInterrupt), SweepLock(sweep, beat_seconds=0.1) as held:
        ((name, claim),) = read_claims(sweep).items()
        # Another machine took it for dead; a sign of life in between would bring it back.
        later = replace(claim, machine="another", asked=claim.asked + 1)
        (sweep / "drivers").write_json("another.json", asdict(later))
        if is_removed:
            (sweep / "drivers").remove(name)
        time.sleep(10)
    assert held.was_taken_over


@pytest.mark.system
def test_the_driver_that_took_a_sweep_over_keeps_it(sweep):
    with SweepLock(sweep, beat_seconds=0.05) as held:
        ((_name, claim),) = read_claims(sweep).items()
        earlier = replace(claim, machine="another", asked=claim.asked - 1)
        (sweep / "drivers").write_json("another.json", asdict(earlier))
        time.sleep(0.5)
    assert not held.was_taken_over


def test_a_sign_of_life_is_written_while_the_sweep_is_held(sweep):
    with SweepLock(sweep, beat_seconds=0.05):
        (first,) = read_claims(sweep).values()
        deadline = time.monotonic() + 10
        while next(iter(read_claims(sweep).values())).beat <= first.beat:
            assert time.monotonic() < deadline
            time.sleep(0.05)
