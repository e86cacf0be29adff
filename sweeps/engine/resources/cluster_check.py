"""Whether a Ray cluster answers and lets us in, and which machines it has. Knows no Ray.

Where nobody answers, Ray itself waits for a minute and prints pages. So a socket connects first,
and a process of its own asks the cluster. A command is refused within half a minute.
"""

import ipaddress
import json
import os
import re
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
CONNECT_SECONDS = 5.0
ASK_SECONDS = 22.0  # for the whole check, the start of Python included
REFUSED = "InvalidAuthToken"  # Ray repeats it for 20 s before it ends
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
class Capacity:
    """What there is for trials, on this machine or on a cluster."""

    nodes: tuple[Node, ...]  # the machines of this moment
    grows: bool = False  # an autoscaler starts further ones; Ray does not say of which types

    @property
    def largest(self) -> Node:
        """The machine with the most GPUs, then the most cores."""
        return max(self.nodes, key=lambda node: (node.gpus, node.cpus), default=Node(0, 0))

    def room_for(self, cpus: float, gpus: float) -> int:
        """Return how many trials that need this much fit on what is there."""
        return sum(node.fits(cpus, gpus) for node in self.nodes)


def resolve(address: str) -> str:
    """Return ``HOST:PORT`` of a cluster's head: that, or for ``auto`` of the one we are a node of.

    Raises:
        ClusterError: this machine is of no cluster, or the address is none.
    """
    if address == AUTO:
        known = Path(os.environ.get("RAY_TMPDIR") or "/tmp") / "ray/ray_current_cluster"
        there = known.read_text().strip() if known.exists() else ""
        address = os.environ.get("RAY_ADDRESS") or there
        if not address:
            raise ClusterError(
                f"no Ray runs on this machine: RAY_ADDRESS is not set, and there is no {known}"
            )
    if not re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}", address):
        hint = ": run the command on a node, or with ray job submit" * ("://" in address)
        raise ClusterError(f"must be auto or HOST:PORT{hint}")
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


def ask(address: str) -> Capacity:
    """Return what the cluster at ``HOST:PORT`` has, within ``ASK_SECONDS``.

    Raises:
        ClusterError: nobody answers, the token is missing or wrong, or it is another Ray or Python.
    """
    started = time.monotonic()
    connect(address)
    left = ASK_SECONDS - (time.monotonic() - started)
    if is_loopback(address):
        said = _ask_facts(address, has_token(), left)
    elif not has_token():
        raise ClusterError(
            "needs the cluster's token, in ~/.ray/auth_token, RAY_AUTH_TOKEN_PATH or "
            "RAY_AUTH_TOKEN; `ray get-auth-token` on its head shows it"
        )
    else:
        said = _ask_guarded(address, left)
    found = json.loads(said)
    return Capacity(tuple(Node(**node) for node in found["nodes"]), found["grows"])


def _ask_guarded(address: str, seconds: float) -> str:
    with ThreadPoolExecutor(2) as pool:
        anyone = pool.submit(_ask_facts, address, False, seconds)
        found = pool.submit(_ask_facts, address, True, seconds)
    if anyone.exception() is None:
        raise ClusterError(
            f"the cluster at {address} needs no token: whoever reaches it can run anything on "
            "it; start its Ray with RAY_AUTH_MODE=token"
        )
    return found.result()


def connect(address: str) -> None:
    """Raise ClusterError unless something listens at ``HOST:PORT``, within ``CONNECT_SECONDS``."""
    host, _, port = address.rpartition(":")

    def try_to_connect() -> None:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()

    try:  # the lookup of a name has no time limit of its own
        in_background(try_to_connect).result(CONNECT_SECONDS)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error) or "timed out"
        raise ClusterError(f"nobody answers at {address} ({reason})") from error


def _ask_facts(address: str, token: bool, seconds: float) -> str:
    """Return what ``cluster_facts`` prints, in a process that is killed after ``seconds``."""
    guard = {LOOPBACK_GUARD: "0"} if is_loopback(address) else {}
    settings = {
        "RAY_AUTH_MODE": "token" if token else "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # `uv run` would make Ray upload the project
    }
    # An argument list, and no shell.
    process = subprocess.Popen(
        [sys.executable, "-m", FACTS, address], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, env=os.environ | guard | settings, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    lines: list[str] = []
    with process:
        try:
            for line in process.stdout or ():
                lines.append(line.strip())
                if REFUSED in line:
                    break
        finally:  # also after Ctrl-C
            process.kill()
            timer.cancel()
    if lines and lines[-1].startswith("{"):
        return lines[-1]
    if any(REFUSED in line for line in lines):
        kind = "our token is not its token" if token else "it needs a token, and we have none"
        raise ClusterError(f"the cluster at {address} refuses us: {kind}")
    errors = [line for line in lines if "Error: " in line and "ConnectionError" not in line]
    reason = errors[-1].partition("Error: ")[2] if errors else "no Ray that we can talk to"
    raise ClusterError(f"the cluster at {address} cannot be used: {reason}")
