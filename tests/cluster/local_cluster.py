"""A Ray cluster on this machine that grows and shrinks, for tests: ports, folder and token its own.

Its workers are raylets of Ray's fake node provider, each with one CPU. The head runs no trials.
"""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from sweeps.engine.resources.cluster_check import LOOPBACK_GUARD
from tests.sweeps.engine.runs.test_security import process_tree

HEAD = "f" * 51 + "00000"  # the fake provider's name of the head
IDLE_SECONDS = 12
PATIENCE = 90.0  # seconds in which something must happen on a busy machine
WORKER = {"resources": {"CPU": 1}, "node_config": {}, "min_workers": 0}
NOTHING = (
    "initialization_commands", "setup_commands", "head_setup_commands", "worker_setup_commands",
    "head_start_ray_commands", "worker_start_ray_commands", "cluster_synced_files",
    "rsync_exclude", "rsync_filter",
)  # fmt: skip


def free_port() -> int:
    """Return a port of loopback that nothing listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class LocalCluster:
    """The cluster, as a context; all its processes are gone when the block is left.

    Args:
        workers: the most there can be; 0 for a cluster that does not grow.
        cpus: of the head, for trials.
        has_token: whether it lets in only who has the token.
        dashboard: whether it takes jobs.
        unseen: a folder in whose place all of its machines see an empty one; needs root.

    Attributes:
        address: ``HOST:PORT``.
        environment: of who may talk to it.
        dashboard: URL.
        pid: of the process that started all others.
    """

    def __init__(self, workers=3, cpus=0, has_token=True, dashboard=False, unseen=None):
        self._workers, self._cpus, self._dashboard = workers, cpus, dashboard
        self._unseen = unseen
        self._port = free_port()
        self.address = f"127.0.0.1:{self._port}"
        self._dashboard_port = free_port()
        self.dashboard = f"http://127.0.0.1:{self._dashboard_port}"
        token = {"RAY_AUTH_TOKEN": secrets.token_hex(16), "RAY_AUTH_MODE": "token"}
        self.environment = {
            LOOPBACK_GUARD: "0", "RAY_USAGE_STATS_ENABLED": "0",
            "GON_FUSION": "eager", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
            **(token if has_token else {"RAY_AUTH_MODE": "disabled"}),
        }  # fmt: skip

    def __enter__(self):
        # Short, for the paths of its sockets.
        self._folder = tempfile.TemporaryDirectory(prefix="gon-c-", dir="/tmp")
        folder = Path(self._folder.name)
        command = [
            str(Path(sys.executable).with_name("ray")), "start", "--head", "--block",
            f"--port={self._port}", "--node-ip-address=127.0.0.1", f"--num-cpus={self._cpus}",
            "--num-gpus=0", f"--temp-dir={folder / 'ray'}", "--disable-usage-stats",
            f"--include-dashboard={str(self._dashboard).lower()}", "--dashboard-host=127.0.0.1",
            f"--dashboard-port={self._dashboard_port}", "--object-store-memory=400000000",
        ]  # fmt: skip
        if self._workers:
            (folder / "cluster.yaml").write_text(yaml.safe_dump(self._autoscaling()))
            command.append(f"--autoscaling-config={folder / 'cluster.yaml'}")
        growing = {
            "RAY_FAKE_CLUSTER": "1", "RAY_enable_autoscaler_v2": "1", "RAY_CLOUD_INSTANCE_ID": HEAD,
            "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD, "AUTOSCALER_UPDATE_INTERVAL_S": "1",
        }  # fmt: skip
        if self._unseen is not None:
            hide = 'mount -t tmpfs none "$1" && shift && exec "$@"'
            command = ["unshare", "-m", "sh", "-c", hide, "sh", str(self._unseen), *command]
        self._log = (folder / "log").open("w+")
        self._head = subprocess.Popen(
            command, stdout=self._log, stderr=subprocess.STDOUT, start_new_session=True,
            env=os.environ | self.environment | (growing if self._workers else {}), cwd="/",
        )  # fmt: skip
        self.pid = self._head.pid
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception):
        tree = process_tree(self._head.pid)
        self._head.send_signal(signal.SIGTERM)
        try:
            self._head.wait(20)
        except subprocess.TimeoutExpired:
            self._head.kill()
            self._head.wait()
        for pid in tree:  # what the monitor started outlives it
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._log.close()
        self._folder.cleanup()

    def _autoscaling(self):
        return {
            "cluster_name": "pretended", "max_workers": self._workers, "upscaling_speed": 100,
            "idle_timeout_minutes": IDLE_SECONDS / 60, "docker": {}, "auth": {}, "file_mounts": {},
            "file_mounts_sync_continuously": False, "head_node_type": "ray.head.default",
            "provider": {
                "type": "external", "launch_multiple": True, "use_node_id_as_ip": False,
                "module": "ray.autoscaler._private.fake_multi_node.node_provider."
                "FakeMultiNodeProvider",
                "head_node_id": HEAD, "gcs_address": self.address,
            },
            "available_node_types": {
                "ray.head.default": {"resources": {}, "node_config": {}, "max_workers": 0},
                "worker": WORKER | {"max_workers": self._workers},
            },
            **{name: [] for name in NOTHING},
        }  # fmt: skip

    def _wait_until_it_answers(self):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            assert self._head.poll() is None, self._said()
            self._log.flush()
            if "will now block forever" in self._said():
                return
            time.sleep(0.2)
        raise TimeoutError(self._said())

    def _said(self):
        return Path(self._log.name).read_text()

    def watch(self):
        """Return a process that writes what the cluster looks like, and where: see ``seen``."""
        log = Path(self._folder.name) / f"watch-{time.monotonic_ns()}"
        with log.open("w") as stream:
            process = subprocess.Popen(
                [sys.executable, "-c", WATCH, self.address], stdout=stream, cwd="/",
                stderr=subprocess.DEVNULL, text=True, env=os.environ | self.environment,
            )  # fmt: skip
        return process, log


# Of each machine: its name, and the bytes of all objects that ever were put into its store. And how
# much the autoscaler is asked for that no machine has.
WATCH = """
import json, sys, time
import ray
from ray._private.internal_api import node_stats
from ray.autoscaler.v2.sdk import get_cluster_status
ray.init(sys.argv[1], log_to_driver=False, logging_level="ERROR")
while True:
    found = {}
    for node in ray.nodes():
        if node["Alive"]:
            try:
                stats = node_stats(node["NodeManagerAddress"], node["NodeManagerPort"])
                found[node["NodeID"]] = stats.store_stats.cumulative_created_bytes
            except Exception:
                continue  # it ends at this moment
    asked = get_cluster_status(sys.argv[1]).resource_demands.placement_group_demand
    places = sum(bundle.count for demand in asked for bundle in demand.bundles_by_count)
    print(json.dumps({"machines": found, "places": places}), flush=True)
    time.sleep(1)
"""


def seen(watching):
    """End what ``watch`` returned; return what it saw each second: machines by name, and places."""
    process, log = watching
    process.terminate()
    process.wait()
    return [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")]
