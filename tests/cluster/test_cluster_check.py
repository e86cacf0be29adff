"""A cluster that cannot be used is refused in one line, before any trial."""

import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from sweeps import sigma_line_search
from sweeps.engine.cli import command_line
from sweeps.engine.planning import plan
from sweeps.engine.resources import capacity, cluster_check, cluster_question
from sweeps.engine.resources.cluster_check import ClusterError, ClusterFacts, Node
from tests.cluster.local_cluster import LocalCluster


@pytest.fixture(autouse=True)
def nothing_known():
    capacity.ask.cache_clear()
    yield
    capacity.ask.cache_clear()


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
    monkeypatch.setattr(cluster_check, "knock", lambda address: None)
    for there in (None, "an empty file", "a folder"):
        if there == "an empty file":
            (alone / "token").touch()
        elif there == "a folder":
            monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(alone))
        said = refused(capsys, "--address", "10.1.2.3:6379")
        assert "--address: needs the cluster's token" in said, there


def test_what_listens_but_is_no_ray_is_given_up(alone, monkeypatch):
    monkeypatch.setattr(cluster_check, "ASK_SECONDS", 4.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(ClusterError, match="no Ray that we can talk to"):
            cluster_check.ask(address)
        assert time.monotonic() - started < 15


def test_all_that_is_asked_of_an_address_has_half_a_minute_together():
    most = cluster_check.ASK_SECONDS + cluster_check.END_SECONDS + cluster_check.TAKE_BACK_SECONDS
    assert most < 30 and cluster_check.KNOCK_SECONDS < cluster_check.ASK_SECONDS
    assert cluster_question.CALL_SECONDS * 2 <= cluster_check.LEAVE_SECONDS


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


@pytest.mark.parametrize("hanging", ["getaddrinfo", "create_connection"])
def test_a_name_that_is_looked_up_for_ever_is_given_up(hanging, alone, capsys, monkeypatch):
    monkeypatch.setattr(cluster_check, "KNOCK_SECONDS", 0.3)
    over = threading.Event()

    def hang(*_, **__):
        over.wait(30)
        raise OSError

    monkeypatch.setattr(socket, hanging, hang)
    started = time.monotonic()
    assert "nobody answers at head:6379 (timed out)" in refused(capsys, "--address", "head:6379")
    assert time.monotonic() - started < 3
    over.set()


GROWS = ClusterFacts((Node(4, 0),), grows=True)


def test_the_autoscaler_is_asked_only_for_what_is_not_there_and_in_what_time_is_left(monkeypatch):
    asked = []
    monkeypatch.setattr(
        cluster_check, "_ask_autoscaler", lambda *given: asked.append(given) or False
    )
    assert cluster_check.can_have("head:1", GROWS, 4, 0)
    assert not cluster_check.can_have("head:1", ClusterFacts((Node(4, 0),), grows=False), 4, 1)
    assert cluster_check.can_have("head:1", replace(GROWS, seconds=21.0), 4, 1)
    assert not asked, "it is there, there is none, there is no time"
    assert not cluster_check.can_have("head:1", replace(GROWS, seconds=7.0), 4, 1)
    assert asked == [("head:1", 4, 1, cluster_check.ASK_SECONDS - 7)]


@pytest.fixture
def made_up_question(alone, monkeypatch):
    """Return a function that makes code the question, and one that returns what was asked."""
    for name, value in {"ASK_SECONDS": 6.0, "END_SECONDS": 0.5}.items():
        monkeypatch.setattr(cluster_check, name, value)
    monkeypatch.setattr(cluster_check, "QUESTION", "made_up_question")
    monkeypatch.setenv("PYTHONPATH", str(alone))
    head = (
        f"import signal, sys, time\nopen({str(alone / 'asked')!r}, 'a').write(str(len(sys.argv)))\n"
    )

    def write(code):
        (alone / "made_up_question.py").write_text(head + code)
        return lambda: (alone / "asked").read_text()

    return write


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("answer", "can"), [("true", True), ("false", False), ("null", True)]
)  # fmt: skip
def test_the_answer_is_no_only_where_the_autoscaler_has_said_so(
    answer, can, made_up_question, caplog
):
    asked = made_up_question(f"print('asked')\nprint({answer!r})")
    assert cluster_check.can_have("127.0.0.1:1", GROWS, 4, 1) is can
    assert asked() == "5", "of itself it leaves nothing"
    warning = "does not say whether it can start a machine with 4 CPUs and 1 GPUs: what needs one"
    assert (warning in caplog.text) is (answer == "null")


@pytest.mark.cluster
def test_a_question_that_must_be_killed_is_taken_back_by_another_process(made_up_question):
    asked = made_up_question(
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "if len(sys.argv) == 5:\n"
        "    print('asked', flush=True)\n"
        "    time.sleep(60)"
    )
    started = time.monotonic()
    with pytest.raises(ClusterError, match=r"its autoscaler is silent$"):
        cluster_check.can_have("127.0.0.1:1", GROWS, 4, 1)
    assert asked() == "54" and time.monotonic() - started < 10


@pytest.mark.cluster
def test_a_question_that_cannot_be_taken_back_is_told_of_in_one_line(made_up_question):
    asked = made_up_question("print('asked', flush=True)\nraise RuntimeError('it is gone')")
    with pytest.raises(ClusterError, match="it is gone; it may start a machine and keep it") as why:
        cluster_check.can_have("127.0.0.1:1", GROWS, 4, 1)
    assert asked() == "54" and "\n" not in str(why.value)


@pytest.mark.cluster
def test_a_question_is_first_told_to_end_and_has_time_to(made_up_question):
    asked = made_up_question(
        "def end(*_):\n    print('null')\n    sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\nprint('asked', flush=True)\ntime.sleep(60)"
    )
    assert cluster_check.can_have("127.0.0.1:1", GROWS, 4, 1)
    assert asked() == "5"


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
def test_more_than_any_machine_type_has_is_refused_as_the_autoscaler_says(member, capsys):
    started = time.monotonic()
    said = refused(capsys, "--address", member.address, "--gpus-per-trial", "4")
    assert "--gpus-per-trial: no machine of the cluster has, nor could be started with, 4 CPUs" in (
        " ".join(said.split())
    )
    assert time.monotonic() - started < 30
    said = refused(capsys, "--address", member.address)
    assert "--gpus-per-trial: say how many, or 0" in said
    said = refused(capsys, "--address", member.address, "--gpus-per-trial", "0",
                   "--cpus-per-trial", "64")  # fmt: skip
    assert "--cpus-per-trial: no machine" in said


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("token", "says"),
    [("f" * 32, "our token is not its token"), ("", "it asks for a token, and we have none")],
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
        assert cluster_check.can_have(cluster.address, found, 1, 0)
        assert not cluster_check.can_have(cluster.address, found, 3, 0)
        # As if it were elsewhere; the processes that ask it are told the truth.
        monkeypatch.setenv("RAY_AUTH_TOKEN", "f" * 32)
        monkeypatch.setenv(cluster_check.LOOPBACK_GUARD, "0")
        monkeypatch.setattr(cluster_check, "is_loopback", lambda address: False)
        with pytest.raises(ClusterError, match="asks for no token"):
            cluster_check.ask(cluster.address)


@pytest.mark.cluster
def test_a_plan_for_a_cluster_starts_nothing(member, alone):
    command = [
        sys.executable, sigma_line_search.__file__, "--address", member.address, "--dry-run",
        "--gpus-per-trial", "1", "--scale", "demo",
    ]  # fmt: skip
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=alone)
    assert ended.returncode == 0 and "nothing was started" in ended.stdout, ended.stderr
    assert len(cluster_check.ask(member.address).nodes) == 1
