"""Whether a Ray cluster answers, lets us in, and can have a machine for a trial. Knows no Ray.

What Ray itself does where nobody answers is to wait for a minute and print some pages; so a socket
knocks first, and the cluster is asked in a process of its own. All that is asked of a cluster has
one time together, so that a command is refused within half a minute.
"""

import ipaddress
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sweeps.engine.resources.ray_files import has_token
from sweeps.engine.system.background import in_background

AUTO = "auto"
FACTS = "sweeps.engine.resources.cluster_facts"
QUESTION = "sweeps.engine.resources.cluster_question"
ASKED = "asked"  # printed by the question before it leaves anything with the cluster
KNOCK_SECONDS = 5.0
ASK_SECONDS = 22.0  # for all that is asked of a cluster, starts of Python included
# On top, where a question hangs: to end by itself, and to be taken back by another process.
END_SECONDS, TAKE_BACK_SECONDS = 2.0, 5.0
LEAVE_SECONDS = 4.0  # before its time is over the question ends: two calls to Ray
REFUSED = "InvalidAuthToken"  # Ray says so again and again, and gives up after 20 s
LOOPBACK_GUARD = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # Ray then stays on loopback; see cluster.py

log = logging.getLogger(__name__)


class ClusterError(RuntimeError):
    """The cluster cannot be used; the text says why, in one line."""


class UnsharedStorageError(ClusterError):
    """Some machine of the cluster does not see the folder that the sweep is kept in."""


class Node(NamedTuple):
    """What one machine of a cluster has for trials."""

    cpus: float
    gpus: float

    def fits(self, cpus: float, gpus: float) -> int:
        """Return how many trials that need this much fit on it at a time."""
        by_cpus = int(self.cpus / cpus + 1e-9)
        if not gpus:
            return by_cpus
        if gpus >= 1:
            return min(by_cpus, int(self.gpus / gpus + 1e-9))
        # What is left of one GPU and of another make no part of a third.
        return min(by_cpus, int(self.gpus) * int(1 / gpus + 1e-9))


@dataclass(frozen=True)
class ClusterFacts:
    """What a cluster has.

    Attributes:
        nodes: its machines at this moment.
        grows: whether an autoscaler starts further ones.
        seconds: that asking this has taken; they are gone for what else is asked.
        can_fit: whether a machine for what was asked for is there, or can be started; None where
            nothing was asked for.
    """

    nodes: tuple[Node, ...]
    grows: bool
    seconds: float = 0.0
    can_fit: bool | None = None


def resolve(address: str) -> str:
    """Return ``HOST:PORT`` of the head of a cluster.

    Args:
        address: that, or ``auto`` for the cluster that this machine is a node of.

    Raises:
        ClusterError: this machine is of no cluster, or the address is none.
    """
    if address == AUTO:
        known = Path(os.environ.get("RAY_TMPDIR") or "/tmp") / "ray/ray_current_cluster"
        address = os.environ.get("RAY_ADDRESS", "")
        if not address and known.exists():
            address = known.read_text().strip()
        if not address:
            raise ClusterError(
                f"no Ray runs on this machine: RAY_ADDRESS is not set, and there is no {known}"
            )
    if not re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}", address):
        hint = "run the command on a node, or with ray job submit" if "://" in address else ""
        raise ClusterError("must be auto or HOST:PORT" + (f": {hint}" if hint else ""))
    if not 0 < (port := int(address.rpartition(":")[2])) < 2**16:
        raise ClusterError(f"must be auto or HOST:PORT, with a port of 1 to 65535, given: {port}")
    return address


def is_loopback(address: str) -> bool:
    """Return whether only this machine can reach ``HOST:PORT``."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def ask(address: str) -> ClusterFacts:
    """Return what a cluster has; ``ASK_SECONDS`` at most.

    Args:
        address: ``HOST:PORT``.

    Raises:
        ClusterError: nobody answers, the token is missing or wrong, or it is another Ray or Python.
    """
    started = time.monotonic()
    knock(address)
    left = ASK_SECONDS - (time.monotonic() - started)
    if is_loopback(address):
        said = _ask_facts(address, has_token(), left)
    elif not has_token():
        raise ClusterError(
            "needs the cluster's token, in ~/.ray/auth_token, RAY_AUTH_TOKEN_PATH or "
            "RAY_AUTH_TOKEN; `ray get-auth-token` on its head shows it"
        )
    else:
        said = _ask_guarded_facts(address, left)
    found = json.loads(said)
    nodes = tuple(Node(**node) for node in found["nodes"])
    return ClusterFacts(nodes, found["grows"], time.monotonic() - started)


def _ask_guarded_facts(address: str, seconds: float) -> str:
    with ThreadPoolExecutor(2) as pool:
        anyone = pool.submit(_ask_facts, address, False, seconds)
        found = pool.submit(_ask_facts, address, True, seconds)
    if anyone.exception() is None:
        raise ClusterError(
            f"the cluster at {address} asks for no token: whoever reaches it can run anything on "
            "it; start its Ray with RAY_AUTH_MODE=token"
        )
    return found.result()


def can_have(address: str, found: ClusterFacts, cpus: float, gpus: float) -> bool:
    """Return whether a machine for a trial is there, or can be started, which it may be then.

    True also where the autoscaler has not said in the time that is left, with a warning.

    Args:
        address: ``HOST:PORT``.
        found: what ``ask`` has returned for it.
        cpus: what the trial needs.
        gpus: likewise.

    Raises:
        ClusterError: its autoscaler cannot be asked.
    """
    if any(node.fits(cpus, gpus) for node in found.nodes):
        return True
    if not found.grows:
        return False
    left = ASK_SECONDS - found.seconds
    said = _ask_autoscaler(address, cpus, gpus, left) if left > LEAVE_SECONDS else None
    if said is None:
        log.warning(
            "the autoscaler of the cluster at %s does not say whether it can start a machine with "
            "%g CPUs and %g GPUs: what needs one waits until it comes", address, cpus, gpus
        )  # fmt: skip
    return said is not False


def _ask_autoscaler(address: str, cpus: float, gpus: float, seconds: float) -> bool | None:
    need = [str(cpus), str(gpus)]
    until = str(time.monotonic() + seconds - LEAVE_SECONDS)
    ended = _run(address, QUESTION, [*need, until], has_token(), seconds, END_SECONDS)
    if ended.is_well:
        return json.loads(ended.lines[-1])
    if ended.code == -signal.SIGTERM:  # on a busy machine, before it was ready to ask
        return None
    reason = (
        f"the cluster at {address} cannot be used: {ended.reason or 'its autoscaler is silent'}"
    )
    if ASKED in ended.lines:
        taken_back = _run(address, QUESTION, need, has_token(), TAKE_BACK_SECONDS)
        if taken_back.code != 0:
            reason += (
                "; it may start a machine and keep it, until somebody there calls "
                "ray.autoscaler.sdk.request_resources(bundles=[])"
            )
    raise ClusterError(reason)


def knock(address: str) -> None:
    """Raise ClusterError unless somebody answers at ``HOST:PORT``, within ``KNOCK_SECONDS``."""
    host, _, port = address.rpartition(":")

    def connect() -> None:
        socket.create_connection((host.strip("[]"), int(port)), KNOCK_SECONDS).close()

    try:  # looking up a name takes as long as it likes
        in_background(connect).result(KNOCK_SECONDS)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error) or "timed out"
        raise ClusterError(f"nobody answers at {address} ({reason})") from error


def _ask_facts(address: str, token: bool, seconds: float) -> str:
    ended = _run(address, FACTS, [], token, seconds)
    if ended.is_well:
        return ended.lines[-1]
    if any(REFUSED in line for line in ended.lines):
        kind = "our token is not its token" if token else "it asks for a token, and we have none"
        raise ClusterError(f"the cluster at {address} lets us not in: {kind}")
    reason = ended.reason or "no Ray that we can talk to"
    raise ClusterError(f"the cluster at {address} cannot be used: {reason}")


class Ended(NamedTuple):
    """What a process that asked a cluster has said, and its exit code."""

    lines: list[str]
    code: int

    @property
    def is_well(self) -> bool:
        """Whether the last line is an answer."""
        return self.code == 0 and bool(self.lines)

    @property
    def reason(self) -> str:
        """What went wrong, if that was said."""
        errors = [
            line for line in self.lines if "Error: " in line and "ConnectionError" not in line
        ]
        return errors[-1].partition("Error: ")[2] if errors else ""


def _run(
    address: str, module: str, arguments: list[str], token: bool, seconds: float, end: float = 0.0
) -> Ended:
    """Run a module that asks; after ``seconds`` it is told to end, and killed ``end`` later."""
    guard = {LOOPBACK_GUARD: "0"} if is_loopback(address) else {}
    settings = {
        "RAY_AUTH_MODE": "token" if token else "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # `uv run` would make Ray upload the project
    }
    # An argument list, and no shell.
    command = [sys.executable, "-m", module, address, *arguments]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=os.environ | guard | settings, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    timers = [threading.Timer(seconds + end, process.kill)]
    if end:
        timers.append(threading.Timer(seconds, process.terminate))
    for timer in timers:
        timer.start()
    lines = []
    with process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line.strip())
                if REFUSED in line:
                    process.kill()
        except BaseException:  # Ctrl-C: it takes back what it has asked
            process.terminate()
            raise
        finally:
            for timer in timers:
                timer.cancel()
    return Ended(lines, process.returncode)
