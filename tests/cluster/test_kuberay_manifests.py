"""The manifests for KubeRay, checked as far as they can be without a Kubernetes cluster."""

import pytest
from ray.autoscaler._private.kuberay.autoscaling_config import (
    _derive_autoscaling_config_from_ray_cr,
)

from tests.cluster import manifest_checks, pod_checks
from tests.cluster.definitions import MISSING, broken, plain_secrets, read

CLUSTER, JOB = read("kuberay/raycluster.yaml"), read("kuberay/rayjob.yaml")
ACCESS = read("kuberay/access.yaml")
CHECKS = (*manifest_checks.CHECKS, *pod_checks.CHECKS)
MANIFESTS = {"raycluster": CLUSTER, "rayjob": JOB}
POLICY = next(index for index, found in enumerate(ACCESS) if found["kind"] == "NetworkPolicy")

SPEC = ("spec",)
HEAD, HEAD_POD = ("spec", "headGroupSpec"), ("spec", "headGroupSpec", "template", "spec")
SPOT, ON_DEMAND = ("spec", "workerGroupSpecs", 0), ("spec", "workerGroupSpecs", 1)
SPOT_POD = (*SPOT, "template", "spec")
SCALER = ("spec", "autoscalerOptions")
SUBMITTER = ("spec", "submitterPodTemplate", "spec")
LIMITS = (*SPOT_POD, "containers", 0, "resources", "limits")
SWEEP = "python /home/gon/game-of-noise/sweeps/sigma_line_search.py"

# By check: where (in rayjob.yaml if it begins with "job"), what is written there, the message.
BROKEN = {
    manifest_checks.fields: [
        (
            ("apiVersion",),
            "ray.io/v1alpha1",
            "apiVersion must be ray.io/v1, given: ray.io/v1alpha1",
        ),
        (
            (*SPOT, "maxReplica"),
            3,
            "workerGroupSpecs: maxReplica is not a known field; did you mean",
        ),
        (
            (*SCALER, "idleTimeoutMinutes"),
            3,
            "idleTimeoutMinutes is not a known field; did you mean",
        ),
        ((*SPEC, "authOption"), {}, "RayCluster: authOption is not a known field; did you mean"),
        (("job", *SPEC, "ttlSeconds"), 3, "RayJob: ttlSeconds is not a known field"),
    ],
    manifest_checks.autoscaling: [
        ((*SPEC, "enableInTreeAutoscaling"), MISSING, "enableInTreeAutoscaling must be true"),
        ((*SCALER, "version"), "v1", "autoscalerOptions: version must be v2, given: v1"),
        ((*SCALER, "idleTimeoutSeconds"), MISSING, "must be 1 to 1800, given: None"),
        ((*SPOT, "minReplicas"), 1, "gpu-spot: must begin with 0 replicas"),
        ((*ON_DEMAND, "replicas"), 2, "gpu-on-demand: must begin with 0 replicas"),
        ((*SPOT, "minReplicas"), -1, "gpu-spot: must begin with 0 replicas"),
        ((*SPOT, "maxReplicas"), -1, "gpu-spot: maxReplicas must be 1 or more, given: -1"),
    ],
    manifest_checks.head_runs_no_trials: [
        ((*HEAD, "rayStartParams", "num-cpus"), MISSING, 'head: num-cpus must be "0", given: None'),
        ((*HEAD, "rayStartParams", "num-gpus"), 0, 'head: num-gpus must be "0", given: 0'),
        ((*LIMITS, "nvidia.com/gpu"), MISSING, "gpu-spot: no limit nvidia.com/gpu"),
    ],
    manifest_checks.spot_with_fallback: [
        ((*SPOT_POD, "affinity"), MISSING, "no group of workers asks for spot machines"),
        (
            (*SPOT_POD, "tolerations", 1),
            MISSING,
            "gpu-spot: does not tolerate cloud.google.com/gke",
        ),
        (ON_DEMAND, MISSING, "gpu-spot: no group elsewhere has the same containers"),
        ((*LIMITS, "memory"), "20Gi", "gpu-spot: no group elsewhere has the same containers"),
        ((*ON_DEMAND, "priority"), 10, "gpu-spot: priority must be above that of gpu-on-demand"),
        ((*HEAD_POD, "affinity"), MISSING, "head: must not be on a spot machine"),
    ],
    manifest_checks.token: [
        ((*SPEC, "authOptions"), MISSING, "authOptions: mode must be token, given: None"),
        ((*SPEC, "authOptions", "mode"), "disabled", "mode must be token, given: disabled"),
        ((*SPEC, "authOptions", "secretName"), MISSING, "authOptions: secretName is missing"),
    ],
    pod_checks.notice: [
        ((*SPOT_POD, "containers", 0, "lifecycle"), MISSING, "gpu-spot: preStop must be python -m"),
        (
            (*SPOT_POD, "containers", 0, "lifecycle", "preStop", "exec", "command"),
            ["ray", "stop"],
            "gpu-spot: preStop must be python -m sweeps.engine.backend.preemption notify",
        ),
        (
            (*SPOT_POD, "containers", 0, "lifecycle", "preStop", "exec", "command"),
            pod_checks.TELL[:-1],
            "gpu-spot: preStop must be python -m sweeps.engine.backend.preemption notify "
            "--seconds and a",
        ),
        (
            (*SPOT_POD, "containers", 0, "lifecycle", "preStop", "exec", "command", 5),
            "20",
            "gpu-spot: preStop must notify within 5 to 11 s",
        ),
        (
            (*SPOT_POD, "terminationGracePeriodSeconds"),
            5,
            "gpu-spot: terminationGracePeriodSeconds must be 15 to 120",
        ),
        ((*HEAD_POD, "containers", 0, "env"), MISSING, "RAY_JOB_STOP_WAIT_TIME_S must be 60"),
    ],
    pod_checks.services: [
        ((*HEAD, "serviceType"), "LoadBalancer", "must be ClusterIP, given: LoadBalancer"),
        ((*HEAD, "serviceType"), "NodePort", "must be ClusterIP, given: NodePort"),
        ((*HEAD, "headService"), {"spec": {"type": "NodePort"}}, "headService is a NodePort"),
        ((*HEAD, "enableIngress"), True, "head: enableIngress opens the dashboard"),
        ((*HEAD_POD, "hostNetwork"), True, "head: hostNetwork opens its ports"),
        ((*HEAD_POD, "containers", 0, "ports", 0, "hostPort"), 6379, "head: hostPort opens a port"),
    ],
    pod_checks.confined: [
        ((*SPOT_POD, "securityContext", "runAsNonRoot"), MISSING, "gpu-spot: runs as root"),
        ((*HEAD_POD, "securityContext", "runAsUser"), 0, "head: runs as root"),
        ((*HEAD_POD, "securityContext", "seccompProfile"), MISSING, "head: seccompProfile must be"),
        ((*HEAD_POD, "volumes"), [{"hostPath": {"path": "/"}}], "head: hostPath reaches"),
        ((*SPOT_POD, "automountServiceAccountToken"), MISSING, "gpu-spot: automountServiceAccount"),
        (("job", *SUBMITTER, "automountServiceAccountToken"), True, "submitter: automountService"),
        ((*SCALER, "securityContext"), MISSING, "autoscaler: may become root"),
        (
            (*SPOT_POD, "containers", 0, "securityContext", "capabilities"),
            {"add": ["SYS_PTRACE"]},
            "gpu-spot: capabilities must drop ALL",
        ),
    ],
    pod_checks.resources: [
        ((*LIMITS, "memory"), MISSING, "gpu-spot: memory: request 10Gi, limit None"),
        ((*LIMITS, "cpu"), "8", "gpu-spot: cpu: request 3, limit 8"),
        ((*SCALER, "resources"), MISSING, "autoscaler: cpu: request None, limit None"),
    ],
    pod_checks.images: [
        ((*HEAD_POD, "containers", 0, "image"), "game-of-noise", "the tag of game-of-noise moves"),
        (
            (*HEAD_POD, "containers", 0, "image"),
            "game-of-noise:latest",
            "game-of-noise:latest moves",
        ),
        ((*HEAD_POD, "containers", 0, "image"), "game-of-noise:0.2.0", "several images"),
    ],
    manifest_checks.ray_version: [((*SPEC, "rayVersion"), "2.9.0", "given: 2.9.0")],
    pod_checks.secrets: [
        (
            (*HEAD_POD, "containers", 0, "env"),
            [{"name": "RAY_AUTH_TOKEN", "value": "0123"}],
            "RAY_AUTH_TOKEN: a secret in plain text",
        ),
        (
            (*HEAD_POD, "containers", 0, "args"),
            ["AKIA0123456789ABCDEF"],
            "args: a secret in plain text",
        ),
    ],
    manifest_checks.job: [
        (("job", *SPEC, "shutdownAfterJobFinishes"), MISSING, "shutdownAfterJobFinishes must be"),
        (("job", *SPEC, "ttlSecondsAfterFinished"), MISSING, "ttlSecondsAfterFinished must be"),
        (("job", *SPEC, "activeDeadlineSeconds"), MISSING, "nothing bounds the cost"),
        (
            ("job", *SPEC, "entrypoint"),
            "python /home/gon/game-of-noise/sweeps/sigma.py --address auto --storage s3://b/s",
            "there is no /home/gon/game-of-noise/sweeps/sigma.py",
        ),
        (("job", *SPEC, "entrypoint"), f"{SWEEP} --storage s3://b/s", "without --address auto"),
        (
            ("job", *SPEC, "entrypoint"),
            f"{SWEEP} --address auto",
            "--storage must outlive the pods",
        ),
        (("job", *SUBMITTER, "restartPolicy"), "Always", "restartPolicy must be Never"),
    ],
}
BROKEN_ACCESS = [
    ((0, "metadata", "name"), "other", "head: service account game-of-noise-head is not in access"),
    ((POLICY,), MISSING, "there must be one NetworkPolicy"),
    ((POLICY, "spec", "podSelector"), {}, "head: the NetworkPolicy does not cover it"),
    (
        (POLICY, "spec", "podSelector", "matchLabels", "a"),
        "b",
        "gpu-spot: the NetworkPolicy does not",
    ),
    ((POLICY, "spec", "policyTypes"), ["Egress"], "does not restrict Ingress"),
    ((POLICY, "spec", "ingress", 2), {}, "lets more in than pods that it names"),
    (
        (POLICY, "spec", "ingress", 2),
        {"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]},
        "lets more in than pods that it names",
    ),
    ((POLICY, "spec", "ingress", 1, "ports"), MISSING, "opens every port to another namespace"),
]


@pytest.mark.parametrize("name", MANIFESTS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_no_check_finds_a_fault(name, check):
    assert check(MANIFESTS[name]) == []


@pytest.mark.parametrize("name", MANIFESTS)
def test_nothing_reaches_the_pods_from_outside(name):
    assert pod_checks.access(MANIFESTS[name], ACCESS) == []
    assert plain_secrets(ACCESS) == []


@pytest.mark.parametrize(
    ("check", "path", "value", "message"),
    [(check, *row) for check, rows in BROKEN.items() for row in rows],
)
def test_what_is_broken_is_named(check, path, value, message):
    of_job = path[0] == "job"
    faults = check(broken(JOB if of_job else CLUSTER, path[1:] if of_job else path, value))
    assert any(message in fault for fault in faults), faults


def test_every_check_is_shown_something_broken():
    assert set(BROKEN) == set(CHECKS)


@pytest.mark.parametrize(("path", "value", "message"), BROKEN_ACCESS)
def test_an_open_door_is_named(path, value, message):
    faults = pod_checks.access(JOB, broken(ACCESS, path, value))
    assert any(message in fault for fault in faults), faults


def test_a_job_has_the_cluster_that_stays():
    assert JOB["spec"]["rayClusterSpec"] == CLUSTER["spec"]


def test_rays_autoscaler_understands_it():
    """What KubeRay's autoscaler makes of it, validated by Ray."""
    metadata = {"name": "game-of-noise", "namespace": "game-of-noise"}
    config = _derive_autoscaling_config_from_ray_cr(CLUSTER | {"metadata": metadata})
    types = config["available_node_types"]
    head, spot, on_demand = (types[name] for name in ("headgroup", "gpu-spot", "gpu-on-demand"))
    assert (head["resources"]["CPU"], head["resources"]["GPU"], head["max_workers"]) == (0, 0, 0)
    assert spot["resources"] == on_demand["resources"] and spot["resources"]["GPU"] == 1
    assert spot["priority"] > on_demand["priority"]
    assert config["idle_timeout_minutes"] == 5
