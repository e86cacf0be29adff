"""Whether a Ray cluster answers, lets us in, and can have a machine for a trial. Knows no Ray.

What Ray itself does where nobody answers is to wait for a minute and print some pages; so a socket
knocks first, and the cluster is asked in a process of its own.
"""

import ipaddress
import json
import os
import re
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sweeps.engine.ray_files import has_token

AUTO = "auto"
ASKED = "asked"  # printed by the question before it leaves anything with the cluster
KNOCK_SECONDS, ASK_SECONDS = 5.0, 23.0
REFUSED = "InvalidAuthToken"  # Ray says so again and again, and gives up after 20 s
LOOPBACK_GUARD = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # Ray then stays on loopback; see cluster.py


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
        can_fit: whether a machine for what was asked for is there, or can be started; None where
            nothing was asked for.
    """

    nodes: tuple[Node, ...]
    grows: bool
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
    return address


def is_loopback(address: str) -> bool:
    """Return whether only this machine can reach ``HOST:PORT``."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def ask(address: str, cpus: float = 0.0, gpus: float = 0.0) -> ClusterFacts:
    """Return what a cluster has; half a minute at most.

    Args:
        address: ``HOST:PORT``.
        cpus: what a trial needs, to ask whether the cluster can have a machine for it; 0 not to
            ask. An autoscaler may start one then.
        gpus: likewise.

    Raises:
        ClusterError: nobody answers, the token is missing or wrong, or it is another Ray or Python.
    """
    knock(address)
    need = [str(cpus), str(gpus)] if cpus else []
    if is_loopback(address):
        return _read(_run(address, need, has_token()))
    if not has_token():
        raise ClusterError(
            "needs the cluster's token, in ~/.ray/auth_token, RAY_AUTH_TOKEN_PATH or "
            "RAY_AUTH_TOKEN; `ray get-auth-token` on its head shows it"
        )
    with ThreadPoolExecutor(2) as pool:
        anyone = pool.submit(_run, address, [], False)
        found = pool.submit(_run, address, need, True)
    if anyone.exception() is None:
        raise ClusterError(
            f"the cluster at {address} asks for no token: whoever reaches it can run anything on "
            "it; start its Ray with RAY_AUTH_MODE=token"
        )
    return _read(found.result())


def _read(said: str) -> ClusterFacts:
    found = json.loads(said)
    nodes = tuple(Node(**node) for node in found.pop("nodes"))
    return ClusterFacts(nodes, **found)


def knock(address: str) -> None:
    """Raise ClusterError unless somebody answers at ``HOST:PORT``."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), KNOCK_SECONDS).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ClusterError(f"nobody answers at {address} ({reason})") from error


def _run(address: str, need: list[str], token: bool) -> str:
    guard = {LOOPBACK_GUARD: "0"} if is_loopback(address) else {}
    settings = {
        "RAY_AUTH_MODE": "token" if token else "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # `uv run` would make Ray upload the project
    }
    # An argument list, and no shell.
    command = [sys.executable, "-m", "sweeps.engine.cluster_facts", address, *need]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=os.environ | guard | settings, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    timer = threading.Timer(ASK_SECONDS, process.kill)
    timer.start()
    lines = []
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.strip())
            if REFUSED in line:
                process.kill()
    timer.cancel()
    if process.returncode == 0 and lines:
        return lines[-1]
    if any(REFUSED in line for line in lines):
        kind = "our token is not its token" if token else "it asks for a token, and we have none"
        raise ClusterError(f"the cluster at {address} lets us not in: {kind}")
    reasons = [line for line in lines if "Error: " in line and "ConnectionError" not in line]
    reason = reasons[-1].partition("Error: ")[2] if reasons else "no Ray that we can talk to"
    raise ClusterError(f"the cluster at {address} cannot be used: {reason}")
