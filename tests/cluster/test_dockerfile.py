"""The image, checked as far as it can be without building it."""

import re

import pytest

from tests.cluster import image_checks as checks
from tests.cluster.definitions import CLUSTER, read

DOCKERFILE = (CLUSTER / "Dockerfile").read_text()
IGNORED = (CLUSTER / "Dockerfile.dockerignore").read_text()
FROM = "FROM python:3.11.14-slim-bookworm"

# By check: which text, what is replaced by what, what the message says.
BROKEN = {
    checks.base: [
        (FROM, "FROM python", "FROM python: its tag moves"),
        (FROM, "FROM python:3.11-slim", "FROM python:3.11-slim: its tag moves"),
        (FROM, "FROM registry.example/python:3.11.14", "names a registry"),
        (FROM, "FROM python:3.9.20-slim", "the project needs Python >=3.11"),
    ],
    checks.user: [
        ("USER gon", "", "USER: runs as root"),
        ("CMD [", "USER root\nCMD [", "USER: runs as root"),
    ],
    checks.context: [
        ("LICENSE ./", "LICENCE ./", "COPY LICENCE: does not exist"),
        ("gon:gon sweeps sweeps", "gon:gon . .", "COPY . takes whatever lies there"),
        ("COPY --chown=gon:gon README.md", "ADD README.md", "ADD fetches and unpacks"),
        ("*\n!pyproject.toml", "!pyproject.toml", "dockerignore: must begin with *"),
        ("!sweeps\n", "", "COPY sweeps: not sent, dockerignore holds it back"),
        ("!sweeps\n", "!sweeps\n!results\n", "dockerignore: results is sent for nothing"),
    ],
    checks.layers: [
        ("--no-install-project", "", "the code is copied before the packages"),
        (FROM, f"{FROM}\nARG GIT_SHA", "ARG before a RUN: another commit makes every layer anew"),
    ],
    checks.uv: [
        ("uv==0.13.9", "uv", "uv has no version"),
        ("UV_COMPILE_BYTECODE=1", "", "UV_COMPILE_BYTECODE=1 is missing"),
        ("uv sync --no-dev --inexact", "uv sync", "uv sync without --no-dev"),
    ],
    checks.secrets: [
        ("ARG GIT_SHA", "ARG GIT_TOKEN", "ARG GIT_TOKEN: stays in the image"),
        ("RAY_USAGE_STATS_ENABLED=0", "MLFLOW_PASSWORD=x", "ENV MLFLOW_PASSWORD: stays in the"),
        ("useradd", "echo AKIA0123456789ABCDEF; useradd", "RUN: a secret in plain text"),
        ("useradd", "wget https://example.org/x; useradd", "RUN names a host: https://example"),
    ],
}


@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
def test_no_check_finds_a_fault(check):
    assert check(DOCKERFILE, IGNORED) == []


@pytest.mark.parametrize(
    ("check", "text", "instead", "message"),
    [(check, *row) for check, rows in BROKEN.items() for row in rows],
)
def test_what_is_broken_is_named(check, text, instead, message):
    assert (text in DOCKERFILE) + (text in IGNORED) >= 1
    faults = check(DOCKERFILE.replace(text, instead), IGNORED.replace(text, instead))
    assert any(message in fault for fault in faults), faults


def test_every_check_is_shown_something_broken():
    assert set(BROKEN) == set(checks.CHECKS)


def test_pods_and_nodes_have_what_the_image_has():
    """The same uv and Python everywhere; the user and the folder that the manifests name."""
    setup = " ".join(read("aws.yaml")["setup_commands"])
    assert re.findall(r"uv==[\d.]+", setup) == re.findall(r"uv==[\d.]+", DOCKERFILE)
    (python,) = re.findall(r"--python (\d+\.\d+)", setup)
    assert f"FROM python:{python}." in DOCKERFILE
    job = read("kuberay/rayjob.yaml")["spec"]
    pod = job["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    assert f"--uid {pod['securityContext']['runAsUser']} " in DOCKERFILE
    (folder,) = re.findall(r"^WORKDIR (\S+)$", DOCKERFILE, re.MULTILINE)
    assert f"python {folder}/sweeps/" in job["entrypoint"]
    assert f"PATH={folder}/.venv/bin:" in DOCKERFILE
