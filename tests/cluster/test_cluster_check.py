"""A cluster that cannot be used is refused in one line, before any trial."""

import socket
import subprocess
import sys
import threading
import time

import pytest

from sweeps import sigma_line_search
from sweeps.engine.cli import command_line
from sweeps.engine.planning import plan
from sweeps.engine.resources import cluster_check, resources
from sweeps.engine.resources.cluster_check import Capacity, ClusterError, Node
from tests.cluster.local_cluster import LocalCluster


@pytest.fixture(autouse=True)
def nothing_known():
    for cached in (resources.ask, resources.no_machine_for):
        cached.cache_clear()
    yield
    resources.ask.cache_clear()


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """This machine is of no cluster and has no token."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        command_line.parse(sigma_line_search.Options, "", arguments, check=plan.line_problems)
    said = capsys.readouterr().err
    assert ended.value.code == 2 and "nothing was started" in said and "Traceback" not in said
    return said


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("auto", "--address: no Ray runs on this machine: RAY_ADDRESS is not set"),
        ("ray://127.0.0.1:10001", "--address: must be auto or HOST:PORT: run the command on a"),
        ("head", "--address: must be auto or HOST:PORT"),
        ("head:six", "--address: must be auto or HOST:PORT"),
        ("127.0.0.1:99999", "with a port of 1 to 65535, given: 99999"),
        ("127.0.0.1:1", "--address: nobody answers at 127.0.0.1:1 (Connection refused)"),
        ("two..dots:6379", "--address: nobody answers at two..dots:6379 (encoding with 'idna'"),
        ("no-such-host.invalid:6379", "--address: nobody answers at no-such-host.invalid:6379"),
    ],
)
def test_an_address_that_nobody_answers_is_refused(address, says, alone, capsys):
    assert says in refused(capsys, "--address", address)
    assert list(alone.iterdir()) == []


def test_auto_is_the_cluster_that_this_machine_is_a_node_of(alone, monkeypatch):
    (alone / "ray").mkdir()
    (alone / "ray/ray_current_cluster").write_text("10.1.2.3:6379\n")
    assert cluster_check.resolve("auto") == "10.1.2.3:6379"
    monkeypatch.setenv("RAY_ADDRESS", "10.9.9.9:6379")  # in a job
    assert cluster_check.resolve("auto") == "10.9.9.9:6379"
    assert not cluster_check.is_loopback("10.9.9.9:6379")
    assert all(map(cluster_check.is_loopback, ["127.0.0.2:1", "[::1]:1", "localhost:1"]))


def test_without_a_token_only_a_cluster_on_loopback_is_asked(alone, capsys, monkeypatch):
    monkeypatch.setattr(cluster_check, "connect", lambda address: None)
    for there in (None, "an empty file", "a folder"):
        if there == "an empty file":
            (alone / "token").touch()
        elif there == "a folder":
            monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(alone))
        said = refused(capsys, "--address", "10.1.2.3:6379")
        assert "--address: needs the cluster's token" in said, there


@pytest.mark.slow
@pytest.mark.system
def test_what_listens_but_is_no_ray_is_abandoned(alone, monkeypatch):
    monkeypatch.setattr(cluster_check, "ASK_SECONDS", 4.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(ClusterError, match="no Ray that we can talk to"):
            cluster_check.ask(address)
        assert time.monotonic() - started < 15


@pytest.mark.slow
def test_what_listens_and_says_nothing_is_refused_in_one_time_and_asked_once(
    alone, capsys, monkeypatch
):
    monkeypatch.setattr(cluster_check, "ASK_SECONDS", 4.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        started = time.monotonic()
        said = refused(
            capsys, "--address", f"127.0.0.1:{server.getsockname()[1]}", "--gpus-per-trial", "1"
        )
        assert "no Ray that we can talk to" in said
        assert time.monotonic() - started < 4 + 3


@pytest.mark.system
@pytest.mark.parametrize("hanging", ["getaddrinfo", "create_connection"])
def test_a_name_that_is_looked_up_for_ever_is_abandoned(hanging, alone, capsys, monkeypatch):
    monkeypatch.setattr(cluster_check, "CONNECT_SECONDS", 0.3)
    over = threading.Event()

    def hang(*_, **__):
        over.wait(30)
        raise OSError

    monkeypatch.setattr(socket, hanging, hang)
    started = time.monotonic()
    assert "nobody answers at head:6379 (timed out)" in refused(capsys, "--address", "head:6379")
    assert time.monotonic() - started < 3
    over.set()


@pytest.fixture
def facts(monkeypatch):
    """Return a function that sets what the cluster at head:1 has."""
    monkeypatch.setattr(cluster_check, "resolve", lambda address: address)

    def set_facts(*nodes, grows):
        monkeypatch.setattr(cluster_check, "ask", lambda address: Capacity(tuple(nodes), grows))

    return set_facts


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--gpus-per-trial", "1"), "--gpus-per-trial: no machine of the cluster has 1 CPUs and 1"),
        (("--cpus-per-trial", "9"), "--cpus-per-trial: no machine of the cluster has 9 CPUs and 0"),
    ],
)
def test_a_trial_that_fits_no_machine_is_refused_where_the_cluster_does_not_grow(
    arguments, says, facts, alone, capsys
):
    facts(Node(4, 0), grows=False)
    said = refused(capsys, "--address", "head:1", *arguments)
    assert says in said and "the largest of now has 4 CPUs and 0 GPUs" in said


def test_a_trial_that_fits_no_machine_of_now_is_a_warning_where_the_cluster_grows(facts, caplog):
    facts(Node(4, 0), grows=True)
    options = sigma_line_search.Options(address="head:1", gpus_per_trial=1)
    for _ in range(2):
        assert resources.cluster_problems(options, 1, 1) == {}
    (warning,) = caplog.records
    assert "waits until the autoscaler starts one" in warning.getMessage()
    caplog.clear()
    assert resources.cluster_problems(options, 4, 0) == {} and not caplog.records


def test_gpus_must_be_given_where_a_cluster_that_grows_has_none_now(facts):
    facts(Node(4, 0), grows=True)
    options = sigma_line_search.Options(address="head:1")
    assert "say how many, or 0" in resources.cluster_problems(options, 1, 0)["gpus_per_trial"]


def test_parts_of_gpus_are_parts_of_one():
    assert Node(16, 2).fits(1, 0.4) == 4 and Node(3, 2).fits(1, 0.4) == 3
    assert (
        Node(16, 8).fits(2, 2) == 4 and Node(16, 0).fits(1, 1) == 0 and Node(4, 0).fits(1, 0) == 4
    )


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(workers=1) as cluster:
        yield cluster


@pytest.fixture
def member(cluster, alone, monkeypatch):
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    return cluster


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("token", "says"),
    [("f" * 32, "our token is not its token"), ("", "it needs a token, and we have none")],
)
def test_a_wrong_token_is_refused_at_once(token, says, member, capsys, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", token)
    started = time.monotonic()
    assert says in refused(capsys, "--address", member.address, "--gpus-per-trial", "1")
    assert time.monotonic() - started < 30


@pytest.mark.cluster
def test_a_cluster_that_lets_in_everyone_is_refused_unless_it_is_on_loopback(alone, monkeypatch):
    with LocalCluster(workers=0, cpus=2, has_token=False) as cluster:
        monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        found = cluster_check.ask(cluster.address)
        assert found.nodes == (Node(2, 0),) and not found.grows
        # As if it were elsewhere; the processes that connect to it get the truth.
        monkeypatch.setenv("RAY_AUTH_TOKEN", "f" * 32)
        monkeypatch.setenv(cluster_check.LOOPBACK_GUARD, "0")
        monkeypatch.setattr(cluster_check, "is_loopback", lambda address: False)
        with pytest.raises(ClusterError, match="needs no token"):
            cluster_check.ask(cluster.address)


@pytest.mark.cluster
def test_a_plan_for_a_cluster_starts_nothing(member, alone):
    command = [
        sys.executable, sigma_line_search.__file__, "--address", member.address, "--dry-run",
        "--gpus-per-trial", "0", "--scale", "demo",
    ]  # fmt: skip
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=alone)
    assert ended.returncode == 0 and "nothing was started" in ended.stdout, ended.stderr
    assert len(cluster_check.ask(member.address).nodes) == 1
