"""What Ray's own AWS provider makes of cluster/aws.yaml, against a simulated EC2."""

import pytest

from tests.cluster.definitions import read

pytest.importorskip("boto3", reason="only who starts clusters has it")
moto = pytest.importorskip("moto", reason="the simulated EC2")
pytestmark = pytest.mark.cluster

ADDRESS = "203.0.113.7/32"


@pytest.fixture(scope="module", params=["made as in the docs", "made by Ray"])
def started(request, tmp_path_factory):
    """Who made the security group, the definition as completed by Ray, nodes by type, the group."""
    import boto3
    from ray.autoscaler._private.aws import config as bootstrap
    from ray.autoscaler._private.aws import node_provider, utils
    from ray.autoscaler._private.util import prepare_config

    # Clients and subnets of another simulation.
    for cached in (utils.resource_cache, utils.client_cache, bootstrap._get_subnets_or_die):
        cached.cache_clear()
    with pytest.MonkeyPatch.context() as patch, moto.mock_aws():
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))  # Ray keeps the SSH key there
        definition = read("aws.yaml")
        region = definition["provider"]["region"]
        ec2, iam = boto3.client("ec2", region), boto3.client("iam", region)
        for name in ("game-of-noise-head", "game-of-noise-worker"):
            iam.create_instance_profile(InstanceProfileName=name)
        if request.param == "made as in the docs":
            make_group(ec2)
        image = ec2.describe_images()["Images"][0]["ImageId"]
        for node in definition["available_node_types"].values():
            node["node_config"]["ImageId"] = image
        provider_class = node_provider.AWSNodeProvider
        config = provider_class.fillout_available_node_types_resources(prepare_config(definition))
        config = provider_class.bootstrap_config(config)
        provider = provider_class(config["provider"], config["cluster_name"])
        nodes = {
            name: start(provider, ec2, name, node["node_config"])
            for name, node in config["available_node_types"].items()
        }
        groups = ec2.describe_security_groups()["SecurityGroups"]
        (group,) = (found for found in groups if found["GroupName"] == "game-of-noise")
        yield request.param, config, nodes, group


def make_group(ec2):
    """Do what docs/aws.md says."""
    vpcs = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    group = ec2.create_security_group(
        GroupName="game-of-noise", Description="game-of-noise", VpcId=vpcs[0]["VpcId"]
    )["GroupId"]
    ec2.authorize_security_group_ingress(
        GroupId=group, IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp=ADDRESS
    )
    within = [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=within)


def start(provider, ec2, name, node_config):
    """Start one node as the autoscaler does; return what EC2 knows of it."""
    tags = {
        "ray-node-type": "head" if name == "head" else "worker",
        "ray-user-node-type": name,
        "ray-node-name": f"ray-{name}",
        "ray-launch-config": "0",
    }
    (identity,) = provider.create_node(node_config, tags, 1)
    return ec2.describe_instances(InstanceIds=[identity])["Reservations"][0]["Instances"][0]


def test_every_node_type_starts_as_it_should(started):
    _, config, nodes, group = started
    assert nodes["gpu_spot"]["InstanceLifecycle"] == "spot"
    assert (
        "InstanceLifecycle" not in nodes["gpu_on_demand"]
        and "InstanceLifecycle" not in nodes["head"]
    )
    for name, node in nodes.items():
        role = "head" if name == "head" else "worker"
        assert node["IamInstanceProfile"]["Arn"].endswith(f"/game-of-noise-{role}")
        assert node["MetadataOptions"]["HttpTokens"] == "required"
        assert [disk["Ebs"]["DeleteOnTermination"] for disk in node["BlockDeviceMappings"]] == [
            True
        ]
        assert [found["GroupId"] for found in node["SecurityGroups"]] == [group["GroupId"]]
    assert config["available_node_types"]["head"]["resources"] == {"CPU": 0, "GPU": 0}


def test_only_ssh_comes_in(started):
    made, _, _, group = started
    outside = [
        (rule["FromPort"], rule["ToPort"], address["CidrIp"])
        for rule in group["IpPermissions"]
        for address in rule["IpRanges"]
    ]
    assert outside == [(22, 22, ADDRESS if made == "made as in the docs" else "0.0.0.0/0")]
    within = [
        pair["GroupId"] for rule in group["IpPermissions"] for pair in rule["UserIdGroupPairs"]
    ]
    assert within == [group["GroupId"]]
