"""A machine that will be taken away: its trials are notified, save a checkpoint and end.

Notice is SIGTERM to the process of a trial. Each trial writes a sign, a small file, for as long as
it handles that signal: so it is known which trials to notify, and when they saved a checkpoint.

By itself Ray kills trials at once when the machine shuts down. On the machine, as the user who runs
Ray there:

``python -m sweeps.engine.backend.preemption notify`` notifies the trials now and waits for their
checkpoints: for the shutdown hook of a machine or a pod. ``... watch aws`` (or ``gcp``) asks the
cloud whether the machine will be taken away, and notifies the trials then.

Trials are notified at once. Meanwhile a command drains the machine in Ray. Until it has, Ray may
start a trial here again, which is then notified too.
"""

import argparse
import faulthandler
import http.client
import json
import logging
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sweeps.engine.system.exit_codes import DONE, SOME_FAILED
from sweeps.engine.system.temporary_folder import TemporaryFolder, is_held, living

PREFIX, SIGN = "gon-trial-", "sign.json"

SECONDS = 20.0  # of the 30 that spot machines of Google Cloud have; its pods have 15, see cluster/
LATECOMER = 3.0  # seconds in which a trial that Ray started before it drains writes its sign
ASK_EVERY = 2.0  # seconds; AWS gives two minutes, Google Cloud half of one
ANSWER_WITHIN = 5.0
AWS, GCP = "http://169.254.169.254", "http://metadata.google.internal"
NO_PROXY = urllib.request.ProxyHandler({})  # the service answers to the machine alone

log = logging.getLogger(__name__)
_say = partial(print, flush=True)


@dataclass(frozen=True)
class Sign:
    """A trial that runs on this machine, and can be notified."""

    folder: Path  # locked until the trial has ended, or has saved its checkpoint
    pid: int
    trial_id: str = ""
    node: str = ""  # Ray's name of the machine, if Ray started the trial

    def notify(self) -> None:
        """Notify the trial that its machine will be taken away."""
        with suppress(ProcessLookupError):
            if self.is_up:  # so that no other process can have its pid by now
                os.kill(self.pid, signal.SIGTERM)

    @property
    def is_up(self) -> bool:
        """Whether the trial still runs."""
        return is_held(self.folder)


def signs() -> Iterator[Sign]:
    """Yield the trials of this user that run on this machine and can be notified."""
    for folder in living(PREFIX, Path(tempfile.gettempdir())):
        try:
            yield Sign(folder, **json.loads((folder / SIGN).read_text()))
        except (OSError, ValueError, TypeError):  # being written or removed at this moment
            continue


@contextmanager
def sigterm_notice(trial_id: str = "", node: str = "") -> Iterator[Callable[[], bool]]:
    """Yield what says whether SIGTERM came since the block was entered, in a microsecond.

    Ray runs trials in other threads than the main one, and only the main thread may install a
    handler in Python. ``faulthandler`` installs its own from any thread: it writes to a file, here
    a pipe, and the process continues. The handler before it is restored when the block is left.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)  # nobody reads it: a full one must not stop us
    faulthandler.register(signal.SIGTERM, file=writer, all_threads=False, chain=False)
    sign = ExitStack()
    try:
        try:
            made = TemporaryFolder(PREFIX, Path(tempfile.gettempdir()))
            said = {"pid": os.getpid(), "trial_id": trial_id, "node": node}
            (sign.enter_context(made).path / SIGN).write_text(json.dumps(said))
        except OSError as error:  # then the trial is not notified, but runs
            text = "trial %s cannot write its sign, and will not be notified: %s"
            log.warning(text, trial_id, error)
        yield lambda: bool(select.select([reader], [], [], 0)[0])
    finally:
        sign.close()
        faulthandler.unregister(signal.SIGTERM)
        os.close(reader)
        os.close(writer)


def notify(seconds: float, node: str = "") -> bool:
    """Notify the trials of this machine that it will be taken away; wait until they ended.

    Args:
        seconds: to wait at most, for checkpoints and for Ray.
        node: Ray's name of the machine, where it is not the only one here, as in a test.

    Returns:
        whether every trial has saved its checkpoint.
    """
    deadline = time.monotonic() + seconds
    notified: dict[Path, Sign] = {}
    _notify_new(notified, node)  # first: the command below takes seconds to start
    # Where a trial runs its sign says which node this is, so that Ray need not say it.
    drain = _drain(seconds, node or next((sign.node for sign in notified.values()), ""))
    drained = float("inf")
    while time.monotonic() < deadline:
        _notify_new(notified, node)
        if drain.poll() is not None:
            drained = min(drained, time.monotonic())
        settled = drained + LATECOMER if notified else drained
        if time.monotonic() >= settled and not any(sign.is_up for sign in notified.values()):
            break
        time.sleep(0.05)
    drain.kill()
    answer, _ = drain.communicate()
    if drain.returncode:
        reason = (answer.strip().splitlines() or ["it did not answer in time"])[-1]
        _say(f"Ray may still start trials on this machine: {reason}")
    late = [sign.trial_id for sign in notified.values() if sign.is_up]
    for trial_id in late:
        _say(f"trial {trial_id} still runs: it will resume elsewhere from its last checkpoint")
    _say(f"{len(notified) - len(late)} of {len(notified)} trials saved a checkpoint and ended")
    return not late


def _notify_new(notified: dict[Path, Sign], node: str) -> None:
    for sign in signs():
        if sign.folder not in notified and node in ("", sign.node):
            notified[sign.folder] = sign
            sign.notify()
            _say(f"trial {sign.trial_id} notified (process {sign.pid})")


def _drain(seconds: float, node: str) -> "subprocess.Popen[str]":
    # The command of this environment, as an argument list, and no shell.
    command = [
        str(Path(sys.executable).with_name("ray")), "drain-node",
        "--reason=DRAIN_NODE_REASON_PREEMPTION", "--reason-message=preemption",
        f"--deadline-remaining-seconds={max(1, int(seconds))}",
        *([f"--node-id={node}"] if node else []),
    ]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def watch(warned: Callable[[], str], every: float = ASK_EVERY) -> str:
    """Ask a cloud by ``warned`` until it says that the machine will be taken away; return that."""
    trouble = ""
    while True:
        try:
            if said := warned():
                return said
            trouble = ""
        except (OSError, http.client.HTTPException) as error:
            if str(error) != trouble:  # once, not every two seconds
                trouble = str(error)
                _say(f"the cloud does not say whether the machine stays: {trouble}")
        time.sleep(every)


def warned_by_aws(service: str = AWS) -> str:
    """Return what EC2 says of the interruption of this spot machine; empty if there is none."""
    hours = {"X-aws-ec2-metadata-token-ttl-seconds": "21600"}
    token = _ask(f"{service}/latest/api/token", hours, "PUT")
    header = {"X-aws-ec2-metadata-token": token}
    return _ask(f"{service}/latest/meta-data/spot/instance-action", header)


def warned_by_gcp(service: str = GCP) -> str:
    """Return what Compute Engine says of the preemption of this machine; empty if none."""
    path = "/computeMetadata/v1/instance/preempted"
    said = _ask(f"{service}{path}", {"Metadata-Flavor": "Google"}).strip()
    return "" if said == "FALSE" else said


WARNED = {"aws": warned_by_aws, "gcp": warned_by_gcp}


def _ask(url: str, headers: dict[str, str], method: str = "GET") -> str:
    request = urllib.request.Request(url, headers=headers, method=method)
    try:
        opener = urllib.request.build_opener(NO_PROXY)
        with opener.open(request, timeout=ANSWER_WITHIN) as answer:
            return answer.read(4096).decode(errors="replace")
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.NOT_FOUND:  # there is nothing to say
            return ""
        raise


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 1 if a trial saved no checkpoint in time."""
    parser = argparse.ArgumentParser(
        prog="python -m sweeps.engine.backend.preemption",
        description="Notify the trials on this machine that it will be taken away.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    notifying = commands.add_parser("notify", help="notify now, and wait for checkpoints")
    watching = commands.add_parser("watch", help="ask the cloud, and notify when it says so")
    watching.add_argument("cloud", choices=sorted(WARNED), help="whose machine this is")
    for command in (notifying, watching):
        seconds = f"wait at most so long for the checkpoints (default {SECONDS:g})"
        command.add_argument("--seconds", type=float, default=SECONDS, metavar="N", help=seconds)
        node = "Ray's name of the machine, where several of Ray's nodes share it"
        command.add_argument("--node", default="", metavar="ID", help=node)
    given = parser.parse_args(arguments)
    if not 0 < given.seconds <= 3600:
        parser.error(f"--seconds must be over 0 and at most 3600, given: {given.seconds:g}")
    if given.command == "watch":
        _say(f"the machine will be taken away: {watch(WARNED[given.cloud])}")
    return DONE if notify(given.seconds, given.node) else SOME_FAILED


if __name__ == "__main__":
    sys.exit(main())
