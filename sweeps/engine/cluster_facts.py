"""Asks a Ray cluster what it has, in a process of its own, which can be ended where it hangs.

``python -m sweeps.engine.cluster_facts ADDRESS [CPUS GPUS]`` prints one JSON object; with what a
trial needs also whether the cluster can have a machine for it, as its autoscaler says.
"""

import json
import logging
import sys
import time
from typing import Any

import ray
from ray.autoscaler.sdk import request_resources
from ray.core.generated import autoscaler_pb2

GENERATED: Any = autoscaler_pb2  # its names are made when it is imported
RAYLET: Any = ray._raylet  # pyright: ignore[reportAttributeAccessIssue]  (written in Cython)
PATIENCE_SECONDS = 15.0  # the autoscaler looks at what is asked for every five


def main(address: str, *need: str) -> None:
    """Print what the cluster at ``address`` has."""
    ray.init(address, log_to_driver=False, logging_level=logging.ERROR, configure_logging=False)
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    grows = _autoscaler() is not None
    found: dict[str, Any] = {
        "nodes": [{"cpus": n.get("CPU", 0.0), "gpus": n.get("GPU", 0.0)} for n in nodes],
        "grows": grows,
    }
    if need:
        cpus, gpus = map(float, need)
        fits = any(n.get("CPU", 0.0) >= cpus and n.get("GPU", 0.0) >= gpus for n in nodes)
        bundle = {"CPU": cpus, "GPU": gpus} if gpus else {"CPU": cpus}
        found["can_fit"] = fits or (grows and _can_fit(bundle))
    print(json.dumps(found))


def _autoscaler() -> Any:
    status = GENERATED.GetClusterStatusReply()
    status.ParseFromString(RAYLET.GcsClient(address=_gcs_address()).get_cluster_status())
    return status.autoscaling_state if status.HasField("autoscaling_state") else None


def _gcs_address() -> str:
    return ray.get_runtime_context().gcs_address


def _can_fit(bundle: dict[str, float]) -> bool:
    """Ask for one such machine for a moment; only the autoscaler knows which types there are."""
    request_resources(bundles=[bundle])
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            state = _autoscaler()
            asked = [dict(each.resources_bundle) for each in _infeasible(state)]
            if any(all(found.get(k) == v for k, v in bundle.items()) for found in asked):
                return False
            if state.pending_instance_requests or state.pending_instances:
                return True
            time.sleep(0.5)
        return True  # it has not said no
    finally:
        request_resources(bundles=[])


def _infeasible(state: Any) -> list[Any]:
    return [
        request.request
        for constraint in state.infeasible_cluster_resource_constraints
        for request in constraint.resource_requests
    ]


if __name__ == "__main__":
    main(*sys.argv[1:])
