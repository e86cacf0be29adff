"""The pages on clusters fit the definitions, and their commands open nothing but SSH."""

import os
import re
import shlex
import shutil
import subprocess
from itertools import pairwise

import pytest
import ray
import yaml

from tests.cluster.definitions import ROOT, plain_secrets, read, strings

PAGES = ("cluster", "aws", "google_cloud", "kubernetes", "ray_cluster", "slurm", "workstation")
DOCS = "\n".join((ROOT / f"docs/{page}.md").read_text() for page in PAGES)
WRITTEN_ELSEWHERE = "SECURITY.md"


def opened_ports(text):
    """Return every command that lets more in than SSH from one address, and nodes."""
    faults = []
    for line in text.splitlines():
        words = shlex.split(line.strip(), comments=True) if "ingress" in line.lower() else []
        given = dict(word.lstrip("-").partition("=")[::2] for word in words if "=" in word)
        given |= {
            word.lstrip("-"): value
            for word, value in pairwise(words)
            if word.startswith("--") and "=" not in word
        }
        if words[:3] == ["aws", "ec2", "authorize-security-group-ingress"]:
            is_node = given.get("source-group") == "$GROUP" and "cidr" not in given
            is_ssh = (given.get("protocol"), given.get("port")) == ("tcp", "22")
            outside = given.get("cidr", "")
        elif words[:4] == ["gcloud", "compute", "firewall-rules", "create"]:
            is_node = given.get("source-tags") == given.get("target-tags") is not None
            is_node = is_node and "source-ranges" not in given
            is_ssh, outside = given.get("allow") == "tcp:22", given.get("source-ranges", "")
        else:
            continue
        if not is_node and not (is_ssh and outside.endswith("/32")):
            faults.append(line.strip())
    return faults


def test_it_says_that_nothing_was_run():
    assert "validated offline and have not been run in a cloud account" in " ".join(DOCS.split())


def test_its_commands_open_ssh_to_one_address_and_nothing_else():
    rules = re.findall(r"authorize-security-group-ingress|firewall-rules create", DOCS)
    assert len(rules) == 4 and opened_ports(DOCS) == []


@pytest.mark.parametrize(
    ("rule", "instead"),
    [
        ("--port 22 --cidr $MY_ADDRESS/32", "--port 8265 --cidr $MY_ADDRESS/32"),
        ("--port 22 --cidr $MY_ADDRESS/32", "--port 22 --cidr 0.0.0.0/0"),
        ("--source-group $GROUP", "--cidr 0.0.0.0/0"),
        ("--allow=tcp:22", "--allow=tcp:22,tcp:8265"),
        ("--source-ranges=$MY_ADDRESS/32", "--source-ranges=0.0.0.0/0"),
        ("--source-tags=game-of-noise", "--source-ranges=0.0.0.0/0"),
    ],
)
def test_an_open_port_is_found(rule, instead):
    assert rule in DOCS and len(opened_ports(DOCS.replace(rule, instead))) == 1


def test_it_makes_what_the_definitions_name():
    aws, gcp = read("aws.yaml"), read("gcp.yaml")
    for node in aws["available_node_types"].values():
        assert f" {node['node_config']['IamInstanceProfile']['Name']}" in DOCS
    assert f"--group-name {aws['provider']['security_group']['GroupName']} " in DOCS
    assert f"AWS_REGION={aws['provider']['region']} " in DOCS
    assert f"ray-cluster-name={aws['cluster_name']}" in DOCS
    assert f'"ec2:ResourceTag/ray-cluster-name": "{aws["cluster_name"]}"' in DOCS
    node = gcp["available_node_types"]["gpu_spot"]["node_config"]
    region, subnetwork = re.findall(r"/([\w-]+)", node["networkInterfaces"][0]["subnetwork"])[::2]
    assert f"subnets create {subnetwork} --network={subnetwork} --region={region} " in DOCS
    assert f"--target-tags={node['tags']['items'][0]}\n" in DOCS
    account = node["serviceAccounts"][0]["email"]
    assert f"service-accounts create {account.partition('@')[0]}\n" in DOCS
    assert account.replace("PROJECT_ID", "$PROJECT") in DOCS
    spec = read("kuberay/raycluster.yaml")["spec"]
    assert f"secret generic {spec['authOptions']['secretName']} --from-file=auth_token=" in DOCS
    assert f"'ray[default]=={ray.__version__}'" in DOCS


GIVEN = {"PROJECT": "a-project", "BUCKET": "a-bucket", "IMAGE": "a/place/for:images"}
IMAGE_OF_PODS = "game-of-noise:0.1.0"
# By definition: what is to be replaced there, by what.
PLACEHOLDERS = {
    "aws.yaml": {"AMI_ID": "an-ami"},
    "gcp.yaml": {"PROJECT_ID": GIVEN["PROJECT"], "IMAGE": GIVEN["IMAGE"]},
    "kuberay/rayjob.yaml": {"s3://BUCKET/": "gs://a-bucket/", IMAGE_OF_PODS: GIVEN["IMAGE"]},
    "kuberay/raycluster.yaml": {IMAGE_OF_PODS: GIVEN["IMAGE"]},
}


@pytest.mark.cluster
@pytest.mark.parametrize("shell", ["bash", "zsh"])
@pytest.mark.parametrize("file", PLACEHOLDERS)
def test_each_placeholder_is_replaced(file, shell, tmp_path):
    if not shutil.which(shell):
        pytest.skip(f"there is no {shell}")
    for name, does in {"aws": "echo an-ami", "kubectl": 'cat > "$HOME/gon.yaml"'}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o700)
    # `raycluster.yaml` goes through the `sed` of the job.
    written = file.replace("raycluster", "rayjob")
    (line,) = [
        line for line in DOCS.splitlines() if re.search(rf"\bsed .* cluster/{written}", line)
    ]
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    subprocess.run(
        [shell, "-c", line.replace(written, file)], cwd=ROOT, env=path | GIVEN, check=True
    )
    before = [text for _, text in strings(read(file))]
    after = [text for _, text in strings(yaml.safe_load((tmp_path / "gon.yaml").read_text()))]
    assert len(after) == len(before)
    for placeholder, value in PLACEHOLDERS[file].items():
        assert any(placeholder in text for text in before)
        assert not any(placeholder in text for text in after)
        assert any(value in text for text in after)


@pytest.mark.cluster
@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_options_that_two_commands_share_are_split_by_the_shell(shell):
    if not shutil.which(shell):
        pytest.skip(f"there is no {shell}")
    (given,) = re.findall(r"^ *(gpu=.*)$", DOCS, re.MULTILINE)
    pools = re.findall(r"gcloud (container node-pools create .*)$", DOCS, re.MULTILINE)
    assert len(pools) == 2
    for pool in pools:
        launched = subprocess.run(
            [shell, "-c", f"{given}\nprintf '%s\\n' {pool}"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert {"--cluster", "game-of-noise", "--min-nodes"} <= set(launched.stdout.splitlines())


def test_no_command_on_the_head_uses_what_is_not_set_there():
    (job,) = re.findall(r"^export RAY_AUTH_MODE=token.*?^```", DOCS, re.DOTALL | re.MULTILINE)
    assert "$BUCKET" in job and "BUCKET=" in job.splitlines()[0]


def test_every_file_it_names_exists():
    for link in re.findall(r"\]\((?!http|#)([^)#]+)", DOCS):
        assert WRITTEN_ELSEWHERE in link or (ROOT / "docs" / link).exists(), link
    for file in re.findall(r"(?<![/\w])cluster/[\w./-]+\w", DOCS):
        assert (ROOT / file).exists() or (ROOT / "tests" / file).exists(), file
    for script in re.findall(r"\bsweeps/\w+\.py", DOCS):
        assert (ROOT / script).exists(), script


def test_nothing_listens_beyond_loopback_and_no_secret_stands_there():
    assert set(re.findall(r"mlflow ui .*?--host (\S+)", DOCS)) == {"127.0.0.1"}
    assert "0.0.0.0" not in DOCS
    assert plain_secrets(DOCS.splitlines()) == []
