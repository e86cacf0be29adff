"""What nobody checks of pods and services for Ray. Each check returns the faults it finds."""

import re
from collections.abc import Iterator
from typing import Any

from tests.cluster.definitions import plain_secrets

Manifest = dict[str, Any]
TELL = ["python", "-m", "sweeps.engine.backend.preemption", "notify", "--seconds"]
TELL_SECONDS = 11  # of the 15 that a pod has on GKE's spot machines; Python starts, Ray ends
STOP_WAIT = "RAY_JOB_STOP_WAIT_TIME_S"


def cluster_spec(manifest: Manifest) -> Manifest:
    """Return the specification of the Ray cluster in a RayCluster or RayJob."""
    spec = manifest["spec"]
    return spec["rayClusterSpec"] if manifest["kind"] == "RayJob" else spec


def templates(manifest: Manifest) -> Iterator[tuple[str, Manifest]]:
    """Yield the name and the pod template of head, workers and, of a job, what submits it."""
    spec = cluster_spec(manifest)
    yield "head", spec["headGroupSpec"]["template"]
    for group in spec["workerGroupSpecs"]:
        yield group["groupName"], group["template"]
    if manifest["kind"] == "RayJob":
        yield "submitter", manifest["spec"]["submitterPodTemplate"]


def containers(manifest: Manifest) -> Iterator[tuple[str, Manifest]]:
    """Yield the name and the specification of every container, the autoscaler's too."""
    for name, template in templates(manifest):
        for container in template["spec"]["containers"]:
            yield name, container
    yield "autoscaler", cluster_spec(manifest)["autoscalerOptions"]


def services(manifest: Manifest) -> list[str]:
    """Nothing is reached from outside of the Kubernetes cluster."""
    faults = []
    head = cluster_spec(manifest)["headGroupSpec"]
    if head.get("serviceType") != "ClusterIP":
        faults.append(f"head: serviceType must be ClusterIP, given: {head.get('serviceType')}")
    if head.get("enableIngress"):
        faults.append("head: enableIngress opens the dashboard")
    if head.get("headService", {}).get("spec", {}).get("type", "ClusterIP") != "ClusterIP":
        faults.append(f"head: headService is a {head['headService']['spec']['type']}")
    for name, template in templates(manifest):
        if template["spec"].get("hostNetwork"):
            faults.append(f"{name}: hostNetwork opens its ports on the machine")
    for name, container in containers(manifest):
        if any("hostPort" in port for port in container.get("ports", [])):
            faults.append(f"{name}: hostPort opens a port on the machine")
    return faults


def notice(manifest: Manifest) -> list[str]:
    """A pod that is to end notifies its trials, and a sweep that is terminated has time to stop."""
    faults = []
    for name, template in templates(manifest):
        (container,) = template["spec"]["containers"]
        hook = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", [])
        is_worker = name not in ("head", "submitter")
        if is_worker and hook[:-1] != TELL:
            faults.append(f"{name}: preStop must be {' '.join(TELL)} and a number")
        elif is_worker and not 5 <= float(hook[-1]) <= TELL_SECONDS:
            faults.append(f"{name}: preStop must notify within 5 to {TELL_SECONDS} s")
        if is_worker and not 15 <= template["spec"].get("terminationGracePeriodSeconds", 30) <= 120:
            faults.append(f"{name}: terminationGracePeriodSeconds must be 15 to 120")
        wait = [each for each in container.get("env", []) if each["name"] == STOP_WAIT]
        if name == "head" and not any(int(each["value"]) >= 60 for each in wait):
            faults.append(f"head: {STOP_WAIT} must be 60 or more")
    return faults


def confined(manifest: Manifest) -> list[str]:
    """No root, no capabilities, nothing of the machine, no right to ask Kubernetes."""
    faults = []
    for name, template in templates(manifest):
        pod = template["spec"]
        user = pod.get("securityContext", {})
        if user.get("runAsNonRoot") is not True or user.get("runAsUser", 0) == 0:
            faults.append(f"{name}: runs as root")
        if user.get("seccompProfile", {}).get("type") != "RuntimeDefault":
            faults.append(f"{name}: seccompProfile must be RuntimeDefault")
        if any("hostPath" in volume for volume in pod.get("volumes", [])):
            faults.append(f"{name}: hostPath reaches the machine's files")
        if name != "head" and pod.get("automountServiceAccountToken") is not False:
            faults.append(f"{name}: automountServiceAccountToken must be false")
    for name, container in containers(manifest):
        context = container.get("securityContext", {})
        if context.get("allowPrivilegeEscalation") is not False or context.get("privileged"):
            faults.append(f"{name}: may become root")
        if context.get("capabilities") != {"drop": ["ALL"]}:
            faults.append(f"{name}: capabilities must drop ALL")
    return faults


def resources(manifest: Manifest) -> list[str]:
    """Every container says what it needs, and gets no more: else one starves the others."""
    faults = []
    for name, container in containers(manifest):
        given = container.get("resources", {})
        for resource in ("cpu", "memory"):
            asked, limit = (given.get(key, {}).get(resource) for key in ("requests", "limits"))
            if asked is None or asked != limit:
                faults.append(
                    f"{name}: {resource}: request {asked}, limit {limit}; must be the same"
                )
    return faults


def images(manifest: Manifest) -> list[str]:
    """One image everywhere, with a tag that does not move."""
    named = [
        (name, container["image"])
        for name, container in containers(manifest)
        if "image" in container
    ]
    faults = [
        f"{name}: the tag of {image} moves, or there is none"
        for name, image in named
        if not re.search(r":v?\d[\w.-]*$", image)
    ]
    if len({image for _, image in named}) != 1:
        faults.append("several images: all pods must have the same versions")
    return faults


def secrets(manifest: Manifest) -> list[str]:
    """Nothing secret is written down."""
    return plain_secrets(manifest)


def access(manifest: Manifest, documents: list[Manifest]) -> list[str]:
    """Only pods of the cluster and the operator reach a pod, and each has an account of ours."""
    faults = []
    named = {(document["kind"], document["metadata"]["name"]) for document in documents}
    for name, template in templates(manifest):
        account = template["spec"].get("serviceAccountName")
        if name != "submitter" and ("ServiceAccount", account) not in named:
            faults.append(f"{name}: service account {account} is not in access.yaml")
    policies = [document for document in documents if document["kind"] == "NetworkPolicy"]
    if len(policies) != 1:
        return [*faults, "there must be one NetworkPolicy"]
    spec = policies[0]["spec"]
    selected = spec["podSelector"].get("matchLabels", {})
    for name, template in templates(manifest):
        if not selected or not selected.items() <= template["metadata"]["labels"].items():
            faults.append(f"{name}: the NetworkPolicy does not cover it")
    if "Ingress" not in spec["policyTypes"]:
        faults.append("the NetworkPolicy does not restrict Ingress")
    for rule in spec["ingress"]:
        if not rule.get("from") or any("podSelector" not in peer for peer in rule["from"]):
            faults.append("the NetworkPolicy lets more in than pods that it names")
        elif any("namespaceSelector" in peer for peer in rule["from"]) and not rule.get("ports"):
            faults.append("the NetworkPolicy opens every port to another namespace")
    return faults


CHECKS = (services, notice, confined, resources, images, secrets)
