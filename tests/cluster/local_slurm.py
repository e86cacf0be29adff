"""A real Slurm of two nodes on this machine, for tests: Debian's munged, slurmctld and slurmd.

Its daemons run in namespaces of their own: their network is a loopback that nothing outside reaches
and they end, with all their jobs, when this process does, however it ends. Needs root.
"""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd", "sbatch", "setpriv", "unshare", "nsenter", "ip")
NAMESPACES = (
    "setpriv", "--pdeathsig=KILL", "unshare", "--net", "--pid", "--mount", "--mount-proc", "--fork",
    "--kill-child=KILL",
)  # fmt: skip
NODES = {"one": "10.99.0.1", "two": "10.99.0.2"}
PATIENCE = 60.0  # seconds until it takes jobs, on a busy machine

CONFIG = """
ClusterName=local
SlurmctldHost={host}(10.99.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MailProg=/bin/true
ReturnToService=2
SchedulerParameters=sched_interval=2
NodeName=one NodeHostname={host} NodeAddr=10.99.0.1 Port=6818 CPUs=2
NodeName=two NodeHostname={host} NodeAddr=10.99.0.2 Port=6819 CPUs=2
PartitionName=all Nodes=one,two Default=YES MaxTime=INFINITE State=UP
"""
START = """
set -e
ip link set lo up
for address in 10.99.0.1 10.99.0.2; do ip address add $address/32 dev lo; done
munged -F --force --key-file=munge/key --socket=$PWD/munge/socket --pid-file=$PWD/munge/pid \
    --log-file=munge/log --seed-file=$PWD/munge/seed &
until [ -S munge/socket ]; do sleep 0.1; done
slurmctld -D -c &
slurmd -D -N one &
slurmd -D -N two &
wait
"""


def missing() -> str:
    """Return why there can be no Slurm here; empty if there can."""
    if lacking := [name for name in DAEMONS if not shutil.which(name)]:
        return f"not installed: {', '.join(lacking)} (slurmctld, slurmd, slurm-client, munge)"
    tried = subprocess.run([*NAMESPACES, "true"], capture_output=True, text=True)
    return f"no namespaces: {tried.stderr.strip()}" if tried.returncode else ""


class LocalSlurm:
    """It, as a context: no process is left when the block is.

    Attributes:
        folder: its files and logs.
    """

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="gon-slurm-", dir="/tmp")
        self.folder = Path(self._folder.name)
        for name in ("munge", "state", "spool-one", "spool-two"):
            (self.folder / name).mkdir(mode=0o711)
        (self.folder / "munge/key").write_bytes(os.urandom(1024))
        (self.folder / "munge/key").chmod(0o400)
        host = os.uname().nodename.partition(".")[0]
        config = CONFIG.format(host=host, folder=self.folder)
        (self.folder / "slurm.conf").write_text(config)
        self._environment = os.environ | {"SLURM_CONF": str(self.folder / "slurm.conf")}
        self._log = (self.folder / "log").open("w")
        self._holder = subprocess.Popen(
            [*NAMESPACES, "bash", "-c", START], stdout=self._log, stderr=subprocess.STDOUT,
            cwd=self.folder, env=self._environment, start_new_session=True,
        )  # fmt: skip
        try:
            self.until(lambda: self.run("sinfo", "-hN", "-t", "idle").count("\n") == 2, PATIENCE)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception):
        self._holder.kill()  # and with it the first process of the namespace, and with that all
        self._holder.wait()
        self._log.close()
        self._folder.cleanup()

    def run(self, *command, cwd=None, **environment):
        """Return what a command prints that talks to this Slurm."""
        children = f"/proc/{self._holder.pid}/task/{self._holder.pid}/children"
        first = Path(children).read_text().split()  # none yet, for a moment
        if not first:
            return ""
        inside = ["nsenter", f"--target={first[0]}", "--net", "--pid", "--mount"]
        return subprocess.run(
            [*inside, *([f"--wdns={cwd}"] if cwd else []), *command], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, env=self._environment | environment,
        ).stdout  # fmt: skip

    def until(self, condition, seconds):
        """Return when a condition holds; fail after so many seconds, with the logs."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.said()
            assert self._holder.poll() is None, self.said()
            time.sleep(0.5)

    def said(self):
        """Return the end of the daemons' logs, and the state of all jobs."""
        log = (self.folder / "log").read_text()[-4000:]
        return log + self.run("scontrol", "show", "job")
