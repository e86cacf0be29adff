"""What nobody checks in manifests for KubeRay. Each check returns the faults it finds."""

import difflib
import shlex

from tests.cluster.definitions import ROOT
from tests.cluster.pod_checks import Manifest, cluster_spec

MAX_IDLE_SECONDS = 1800
SPOT_LABELS = {
    "cloud.google.com/gke-spot": "true",
    "karpenter.sh/capacity-type": "spot",
    "eks.amazonaws.com/capacityType": "SPOT",
}
# Of KubeRay 1.7, those that may be used here: kubectl refuses a field that the installed one lacks.
FIELDS = {
    "RayJob": (
        "activeDeadlineSeconds", "backoffLimit", "entrypoint", "rayClusterSpec",
        "shutdownAfterJobFinishes", "submissionMode", "submitterConfig", "submitterPodTemplate",
        "suspend", "ttlSecondsAfterFinished",
    ),
    "RayCluster": (
        "authOptions", "autoscalerOptions", "enableInTreeAutoscaling", "headGroupSpec",
        "rayVersion", "suspend", "workerGroupSpecs",
    ),
    "authOptions": ("mode", "secretName"),
    "autoscalerOptions": (
        "env", "idleTimeoutSeconds", "resources", "securityContext", "upscalingMode", "version",
    ),
    "headGroupSpec": (
        "enableIngress", "headService", "labels", "rayStartParams", "serviceType", "template",
    ),
    "workerGroupSpecs": (
        "groupName", "idleTimeoutSeconds", "labels", "maxReplicas", "minReplicas", "priority",
        "rayStartParams", "replicas", "template",
    ),
}  # fmt: skip


def fields(manifest: Manifest) -> list[str]:
    """Names that KubeRay knows."""
    spec, faults = cluster_spec(manifest), []
    parts = [("RayCluster", spec), (manifest["kind"], manifest["spec"])]
    for part in ("authOptions", "autoscalerOptions", "headGroupSpec"):
        parts.append((part, spec.get(part, {})))
    parts += [("workerGroupSpecs", group) for group in spec["workerGroupSpecs"]]
    for part, found in parts:
        for field in sorted(set(found) - set(FIELDS[part])):
            nearest = difflib.get_close_matches(field, FIELDS[part], 1)
            hint = f"; did you mean {nearest[0]}?" if nearest else ""
            faults.append(f"{part}: {field} is not a known field{hint}")
    if manifest["apiVersion"] != "ray.io/v1":
        faults.append(f"apiVersion must be ray.io/v1, given: {manifest['apiVersion']}")
    return sorted(set(faults))


def autoscaling(manifest: Manifest) -> list[str]:
    """Workers come and go with the work, from none."""
    spec, faults = cluster_spec(manifest), []
    if spec.get("enableInTreeAutoscaling") is not True:
        faults.append("enableInTreeAutoscaling must be true")
    options = spec.get("autoscalerOptions", {})
    if options.get("version") != "v2":
        faults.append(f"autoscalerOptions: version must be v2, given: {options.get('version')}")
    idle = options.get("idleTimeoutSeconds")
    if idle is None or not 0 < idle <= MAX_IDLE_SECONDS:
        faults.append(f"idleTimeoutSeconds must be 1 to {MAX_IDLE_SECONDS}, given: {idle}")
    for group in spec["workerGroupSpecs"]:
        name, low, high = group["groupName"], group["minReplicas"], group["maxReplicas"]
        if low != 0 or group.get("replicas", 0) != 0:
            faults.append(f"{name}: must begin with 0 replicas, or GPUs cost without a sweep")
        if high < 1:
            faults.append(f"{name}: maxReplicas must be 1 or more, given: {high}")
    return faults


def head_runs_no_trials(manifest: Manifest) -> list[str]:
    """The head runs no trials, and every worker has a GPU."""
    spec = cluster_spec(manifest)
    given = spec["headGroupSpec"]["rayStartParams"]
    faults = [
        f'head: {name} must be "0", given: {given.get(name)!r}'
        for name in ("num-cpus", "num-gpus")
        if given.get(name) != "0"
    ]
    for group in spec["workerGroupSpecs"]:
        limits = group["template"]["spec"]["containers"][0]["resources"].get("limits", {})
        if int(limits.get("nvidia.com/gpu", 0)) < 1:
            faults.append(f"{group['groupName']}: no limit nvidia.com/gpu, it would have no GPU")
    return faults


def spot_with_fallback(manifest: Manifest) -> list[str]:
    """A group on spot machines, the same group elsewhere as second choice, and a head elsewhere."""
    spec, faults = cluster_spec(manifest), []
    groups = spec["workerGroupSpecs"]
    spot = [group for group in groups if _asks_for_spot(group["template"])]
    if not spot:
        faults.append("no group of workers asks for spot machines")
    for group in spot:
        tolerated = {(t["key"], t.get("value")) for t in group["template"]["spec"]["tolerations"]}
        faults += [
            f"{group['groupName']}: does not tolerate {label}={value}"
            for label, value in SPOT_LABELS.items()
            if (label, value) not in tolerated
        ]
        twins = [
            other
            for other in groups
            if _avoids_spot(other["template"])
            and other["template"]["spec"]["containers"] == group["template"]["spec"]["containers"]
        ]
        if not twins:
            faults.append(f"{group['groupName']}: no group elsewhere has the same containers")
        faults += [
            f"{group['groupName']}: priority must be above that of {twin['groupName']}"
            for twin in twins
            if group.get("priority", 0) <= twin.get("priority", 0)
        ]
    if not _avoids_spot(spec["headGroupSpec"]["template"]):
        faults.append("head: must not be on a spot machine, the driver goes with it")
    return faults


def _terms(template: Manifest) -> list[list[Manifest]]:
    affinity = template["spec"].get("affinity", {}).get("nodeAffinity", {})
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {})
    return [term["matchExpressions"] for term in required.get("nodeSelectorTerms", [])]


def _asks_for_spot(template: Manifest) -> bool:
    asked = [term[0] for term in _terms(template) if len(term) == 1]
    return {e["key"]: e["values"][0] for e in asked if e["operator"] == "In"} == SPOT_LABELS


def _avoids_spot(template: Manifest) -> bool:
    terms = _terms(template)
    avoided = (
        {e["key"]: e["values"][0] for e in terms[0] if e["operator"] == "NotIn"} if terms else {}
    )
    return len(terms) == 1 and avoided == SPOT_LABELS


def token(manifest: Manifest) -> list[str]:
    """The operator gives the token of a Secret to every container."""
    options = cluster_spec(manifest).get("authOptions", {})
    faults = []
    if options.get("mode") != "token":
        faults.append(f"authOptions: mode must be token, given: {options.get('mode')}")
    if not options.get("secretName"):
        faults.append("authOptions: secretName is missing")
    return faults


def ray_version(manifest: Manifest) -> list[str]:
    """The version that the operator takes for granted is the one that is installed."""
    import ray

    given = cluster_spec(manifest).get("rayVersion")
    wrong = given != ray.__version__
    return [f"rayVersion must be {ray.__version__}, given: {given}"] if wrong else []


def job(manifest: Manifest) -> list[str]:
    """A job runs one sweep of ours on its own cluster, and ends."""
    if manifest["kind"] != "RayJob":
        return []
    spec, faults = manifest["spec"], []
    if spec.get("shutdownAfterJobFinishes") is not True:
        faults.append("shutdownAfterJobFinishes must be true, or the cluster stays")
    if not 0 < spec.get("ttlSecondsAfterFinished", 0) <= 3600:
        faults.append("ttlSecondsAfterFinished must be 1 to 3600")
    if spec.get("activeDeadlineSeconds", 0) < 1:
        faults.append("activeDeadlineSeconds is missing: nothing bounds the cost")
    python, script, *options = shlex.split(spec["entrypoint"])
    if python != "python" or not (ROOT / script.partition("/game-of-noise/")[2]).is_file():
        faults.append(f"entrypoint: there is no {script}")
    given = dict(zip(options[::2], options[1::2], strict=False))
    if given.get("--address") != "auto":
        faults.append("entrypoint: without --address auto it starts a Ray of its own on the head")
    if not given.get("--storage", "").startswith(("s3://", "gs://")):
        faults.append("entrypoint: --storage must outlive the pods")
    if spec["submitterPodTemplate"]["spec"].get("restartPolicy") != "Never":
        faults.append("submitter: restartPolicy must be Never")
    return faults


CHECKS = (fields, autoscaling, head_runs_no_trials, spot_with_fallback, token, ray_version, job)
