"""Ray's own autoscaler over our definitions: which machines start for which trials."""

import time
from collections import Counter

import pytest
from ray.autoscaler._private.kuberay.autoscaling_config import (
    _derive_autoscaling_config_from_ray_cr,
)
from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig, InstanceReconcileConfig
from ray.autoscaler.v2.instance_manager.instance_manager import InstanceManager
from ray.autoscaler.v2.instance_manager.instance_storage import InstanceStorage
from ray.autoscaler.v2.instance_manager.node_provider import (
    CloudInstance,
    LaunchNodeError,
    NodeKind,
)
from ray.autoscaler.v2.instance_manager.reconciler import Reconciler
from ray.autoscaler.v2.instance_manager.storage import InMemoryStorage
from ray.autoscaler.v2.instance_manager.subscribers.cloud_instance_updater import (
    CloudInstanceUpdater,
)
from ray.autoscaler.v2.instance_manager.subscribers.cloud_resource_monitor import (
    CloudResourceMonitor,
)
from ray.autoscaler.v2.scheduler import ResourceDemandScheduler, SchedulingRequest
from ray.autoscaler.v2.utils import ResourceRequestUtil
from ray.core.generated.autoscaler_pb2 import (
    ClusterResourceState,
    NodeState,
    NodeStatus,
    ResourceRequestByCount,
)

from tests.cluster.definitions import read

TRIAL = {"CPU": 1, "GPU": 1}
ROUNDS = 6


def read_kuberay():
    """Return what KubeRay's autoscaler makes of the manifest."""
    metadata = {"name": "game-of-noise", "namespace": "game-of-noise"}
    return _derive_autoscaling_config_from_ray_cr(
        read("kuberay/raycluster.yaml") | {"metadata": metadata}
    )


DEFINITIONS = {
    "aws": (read("aws.yaml"), "gpu_spot", "gpu_on_demand"),
    "gcp": (read("gcp.yaml"), "gpu_spot", "gpu_on_demand"),
    "kuberay": (read_kuberay(), "gpu-spot", "gpu-on-demand"),
}


def asked(number, resources):
    """Return the request of so many waiting trials."""
    request = ResourceRequestUtil.make(resources)
    return [ResourceRequestByCount(request=request, count=number)]


@pytest.mark.parametrize("name", DEFINITIONS)
@pytest.mark.parametrize(
    ("number", "resources", "unavailable", "spot", "on_demand", "waiting"),
    [
        (0, TRIAL, False, 0, 0, 0),
        (3, TRIAL, False, 3, 0, 0),
        (12, {"CPU": 1, "GPU": 0.5}, False, 6, 0, 0),
        (30, TRIAL, False, 16, 4, 10),
        (3, TRIAL, True, 0, 3, 0),  # spot has just been seen not to come
        (1, {"GPU": 2}, False, 0, 0, 1),
    ],
)
def test_machines_start_for_the_trials_that_wait(
    name, number, resources, unavailable, spot, on_demand, waiting
):
    definition, spot_type, on_demand_type = DEFINITIONS[name]
    config = AutoscalingConfig(definition, skip_content_hash=True)
    reply = ResourceDemandScheduler(None).schedule(
        SchedulingRequest(
            disable_launch_config_check=True,
            node_type_configs=config.get_node_type_configs(),
            max_num_nodes=config.get_max_num_nodes(),
            idle_timeout_s=config.get_idle_timeout_s(),
            resource_requests=asked(number, resources),
            recoverable_resource_availabilities={spot_type: 0.0} if unavailable else {},
        )
    )
    started = Counter({launch.instance_type: launch.count for launch in reply.to_launch})
    assert started == +Counter({spot_type: spot, on_demand_type: on_demand})
    assert len(reply.infeasible_resource_requests) == waiting


class Cloud:
    """Gives machines that never get ready, but for the types that it refuses at once."""

    def __init__(self, refused, head):
        self.refused, self.head = refused, head
        self.machines, self.errors, self.asked = {}, [], Counter()

    def launch(self, shape, request_id):
        for kind, number in shape.items():
            self.asked[kind] += number
            if kind in self.refused:
                self.errors.append(LaunchNodeError(kind, number, request_id, time.time_ns()))
                continue
            for _ in range(number):
                identity = f"{kind} {len(self.machines)}"
                self.machines[identity] = CloudInstance(
                    identity, kind, NodeKind.WORKER, is_running=False, request_id=request_id
                )

    def terminate(self, ids, request_id):
        for identity in ids:
            del self.machines[identity]

    def there(self):
        head = CloudInstance("head", self.head, NodeKind.HEAD, is_running=True)
        return {"head": head} | self.machines


def ask_for_three(definition, refused, patience=3600):
    """Let three trials wait while the autoscaler goes round; return how often it requested what."""
    config = AutoscalingConfig(definition, skip_content_hash=True)
    config.get_instance_reconcile_config = lambda: InstanceReconcileConfig(
        allocate_status_timeout_s=patience
    )
    cloud, seen = Cloud(refused, config.get_head_node_type()), CloudResourceMonitor()
    manager = InstanceManager(
        InstanceStorage("test", InMemoryStorage()), [CloudInstanceUpdater(cloud), seen]
    )
    head = NodeState(
        node_id=b"head", instance_id="head", ray_node_type_name=cloud.head,
        status=NodeStatus.RUNNING, total_resources={"node:__internal_head__": 1},
    )  # fmt: skip
    for version in range(ROUNDS):
        errors, cloud.errors = cloud.errors, []
        state = ClusterResourceState(
            cluster_resource_state_version=version + 1,
            node_states=[head],
            pending_resource_requests=asked(3, TRIAL),
        )
        Reconciler.reconcile(
            manager,
            ResourceDemandScheduler(None),
            cloud,
            seen,
            state,
            cloud.there(),
            config,
            errors,
        )
    return cloud.asked


@pytest.mark.parametrize("name", DEFINITIONS)
def test_machines_on_their_way_are_not_asked_for_again(name):
    definition, spot, _ = DEFINITIONS[name]
    assert ask_for_three(definition, refused=()) == {spot: 3}


@pytest.mark.parametrize("name", ["aws", "gcp"])
def test_spot_that_is_refused_is_asked_for_again(name):
    """As docs/cluster.md says: once Ray uses on-demand instead, it has to say so."""
    definition, spot, _ = DEFINITIONS[name]
    assert ask_for_three(definition, refused=(spot,)) == {spot: 3 * ROUNDS}


def test_a_spot_pod_that_finds_no_machine_is_replaced_by_one_on_demand():
    definition, spot, on_demand = DEFINITIONS["kuberay"]
    started = ask_for_three(definition, refused=(), patience=0)
    assert next(iter(started)) == spot and started[on_demand] >= 3
