"""What ``ray up`` does not check in cluster definitions. Each check returns the faults it finds."""

import difflib
import re
import tomllib

from tests.cluster.definitions import PROJECT, ROOT, hosts, plain_secrets
from tests.cluster.spot_checks import Config, spot_with_fallback, workers

TOKEN = "~/.ray/auth_token"
SSH = 22
MAX_IDLE_MINUTES = 30
COMMANDS = (
    "initialization_commands", "setup_commands", "head_setup_commands", "worker_setup_commands",
    "head_start_ray_commands", "worker_start_ray_commands",
)  # fmt: skip
# Of RunInstances and of Instance, those that a node type may need.
FIELDS = {
    "aws": (
        "BlockDeviceMappings", "CapacityReservationSpecification", "EbsOptimized",
        "IamInstanceProfile", "ImageId", "InstanceMarketOptions", "InstanceType", "KeyName",
        "LaunchTemplate", "MetadataOptions", "Monitoring", "NetworkInterfaces", "Placement",
        "SecurityGroupIds", "SubnetIds", "TagSpecifications", "UserData",
    ),
    "gcp": (
        "disks", "guestAccelerators", "labels", "machineType", "metadata", "minCpuPlatform",
        "networkInterfaces", "reservationAffinity", "scheduling", "serviceAccounts",
        "shieldedInstanceConfig", "sourceInstanceTemplate", "tags",
    ),
}  # fmt: skip


def counts(config: Config) -> list[str]:
    """Numbers of workers: none negative, none that contradicts another."""
    faults, total = [], config["max_workers"]
    for name, node in config["available_node_types"].items():
        low, high = node["min_workers"], node["max_workers"]
        faults += [
            f"{name}: {key} must be 0 or more, given: {node[key]}"
            for key in ("min_workers", "max_workers")
            if node[key] < 0
        ]
        if low > high >= 0:
            faults.append(f"{name}: min_workers ({low}) is more than max_workers ({high})")
    if total < (together := sum(node["max_workers"] for node in workers(config).values())):
        faults.append(f"max_workers is {total}, but the node types allow {together} together")
    return faults


def shrinks_to_nothing(config: Config) -> list[str]:
    """Without a sweep there is no GPU, and what is ended costs nothing more."""
    faults = []
    for name, node in workers(config).items():
        if node["min_workers"] > 0:
            faults.append(f"{name}: min_workers must be 0, or GPUs cost without a sweep")
        if node["max_workers"] == 0:
            faults.append(f"{name}: max_workers is 0, so that there is never one")
    idle = config.get("idle_timeout_minutes")
    if idle is None or not 0 < idle <= MAX_IDLE_MINUTES:
        faults.append(f"idle_timeout_minutes must be 1 to {MAX_IDLE_MINUTES}, given: {idle}")
    provider = config["provider"]
    if provider["type"] == "aws" and provider.get("cache_stopped_nodes", True):
        faults.append("provider: cache_stopped_nodes must be false, a stopped machine's disk costs")
    for name, node in config["available_node_types"].items():
        disks = node["node_config"].get("BlockDeviceMappings", node["node_config"].get("disks", []))
        kept = [
            disk
            for disk in disks
            if not disk.get("Ebs", {}).get("DeleteOnTermination", disk.get("autoDelete"))
        ]
        if kept or not disks:
            faults.append(f"{name}: a disk stays, and costs, after the machine is gone")
    return faults


def head_runs_no_trials(config: Config) -> list[str]:
    """The head runs no trials, and every worker has."""
    head = config["available_node_types"][config["head_node_type"]]
    faults = [
        f"head: resources must say {name}: 0, or Ray counts those of the machine"
        for name in ("CPU", "GPU")
        if head["resources"].get(name) != 0
    ]
    if head["max_workers"] != 0:
        faults.append("head: max_workers must be 0, or there are workers of its type")
    faults += [
        f"{name}: resources must name {resource}, or no trial is placed there"
        for name, node in workers(config).items()
        for resource in ("CPU", "GPU")
        if node["resources"].get(resource, 0) < 1
    ]
    return faults


def token(config: Config) -> list[str]:
    """Every node has the token, readable by its user alone, and Ray asks for it."""
    faults = []
    if (source := config["file_mounts"].get(TOKEN)) != TOKEN:
        faults.append(f"file_mounts: {TOKEN} must come from {TOKEN}, given: {source}")
    if not any(f"chmod 600 {TOKEN}" in line for line in config["setup_commands"]):
        faults.append(f"setup_commands: chmod 600 {TOKEN} is missing")
    for key in ("head_start_ray_commands", "worker_start_ray_commands"):
        if not any("RAY_AUTH_MODE=token ray start " in line for line in config[key]):
            faults.append(f"{key}: ray start without RAY_AUTH_MODE=token")
    return faults


def ingress(config: Config) -> list[str]:
    """Nothing comes in from outside but SSH; Ray's own rules for AWS are that and the group."""
    provider, faults = config["provider"], []
    for rule in provider.get("security_group", {}).get("IpPermissions", []):
        if rule.get("IpRanges") or rule.get("Ipv6Ranges") or rule.get("PrefixListIds"):
            ports = f"{rule.get('FromPort', 'all')} to {rule.get('ToPort', 'all')}"
            same = (rule.get("FromPort"), rule.get("ToPort")) == (SSH, SSH)
            why = "EC2 refuses Ray's own rule a second time" if same else "only SSH may be"
            faults.append(f"security_group: ports {ports} are opened; {why}")
    if provider["type"] == "aws" and "GroupName" not in provider.get("security_group", {}):
        faults.append("security_group: GroupName is missing, the group of the docs is not used")
    networks = set()
    for name, node in config["available_node_types"].items():
        fields = node["node_config"]
        if "SecurityGroupIds" in fields:
            faults.append(f"{name}: SecurityGroupIds, whose rules are not known here")
        if provider["type"] == "gcp":
            (interface,) = fields.get("networkInterfaces", [{}])
            subnetwork = interface.get("subnetwork", "default")
            if subnetwork.endswith("default"):
                faults.append(f"{name}: the network `default` is open for more than SSH")
            else:
                networks.add((subnetwork, tuple(fields.get("tags", {}).get("items", []))))
    if len(networks) > 1:
        faults.append("the node types are not all in one network with one tag")
    dashboards = re.findall(
        r"--dashboard-host[= ](\S+)", " ".join(config["head_start_ray_commands"])
    )
    if dashboards != ["127.0.0.1"]:
        faults.append(f"--dashboard-host must be 127.0.0.1, given: {' '.join(dashboards) or None}")
    return faults


def places(config: Config) -> list[str]:
    """Region, zones, disks and networks fit together."""
    provider = config["provider"]
    region, zones = provider["region"], provider["availability_zone"].split(",")
    faults = [f"zone {zone} is not in {region}" for zone in zones if not zone.startswith(region)]
    for name, node in config["available_node_types"].items():
        for disk in node["node_config"].get("disks", []):
            kind = disk["initializeParams"].get("diskType", "")
            if not kind.startswith(f"zones/{zones[0]}/diskTypes/"):
                faults.append(f"{name}: diskType is not of zone {zones[0]}: {kind or None}")
        for interface in node["node_config"].get("networkInterfaces", []):
            if f"regions/{region}/" not in interface.get("subnetwork", ""):
                faults.append(f"{name}: the subnetwork is not in {region}")
    return faults


def fields(config: Config) -> list[str]:
    """Names in node_config that the provider knows: Ray hands on whatever stands there."""
    known = FIELDS[config["provider"]["type"]]
    faults = []
    for name, node in config["available_node_types"].items():
        for field in sorted(set(node["node_config"]) - set(known)):
            nearest = difflib.get_close_matches(field, known, 1)
            hint = f"; did you mean {nearest[0]}?" if nearest else ""
            faults.append(f"{name}: {field} is not a known field{hint}")
    return faults


def project(config: Config) -> list[str]:
    """The project is on every node, and installed there from its pyproject.toml."""
    faults, mounts = [], config["file_mounts"]
    setup = [*config["setup_commands"], *config.get("head_setup_commands", [])]
    faults += [
        f"file_mounts: {source} does not exist"
        for source in mounts.values()
        if not source.startswith("~") and not (ROOT / source).exists()
    ]
    for folder in sorted(set(re.findall(r"\bcd (\S+)", " ".join(setup)))):
        if folder not in mounts:
            faults.append(f"setup_commands: {folder} is not on the nodes")
        elif not (ROOT / mounts[folder] / "pyproject.toml").exists():
            faults.append(f"setup_commands: {folder} has no pyproject.toml")
    for file in sorted(set(re.findall(rf"{PROJECT}/(\S+)", " ".join(setup)))):
        if not (ROOT / file).exists():
            faults.append(f"setup_commands: {file} does not exist")
    synced = re.findall(r"uv sync[^&;]*--python (\d+\.\d+)", " ".join(config["setup_commands"]))
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    if len(synced) != 1:
        faults.append("setup_commands: uv sync --python is missing")
    elif _version(synced[0]) < _version(oldest.strip(">=")):
        faults.append(f"setup_commands: Python {synced[0]}, the project needs {oldest}")
    if re.search(r"install uv(?!==\d)", " ".join(setup)):
        faults.append("setup_commands: uv has no version")
    if config.get("rsync_filter") != [".gitignore"]:
        faults.append("rsync_filter: environments and results are sent too")
    return faults


def _version(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


def ray_start(config: Config) -> list[str]:
    """Workers find the head, and the head has an autoscaler."""
    head, worker = (" ".join(config[f"{who}_start_ray_commands"]) for who in ("head", "worker"))
    faults, port = [], re.findall(r"--port=(\d+)", head)
    if re.findall(r"--address=\$RAY_HEAD_IP:(\d+)", worker) != port:
        faults.append("worker_start_ray_commands: another port than the head's")
    if "--autoscaling-config=~/ray_bootstrap_config.yaml" not in head:
        faults.append("head_start_ray_commands: without --autoscaling-config nothing scales")
    return faults


def notice(config: Config) -> list[str]:
    """A machine that is reclaimed or shuts down notifies its trials before Ray ends them.

    Whatever the service is started after, systemd ends after it; the network targets are passive,
    and to be wanted by nobody but what provides them.
    """
    key, scope = "worker_start_ray_commands", "game-of-noise-ray"
    faults, kind = [], config["provider"]["type"]
    starts = [line for line in config[key] if "ray start" in line]
    if not all(f"--scope --unit={scope} " in line for line in starts):
        faults.append(f"{key}: Ray is in no scope {scope}, and may be ended before its trials")
    telling = [line for line in config[key] if "sweeps.engine.backend.preemption" in line]
    if not any(f"sweeps.engine.backend.preemption watch {kind}" in line for line in telling):
        faults.append(f"{key}: nobody watches for what {kind} says of the machine's end")
    for part in (f"--property=After={scope}.scope ", "sweeps.engine.backend.preemption notify"):
        if not any(part in line for line in telling):
            faults.append(f"{key}: {part.strip()} is missing, a shutdown would tell no trial")
    for target in ("network.target", "nss-lookup.target"):
        if not any(f"--property=After={target} " in line for line in telling):
            faults.append(f"{key}: After={target} is missing, it may end before the uploads")
    return faults


def secrets(config: Config) -> list[str]:
    """Nothing secret is written down."""
    faults = plain_secrets(config)
    faults += [
        f"provider: {key}; credentials come from the machine or the environment"
        for key in ("aws_credentials", "gcp_credentials")
        if key in config["provider"]
    ]
    return faults


def sources(config: Config) -> list[str]:
    """No command says where packages come from."""
    return [f"{key}: {fault}" for key in COMMANDS for fault in hosts(config.get(key, []))]


CHECKS = (
    counts, shrinks_to_nothing, head_runs_no_trials, spot_with_fallback, token, ingress, places,
    fields, project, ray_start, notice, secrets, sources,
)  # fmt: skip
