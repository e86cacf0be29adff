"""Asks a Ray cluster what it has, in a process of its own, which can be killed if it hangs.

``python -m sweeps.engine.resources.cluster_facts ADDRESS`` prints one JSON object.
"""

import json
import logging
import sys
from typing import Any

import ray
from ray.core.generated import autoscaler_pb2

GENERATED: Any = autoscaler_pb2  # its names are made when it is imported
RAYLET: Any = ray._raylet  # written in Cython
CALL_SECONDS = 10  # the process that started this one kills it earlier


def main(address: str) -> None:
    """Print what the cluster at ``address`` has."""
    ray.init(address, log_to_driver=False, logging_level=logging.ERROR, configure_logging=False)
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    client = RAYLET.GcsClient(address=ray.get_runtime_context().gcs_address)
    status = GENERATED.GetClusterStatusReply()
    status.ParseFromString(client.get_cluster_status(timeout_s=CALL_SECONDS))
    found: dict[str, Any] = {
        "nodes": [{"cpus": n.get("CPU", 0.0), "gpus": n.get("GPU", 0.0)} for n in nodes],
        "grows": status.HasField("autoscaling_state"),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
