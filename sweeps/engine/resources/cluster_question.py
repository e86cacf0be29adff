"""Asks a cluster's autoscaler whether there can be a machine for a trial, in a process of its own.

``python -m sweeps.engine.resources.cluster_question ADDRESS CPUS GPUS UNTIL`` prints ``asked``
before it asks, and ``true``, ``false``, or ``null`` where the autoscaler has not said, once nothing
of the question is left. UNTIL is of ``time.monotonic``, one clock for all processes of a machine,
so that the start of Python counts. Without UNTIL it takes back what an asker that was killed has
left.

Only the autoscaler knows which machines it could start, and it says so of a request alone. Ray
keeps one request a cluster, until another one replaces it, also when who made it is gone: the
machine would run for ever. So signals do not end this process, they only cut the question short.
"""

import json
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import ray
from ray.autoscaler.v2.sdk import request_cluster_resources
from ray.core.generated import autoscaler_pb2

from sweeps.engine.resources.cluster_check import ASKED
from sweeps.engine.system.signals import SIGNALS

GENERATED: Any = autoscaler_pb2  # its names are made when it is imported
RAYLET: Any = ray._raylet  # pyright: ignore[reportAttributeAccessIssue]  (written in Cython)
CALL_SECONDS = 2  # nothing interrupts a call, and `ray job stop` kills after three
LOOK_SECONDS = 0.25

# Every machine is one without this label, so that it asks for no other machine; but the request is
# known for the question of a sweep.
MARK_LABEL, MARK_VALUE = "game-of-noise-question", "none"

Shape = Mapping[str, float]


class Autoscaler(Protocol):
    """What is asked; a test has its own."""

    def status(self) -> Any:
        """Return Ray's ``GetClusterStatusReply`` of this moment."""
        ...

    def request(self, *shapes: Shape) -> None:
        """Let these, marked as ours, take the place of what was requested before."""
        ...


class RayAutoscaler:
    """The autoscaler of the cluster whose head is at ``HOST:PORT``; any call may fail.

    Args:
        address: ``HOST:PORT``.
        call_seconds: after which a call is given up.
    """

    def __init__(self, address: str, call_seconds: int = CALL_SECONDS) -> None:
        self._address, self._seconds = address, call_seconds
        self._gcs = RAYLET.GcsClient(address=address)

    def status(self) -> Any:
        """Return Ray's ``GetClusterStatusReply`` of this moment."""
        found = GENERATED.GetClusterStatusReply()
        found.ParseFromString(self._gcs.get_cluster_status(timeout_s=self._seconds))
        return found

    def request(self, *shapes: Shape) -> None:
        """Let these, marked as ours, take the place of what was requested before."""
        mark = {MARK_LABEL: f"!{MARK_VALUE}"}
        asked = [{"resources": dict(shape), "label_selector": mark} for shape in shapes]
        request_cluster_resources(self._address, asked, timeout=self._seconds)


def can_have(
    autoscaler: Autoscaler,
    shape: Shape,
    until: float,
    is_told_to_end: Callable[[], bool] = lambda: False,
) -> bool | None:
    """Return whether there can be a machine of this shape, or None if the autoscaler does not say.

    Each status has a version, and says up to which one the autoscaler had seen when it decided. So
    it has judged our request once it has seen a version later than one that held it; machines that
    start meanwhile, for this or anything else, say nothing. A request that is no sweep's is left
    alone, and nothing is asked then.

    Args:
        autoscaler: of the cluster.
        shape: ``CPU`` and ``GPU`` of a trial.
        until: when it must be answered, of ``time.monotonic``.
        is_told_to_end: looked at often; true ends the question.
    """
    asked_at = None
    # Half the time is left to the question of another sweep; then its asker must be dead.
    others_until = (time.monotonic() + until) / 2
    try:
        while time.monotonic() < until and not is_told_to_end():
            status = autoscaler.status()
            cluster = status.cluster_resource_state
            standing = _requests(cluster.cluster_resource_constraints)
            if standing != [_marked(shape)]:
                asked_at = None  # not yet, or another has replaced it
                if not all(marked for _, marked in standing):
                    return None
                if not standing or time.monotonic() > others_until:
                    autoscaler.request(shape)
            elif asked_at is None:
                asked_at = cluster.cluster_resource_state_version
            elif status.autoscaling_state.last_seen_cluster_resource_state_version > asked_at:
                return standing[0] not in _infeasible(status)
            time.sleep(LOOK_SECONDS)
        return None
    finally:
        take_back(autoscaler, shape)


def take_back(autoscaler: Autoscaler, shape: Shape) -> None:
    """Take our request back, and no one else's."""
    standing = _requests(autoscaler.status().cluster_resource_state.cluster_resource_constraints)
    if standing in ([], [_marked(shape)]):  # also where there is none yet: it may be on its way
        autoscaler.request()


def _marked(shape: Shape) -> tuple[dict[str, float], bool]:
    return dict(shape), True


def _infeasible(status: Any) -> list[tuple[dict[str, float], bool]]:
    return _requests(status.autoscaling_state.infeasible_cluster_resource_constraints)


def _requests(constraints: Sequence[Any]) -> list[tuple[dict[str, float], bool]]:
    """Return the shape of each machine requested, and whether the request has our mark."""
    return [
        (dict(each.request.resources_bundle), _has_mark(each.request))
        for constraint in constraints
        for each in constraint.resource_requests
        for _ in range(each.count)
    ]


def _has_mark(request: Any) -> bool:
    return any(
        found.label_key == MARK_LABEL
        for selector in request.label_selectors
        for found in selector.label_constraints
    )


def main(address: str, cpus: str, gpus: str, until: str = "") -> None:
    """Ask, and print the answer; or, without ``until``, take back what another has asked."""
    told: list[int] = []
    for number in SIGNALS:
        signal.signal(number, lambda number, _: told.append(number))
    shape = {"CPU": float(cpus)} | ({"GPU": float(gpus)} if float(gpus) else {})
    autoscaler = RayAutoscaler(address)
    if not until:
        take_back(autoscaler, shape)
        return
    print(ASKED, flush=True)
    answer = can_have(autoscaler, shape, float(until), lambda: bool(told))
    print(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
