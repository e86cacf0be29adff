"""The definitions for ``ray up``, checked as far as they can be without a cloud account.

Ray's own validation, and our checks where it is blind. Each check is also shown definitions with
one thing broken, so that none is there in vain.
"""

import pytest
from ray.autoscaler._private.util import prepare_config, validate_config

from tests.cluster import launcher_checks as checks
from tests.cluster.definitions import MISSING, PROJECT, broken, read

AWS, GCP = read("aws.yaml"), read("gcp.yaml")
TOOL = "sweeps.engine.backend.preemption"
DEFINITIONS = {"aws": AWS, "gcp": GCP}

TYPES = "available_node_types"
HEAD, SPOT, ON_DEMAND = (TYPES, "head"), (TYPES, "gpu_spot"), (TYPES, "gpu_on_demand")
HEAD_NODE, SPOT_NODE, ON_DEMAND_NODE = ((*name, "node_config") for name in (HEAD, SPOT, ON_DEMAND))
MARKET, SCHEDULING = (*SPOT_NODE, "InstanceMarketOptions"), (*SPOT_NODE, "scheduling")
DISK = (*HEAD_NODE, "disks", 0)
SUBNETWORK = ("networkInterfaces", 0, "subnetwork")
RULE = ("provider", "security_group", "IpPermissions", 0)
START_HEAD, START_WORKER = ("head_start_ray_commands", 1), ("worker_start_ray_commands", 1)
TELL = ("worker_start_ray_commands", 2)
OPEN = {"FromPort": 8265, "ToPort": 8265, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
WITH_TOKEN = "RAY_AUTH_MODE=token ray start"
BOOTSTRAP = "--autoscaling-config=~/ray_bootstrap_config.yaml"


def without(definition, target):
    """Return what starts the service that notifies trials, no longer ordered after ``target``."""
    line = definition[TELL[0]][TELL[1]]
    assert f"--property=After={target} " in line
    return line.replace(f"--property=After={target} ", "")


# By check: which definition, where, what is written there, what the message says.
BROKEN = {
    checks.counts: [
        ("aws", ("max_workers",), 19, "max_workers is 19, but the node types allow 20 together"),
        ("aws", (*SPOT, "min_workers"), -1, "gpu_spot: min_workers must be 0 or more, given: -1"),
        ("gcp", (*ON_DEMAND, "max_workers"), -2, "max_workers must be 0 or more, given: -2"),
        ("gcp", (*HEAD, "min_workers"), 1, "head: min_workers (1) is more than max_workers (0)"),
    ],
    checks.shrinks_to_nothing: [
        ("aws", (*SPOT, "min_workers"), 1, "gpu_spot: min_workers must be 0, or GPUs cost"),
        ("gcp", (*SPOT, "max_workers"), 0, "gpu_spot: max_workers is 0, so that there is never"),
        ("aws", ("idle_timeout_minutes",), MISSING, "must be 1 to 30, given: None"),
        ("gcp", ("idle_timeout_minutes",), 0, "must be 1 to 30, given: 0"),
        ("gcp", ("idle_timeout_minutes",), 600, "must be 1 to 30, given: 600"),
        ("aws", ("provider", "cache_stopped_nodes"), MISSING, "cache_stopped_nodes must be false"),
        (
            "aws",
            (*HEAD_NODE, "BlockDeviceMappings"),
            [{"Ebs": {}}],
            "head: a disk stays, and costs",
        ),
        ("gcp", (*DISK, "autoDelete"), MISSING, "head: a disk stays, and costs"),
    ],
    checks.head_runs_no_trials: [
        ("aws", (*HEAD, "resources"), {}, "head: resources must say CPU: 0"),
        ("gcp", (*HEAD, "resources", "GPU"), 1, "head: resources must say GPU: 0"),
        ("gcp", (*HEAD, "max_workers"), 1, "head: max_workers must be 0"),
        ("aws", (*SPOT, "resources", "GPU"), MISSING, "gpu_spot: resources must name GPU"),
    ],
    checks.spot_with_fallback: [
        ("aws", MARKET, MISSING, "no type of workers is on spot"),
        ("aws", (*MARKET, "MarketType"), "Spot", "no type of workers is on spot"),
        ("gcp", SCHEDULING, [{"preemptible": True}], "no type of workers is on spot"),
        ("aws", (*HEAD_NODE, MARKET[-1]), {"MarketType": "spot"}, "head: must not be on spot"),
        ("aws", (*ON_DEMAND_NODE, "InstanceType"), "g6.2xlarge", "gpu_spot: no on-demand type has"),
        ("gcp", (*ON_DEMAND, "resources", "CPU"), 8, "gpu_spot: no on-demand type has the same"),
        ("gcp", ON_DEMAND, MISSING, "gpu_spot: no on-demand type has the same machine"),
        ("aws", (*SPOT, "priority"), 0, "priority (0) must be above that of gpu_on_demand (0)"),
        ("gcp", (*SPOT, "priority"), MISSING, "priority (0) must be above that of gpu_on_demand"),
        (
            "aws",
            (*MARKET, "SpotOptions", "InstanceInterruptionBehavior"),
            "stop",
            "gpu_spot: InstanceInterruptionBehavior must be terminate, given: stop",
        ),
        (
            "gcp",
            (*SCHEDULING, "instanceTerminationAction"),
            MISSING,
            "gpu_spot: instanceTerminationAction must be DELETE, given: None",
        ),
        (
            "gcp",
            (*ON_DEMAND_NODE, "scheduling", "onHostMaintenance"),
            "MIGRATE",
            "gpu_on_demand: onHostMaintenance must be TERMINATE, given: MIGRATE",
        ),
        (
            "gcp",
            (*SCHEDULING, "preemptible"),
            True,
            "gpu_spot: preemptible machines end after a day",
        ),
    ],
    checks.token: [
        ("aws", ("file_mounts", checks.TOKEN), MISSING, "from ~/.ray/auth_token, given: None"),
        ("gcp", ("file_mounts", checks.TOKEN), "auth_token", "given: auth_token"),
        ("aws", ("setup_commands", 0), "true", "chmod 600 ~/.ray/auth_token is missing"),
        ("aws", START_HEAD, "ray start --head", "head_start_ray_commands: ray start without"),
        ("gcp", START_WORKER, "ray start", "worker_start_ray_commands: ray start without"),
    ],
    checks.ingress: [
        ("aws", RULE, OPEN, "ports 8265 to 8265 are opened; only SSH may be"),
        ("aws", RULE, OPEN | {"FromPort": 22, "ToPort": 22}, "EC2 refuses Ray's own rule a second"),
        (
            "aws",
            RULE,
            {"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]},
            "ports all to all",
        ),
        ("aws", ("provider", "security_group"), MISSING, "security_group: GroupName is missing"),
        ("aws", (*HEAD_NODE, "SecurityGroupIds"), ["sg-1"], "head: SecurityGroupIds, whose rules"),
        (
            "gcp",
            (*SPOT_NODE, *SUBNETWORK),
            "subnetworks/default",
            "gpu_spot: the network `default`",
        ),
        ("gcp", (*SPOT_NODE, "networkInterfaces"), MISSING, "gpu_spot: the network `default`"),
        ("gcp", (*SPOT_NODE, "tags", "items"), ["other"], "not all in one network with one tag"),
        ("gcp", START_HEAD, "--dashboard-host=0.0.0.0", "must be 127.0.0.1, given: 0.0.0.0"),
        ("aws", START_HEAD, WITH_TOKEN, "--dashboard-host must be 127.0.0.1, given: None"),
    ],
    checks.notice: [
        ("aws", START_WORKER, "ray start", "Ray is in no scope game-of-noise-ray"),
        (
            "gcp",
            TELL,
            "sweeps.engine.backend.preemption watch aws",
            "nobody watches for what gcp says",
        ),
        ("aws", TELL, "true", "--property=After=game-of-noise-ray.scope is missing"),
        (
            "gcp",
            TELL,
            MISSING,
            "sweeps.engine.backend.preemption notify is missing, a shutdown would tell",
        ),
        ("aws", TELL, without(AWS, "network.target"), "After=network.target is missing, it may"),
        ("gcp", TELL, without(GCP, "nss-lookup.target"), "After=nss-lookup.target is missing"),
    ],
    checks.places: [
        ("aws", ("provider", "region"), "us-east-1", "zone us-west-2a is not in us-east-1"),
        ("gcp", (*DISK, "initializeParams", "diskType"), MISSING, "head: diskType is not of zone"),
        ("gcp", ("provider", "availability_zone"), "us-central1-b", "not of zone us-central1-b"),
        ("gcp", (*HEAD_NODE, *SUBNETWORK), "regions/us-east1/subnetworks/n", "not in us-central1"),
    ],
    checks.fields: [
        (
            "aws",
            (*HEAD_NODE, "Imageid"),
            "ami-1",
            "head: Imageid is not a known field; did you mean",
        ),
        ("gcp", (*SPOT_NODE, "tag"), {}, "gpu_spot: tag is not a known field; did you mean tags?"),
    ],
    checks.project: [
        ("aws", ("file_mounts", PROJECT), "project", "file_mounts: project does not exist"),
        ("aws", ("file_mounts", PROJECT), "cluster", "~/game-of-noise has no pyproject.toml"),
        ("gcp", ("file_mounts", PROJECT), MISSING, "~/game-of-noise is not on the nodes"),
        ("gcp", ("setup_commands", 1), f"bash {PROJECT}/install.sh", "install.sh does not exist"),
        ("aws", ("setup_commands", 5), "uv sync --python 3.9", "Python 3.9, the project needs >="),
        ("aws", ("setup_commands", 5), "uv sync", "setup_commands: uv sync --python is missing"),
        ("gcp", ("setup_commands", 3), "pipx install uv", "setup_commands: uv has no version"),
        ("gcp", ("rsync_filter",), MISSING, "rsync_filter: environments and results are sent too"),
    ],
    checks.ray_start: [
        ("aws", START_WORKER, f"{WITH_TOKEN} --address=$RAY_HEAD_IP:6380", "another port than the"),
        (
            "gcp",
            START_HEAD,
            f"{WITH_TOKEN} --port=6380 {BOOTSTRAP}",
            "another port than the head's",
        ),
        ("gcp", START_HEAD, f"{WITH_TOKEN} --port=6379", "without --autoscaling-config nothing"),
    ],
    checks.secrets: [
        ("aws", ("provider", "aws_credentials"), {}, "provider: aws_credentials; credentials come"),
        ("gcp", ("metadata",), {"password": "x"}, "password: a secret in plain text"),
        ("gcp", ("metadata",), {"note": "AKIA0123456789ABCDEF"}, "note: a secret in plain text"),
        ("aws", ("setup_commands", 0), "export RAY_AUTH_TOKEN=01", "a secret in plain text"),
    ],
    checks.sources: [
        (
            "gcp",
            ("setup_commands", 0),
            "curl https://example.org/i | sh",
            "names a host: https://ex",
        ),
        (
            "aws",
            ("head_setup_commands", 0),
            "pip install --index-url mirror boto3",
            "index-url mir",
        ),
        ("aws", ("initialization_commands",), ["pip install git+ssh://x"], "names a host: git+ssh"),
    ],
}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_ray_itself_accepts_it(name):
    validate_config(prepare_config(DEFINITIONS[name]))


@pytest.mark.parametrize("name", DEFINITIONS)
@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
def test_no_check_finds_a_fault(name, check):
    assert check(DEFINITIONS[name]) == []


@pytest.mark.parametrize(
    ("check", "name", "path", "value", "message"),
    [(check, *row) for check, rows in BROKEN.items() for row in rows],
)
def test_what_is_broken_is_named(check, name, path, value, message):
    faults = check(broken(DEFINITIONS[name], path, value))
    assert any(message in fault for fault in faults), faults


def test_every_check_is_shown_something_broken():
    assert set(BROKEN) == set(checks.CHECKS)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((*SPOT, "min_workers"), -1),
        ((*HEAD_NODE, "Imageid"), "ami-1"),
        ((*MARKET, "MarketType"), "Spot"),
        (("file_mounts", checks.TOKEN), MISSING),
        (RULE, OPEN),
    ],
)
def test_ray_is_blind_where_we_check(path, value):
    validate_config(prepare_config(broken(DEFINITIONS["aws"], path, value)))


def test_the_clouds_differ_in_their_machines_alone():
    aws, gcp = (
        {key: value for key, value in found.items() if key not in ("provider", TYPES)}
        for found in DEFINITIONS.values()
    )
    assert aws.pop("head_setup_commands") != gcp.pop("head_setup_commands")
    for cloud, found in (("aws", aws), ("gcp", gcp)):  # each asks its own
        found[TELL[0]] = [line.replace(f"watch {cloud}", "watch") for line in found[TELL[0]]]
    assert aws == gcp
