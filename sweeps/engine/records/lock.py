"""One driver a sweep: a second one is refused, naming the first; a dead one's claim is taken over.

A driver lays a claim, a file ``drivers/<id>.json`` in the sweep's folder, first as ``asking``. It
holds the sweep once it has seen no other live claim; of two that ask at once the later one
withdraws. This needs no more of a filesystem than that a file appears whole and is listed at once,
so that it holds on object stores too, which know no locks.
"""

import os
import re
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
NAME = re.compile(r"\w+\.json")
BEAT_SECONDS = 15.0
# From another machine only the beat of a claim is seen; clocks are taken to agree within a minute.
SILENT_SECONDS = 120.0
PATIENCE_SECONDS = 3.0  # for a driver that asks at the same moment


class SweepIsRunningError(RuntimeError):
    """Another driver runs the sweep; the text says which."""


@dataclass(frozen=True)
class Claim:
    """Who runs a sweep, or asks to.

    Attributes:
        host: name of the machine.
        machine: distinguishes machines of one name; processes are only visible within it.
        pid: of the driver.
        started: when the process began, in the kernel's ticks: a pid is used again.
        since: time of day, ISO 8601, UTC.
        asked: the same in seconds since 1970, to order claims by.
        beat: the last sign of life, in seconds since 1970.
        holds: whether it runs the sweep; else it asks to.
    """

    host: str
    machine: str
    pid: int
    started: str
    since: str
    asked: float
    beat: float
    holds: bool = False

    def is_live(self, silent_seconds: float = SILENT_SECONDS) -> bool:
        """Whether its driver still runs, as far as is known here."""
        if self.machine == this_machine():
            return process_start(self.pid) == self.started
        return abs(time.time() - self.beat) < silent_seconds  # no clock is so far ahead either

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
    boot = _read("/proc/sys/kernel/random/boot_id")
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return f"{socket.gethostname()} {boot} {space}".strip()


def process_start(pid: int) -> str | None:
    """Return when a process of this machine began, in ticks since the boot; None if it is gone.

    A zombie is gone: it only waits for its parent to take notice.
    """
    stat = _read(f"/proc/{pid}/stat")
    if stat:
        fields = stat.rpartition(")")[2].split()
        return None if fields[0] == "Z" else fields[19]
    if Path("/proc/self/stat").exists():
        return None
    try:  # no such files on this system: the pid alone must do
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def read_claims(sweep: Folder) -> dict[str, Claim]:
    """Return every claim on a sweep by its file's name; what is no claim is left out."""
    folder, found = sweep / DRIVERS, {}
    for name in folder.names():
        if not NAME.fullmatch(name):
            continue
        try:
            found[name] = CLAIM.validate_json(folder.read(name))
        except (ValueError, FileNotFoundError):
            continue  # withdrawn at this moment, or not ours
    return found


def holder(sweep: Folder) -> Claim | None:
    """Return who runs a sweep; None if nobody does."""
    for claim in read_claims(sweep).values():
        if claim.holds and claim.is_live():
            return claim
    return None


class SweepLock:
    """A sweep held by this process, as a context.

    While it is held a thread writes a sign of life. Should the claim be gone, because this machine
    was asleep and another driver took the sweep over, this process is interrupted as by Ctrl-C.

    Args:
        sweep: folder of the sweep.
        beat_seconds: between two signs of life.
        wait_seconds: for another driver to end, or to count as dead, before an error is raised.
        say: called once, with a line that says which driver is waited for.
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
        self._thread: threading.Thread | None = None
        self.was_taken_over = False

    def __enter__(self) -> Self:
        stamp = time.time()
        pid = os.getpid()
        self._claim = Claim(
            host=socket.gethostname(), machine=this_machine(), pid=pid,
            started=process_start(pid) or "", since=now(), asked=stamp, beat=stamp,
        )  # fmt: skip
        self._write(self._claim)
        try:
            self._ask()
        except BaseException:
            self._folder.remove(self._name)
            raise
        self._thread = threading.Thread(target=self._beat, name="sweep lock", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        self._folder.remove(self._name)

    def _write(self, claim: Claim) -> None:
        self._folder.write_json(self._name, asdict(claim))

    def _ask(self) -> None:
        began, mine = time.monotonic(), (self._claim.asked, self._name)
        beaten, has_said = began, False
        while True:
            others, at = self._live_others(), time.monotonic()
            for name, claim in others.items():
                if claim.holds or (claim.asked, name) < mine or at - began > PATIENCE_SECONDS:
                    if at - began >= self._wait_seconds:
                        raise SweepIsRunningError(claim.describe())
                    if not has_said:
                        self._say(f"Waiting for {claim.describe()}, which runs this sweep.")
                        has_said = True
            if at - beaten >= self._beat_seconds:  # who waits lives too
                self._write(replace(self._claim, beat=time.time()))
                beaten = at
            if not others:
                self._claim = replace(self._claim, holds=True)
                self._write(self._claim)
                return
            # A later one withdraws, or has it already.
            time.sleep(1.0 if at - began > PATIENCE_SECONDS else 0.1)

    def _live_others(self) -> dict[str, Claim]:
        found = {}
        for name, claim in read_claims(self._sweep).items():
            if name == self._name:
                continue
            if claim.is_live():
                found[name] = claim
            else:
                self._folder.remove(name)
        return found

    def _beat(self) -> None:
        while not self._ended.wait(self._beat_seconds):
            try:
                if self._has_successor():
                    self.was_taken_over = True
                    os.kill(os.getpid(), signal.SIGINT)
                    return
                self._write(replace(self._claim, beat=time.time()))
            except StorageError:  # the next sign of life may get through
                continue

    def _has_successor(self) -> bool:
        """Whether the claim was removed, or another driver has held the sweep since.

        The latter too: a sign of life brings back a claim that is removed while it is written.
        """
        mine = (self._claim.asked, self._name)
        return not self._folder.exists(self._name) or any(
            claim.holds and (claim.asked, name) > mine
            for name, claim in read_claims(self._sweep).items()
        )
