"""One driver a sweep: a second one is refused, naming the first; a dead one's claim is removed.

A driver lays a claim, a file ``drivers/<id>.json`` in the sweep's folder, first without holding the
sweep. It holds it once it sees no other live claim; of two that start at once the later one
withdraws. A filesystem need only show a file whole and at once, so that this works on object
stores too, which have no locks.
"""

import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Self

from pydantic import TypeAdapter

from sweeps.engine.records.storage import Folder
from sweeps.engine.system.errors import StorageError
from sweeps.engine.system.provenance import now

DRIVERS = "drivers"
BEAT_SECONDS = 15.0
# From another machine only the beat of a claim is seen; clocks are taken to agree within a minute.
SILENT_SECONDS = 120.0
PATIENCE_SECONDS = 3.0  # for a driver that starts at the same moment


class SweepIsRunningError(RuntimeError):
    """Another driver runs the sweep; the text says which."""


@dataclass(frozen=True)
class Claim:
    """A driver that runs a sweep, or waits to.

    Attributes:
        host: name of the machine.
        machine: distinguishes machines of one name; processes are only visible within it.
        pid: of the driver.
        started: when the process began, in the kernel's ticks: a pid is used again.
        since: time of day, ISO 8601, UTC.
        asked: the same in seconds since 1970, to order claims by.
        beat: the last sign of life, in seconds since 1970.
        holds: whether it runs the sweep.
    """

    host: str
    machine: str
    pid: int
    started: str
    since: str
    asked: float
    beat: float
    holds: bool = False

    def is_live(self) -> bool:
        """Whether its driver still runs, as far as is known here."""
        if self.machine == this_machine():
            return process_start(self.pid) == self.started
        return abs(time.time() - self.beat) < SILENT_SECONDS  # no clock is so far ahead either

    def describe(self) -> str:
        """Return who it is, in words."""
        text = f"process {self.pid} on {self.host} since {self.since}"
        if self.machine != this_machine():
            text += f", last heard of {max(0, round(time.time() - self.beat))} s ago"
        return text


CLAIM = TypeAdapter(Claim)


@cache
def this_machine() -> str:
    """Return a text that is unique to this boot of this machine, or container."""
    boot, space = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    words = [socket.gethostname()]
    if boot.exists() and space.is_symlink():
        words += [boot.read_text().strip(), os.readlink(space)]
    return " ".join(words)


def process_start(pid: int) -> str | None:
    """Return when a process of this machine began, in ticks since the boot; None if it has ended.

    A zombie has ended: it only waits for its parent to take notice.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] == "Z" else fields[19]
    except OSError:
        if Path("/proc/self/stat").exists():
            return None
    try:  # a system without these files: the pid alone must do
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return ""


def read_claims(sweep: Folder) -> dict[str, Claim]:
    """Return every claim on a sweep by its file's name; what is no claim is left out."""
    folder, found = sweep / DRIVERS, {}
    for name in folder.names():
        try:
            found[name] = CLAIM.validate_json(folder.read(name))
        except (ValueError, FileNotFoundError):
            continue  # withdrawn at this moment, or not ours
    return found


def holder(sweep: Folder) -> Claim | None:
    """Return the driver that runs a sweep; None if there is none."""
    claims = read_claims(sweep).values()
    return next((claim for claim in claims if claim.holds and claim.is_live()), None)


class SweepLock:
    """A sweep held by this process, as a context.

    While it is held a thread writes a sign of life. Should the claim be gone, because this machine
    was asleep and another driver took the sweep over, this process is interrupted as by Ctrl-C.

    Args:
        sweep: folder of the sweep.
        beat_seconds: between two signs of life.
        wait_seconds: for another driver to end, or to count as dead, before an error is raised.
        say: called once, with a line that says which driver is waited for.

    Raises:
        SweepIsRunningError: another driver holds the sweep.
    """

    def __init__(
        self,
        sweep: Folder,
        beat_seconds: float = BEAT_SECONDS,
        wait_seconds: float = 0.0,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._sweep, self._folder = sweep, sweep / DRIVERS
        self._name = f"{uuid.uuid4().hex[:12]}.json"
        self._beat_seconds, self._wait_seconds, self._say = beat_seconds, wait_seconds, say
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="sweep lock", daemon=True)
        self.was_taken_over = False

    def __enter__(self) -> Self:
        stamp, pid = time.time(), os.getpid()
        self._claim = Claim(
            host=socket.gethostname(), machine=this_machine(), pid=pid,
            started=process_start(pid) or "", since=now(), asked=stamp, beat=stamp,
        )  # fmt: skip
        try:
            self._write()
            self._wait()
            self._claim = replace(self._claim, holds=True)
            self._write()
        except BaseException:
            self._folder.remove(self._name)
            raise
        self._thread.start()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._ended.set()
        self._thread.join()
        self._folder.remove(self._name)

    def _write(self) -> None:
        self._claim = replace(self._claim, beat=time.time())
        self._folder.write_json(self._name, asdict(self._claim))

    def _wait(self) -> None:
        """Return when no other claim is live."""
        began, said = time.monotonic(), False
        while others := self._live_others():
            waited = time.monotonic() - began
            # A later one withdraws, unless it has failed to.
            before = [
                claim
                for name, claim in others.items()
                if claim.holds or self._is_after(name, claim) or waited > PATIENCE_SECONDS
            ]
            if before and waited >= self._wait_seconds:
                raise SweepIsRunningError(before[0].describe())
            if before and not said:
                self._say(f"Waiting for {before[0].describe()}, which runs this sweep.")
                said = True
            if time.time() - self._claim.beat >= self._beat_seconds:
                self._write()
            time.sleep(1.0 if waited > PATIENCE_SECONDS else 0.1)

    def _live_others(self) -> dict[str, Claim]:
        """Return the claims of other drivers that live; remove those of dead ones."""
        found = read_claims(self._sweep)
        found.pop(self._name, None)
        for name in [name for name, claim in found.items() if not claim.is_live()]:
            self._folder.remove(name)
            del found[name]
        return found

    def _is_after(self, name: str, claim: Claim) -> bool:
        """Whether this driver's claim was laid after another one."""
        return (self._claim.asked, self._name) > (claim.asked, name)

    def _beat(self) -> None:
        while not self._ended.wait(self._beat_seconds):
            try:
                if self._has_successor():
                    self.was_taken_over = True
                    os.kill(os.getpid(), signal.SIGINT)
                    return
                self._write()
            except StorageError:  # the next sign of life may get through
                continue

    def _has_successor(self) -> bool:
        """Whether the claim was removed, or another driver has held the sweep since.

        The latter too: a sign of life brings back a claim that is removed while it is written.
        """
        claims = read_claims(self._sweep)
        mine = claims.pop(self._name, None)
        return mine is None or any(
            claim.holds and not self._is_after(name, claim) for name, claim in claims.items()
        )
