"""Ray on this machine, or an existing cluster, started and stopped in a thread of its own.

Starting a Ray takes four seconds and ending one, most of it waiting for other processes.
"""

import gc
import logging
import os
import socket
import warnings
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from gon_core.benchmarks.cifar10 import FROST_VARIABLE
from sweeps.engine.backend.driver import Driver
from sweeps.engine.backend.protocol import Starts
from sweeps.engine.planning.plan import Resources
from sweeps.engine.records.checkpoint import differences
from sweeps.engine.records.storage import Folder
from sweeps.engine.resources import cluster_check
from sweeps.engine.resources.ray_files import ensure_token, has_token, make_folder
from sweeps.engine.system.machine import memory
from sweeps.engine.system.signals import reinstall_handlers
from sweeps.engine.system.temporary_folder import TemporaryFolder

if TYPE_CHECKING:  # they load torch, while Ray starts
    import ray

    from sweeps.engine.trials.measures import TrialData

LEAST_OBJECT_STORE = 2 * 1024**3  # bytes; taken as they are used

# Read by Ray when it is imported. `uv run` would make Ray pack and reinstall the project for every
# worker; the loggers would write each metric a second and third time.
RAY_SETTINGS = {
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # All trials of a machine look at one copy of the images; writing to them ends the process.
    "RAY_ENABLE_ZERO_COPY_TORCH_TENSORS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_kill_idle_workers_interval_ms": "0",  # those started in advance wait for the first trials
    "RAY_worker_niceness": "0",  # otherwise any other process starves the trials
    "RAY_AIR_NEW_OUTPUT": "0",  # the new output has a banner even when silent
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
# Processes of trials import these while the driver is loading them.
PRELOADED = "torch,pydantic,pyarrow.fs"
# Which ANT needs for its sphere. On a GPU the import would be most of the time to its first step.
COMPILER = "torch._inductor.compile_fx"
LOOPBACK = "127.0.0.1"
ANSWER_SECONDS = 20.0  # of each machine; one that is silent is checked by its first trial
SLOW_START = "timed out during startup"  # in the text of the plain Exception that Ray raises


class Cluster:
    """Ray, a ``Backend``: begins to start, or to connect, at once; is left when the block is.

    Without an address it runs on loopback. Only who has its token can talk to it; token and
    temporary folder are this user's alone. If Ray does not start, the folder with its logs is left
    until the next sweep starts.

    Args:
        resources: what the trials occupy together.
        address: ``HOST:PORT`` of a cluster's head; the cluster runs on when the block is left.

    Attributes:
        scratch: a folder for what Ray Tune keeps while the block runs.
    """

    def __init__(self, resources: Resources, address: str | None = None) -> None:
        preloaded = f"{PRELOADED},{COMPILER}" if resources.device == "cuda" else PRELOADED
        for name, value in (RAY_SETTINGS | {"RAY_preload_python_modules": preloaded}).items():
            os.environ.setdefault(name, value)
        # Whatever the environment says. Without it Ray's servers listen on every network address.
        if address is None or cluster_check.is_loopback(address):
            os.environ[cluster_check.LOOPBACK_GUARD] = "0"
        if address is None or has_token():
            os.environ["RAY_AUTH_MODE"] = "token"
        # Ray's processes end with the thread that started them, so one thread does both.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ray")
        self._folder = make_folder()
        self.scratch = self._folder.path / "t"
        settings: dict[str, Any] = {"address": address or "local"}
        if address is None:
            # Not a runtime_env: that would waste the workers which Ray starts in advance.
            os.environ.update(worker_environment(resources))
            settings |= {
                "num_cpus": resources.all_cpus * resources.max_concurrent,
                "include_dashboard": False,
                "object_store_memory": max(LEAST_OBJECT_STORE, memory() // 2),
                "_temp_dir": str(self._folder.path / "r"),
            }
        else:  # its machines do not inherit our environment
            settings["runtime_env"] = {"env_vars": worker_environment(resources)}
        self._started = self._thread.submit(_start, settings)
        self._stopped: Future[None] | None = None
        self._images: Any = None  # in Ray's object store

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.stop()
        self.join()

    def wait(self) -> None:
        """Return when Ray is ready; raise what prevented its start. From the main thread."""
        try:
            self._started.result()
        except ConnectionError as error:
            raise cluster_check.ClusterError(f"Ray cannot be reached any more: {error}") from error
        except Exception as error:
            if SLOW_START not in str(error):
                raise
            reason = "Ray did not start within half a minute: is the machine very busy?"
            raise cluster_check.ClusterError(reason) from error
        reinstall_handlers()

    def run(self, driver: Driver, data: "TrialData", starts: Starts | None) -> None:
        """Run the trials that ``driver`` suggests where there is room; return when all ended."""
        from sweeps.engine.backend import tuner

        self._images = self._images or (put(data),)
        tuner.run(driver, self._images, starts, self.scratch)

    def stop(self) -> None:
        """Begin to end Ray and all its processes.

        Until they have ended no garbage is collected. Ray Tune leaves cycles that hold actors; if
        one is freed by another thread while Ray's core ends, Ray ends the whole process, at once.
        """
        if self._stopped is None:
            gc.collect()
            gc.disable()
            self._stopped = self._thread.submit(_stop, self._started, self._folder)

    def join(self) -> None:
        """Return when Ray has ended, after ``stop``."""
        self._thread.shutdown()


def put(value: Any) -> "ray.ObjectRef":
    """Return a reference to what all processes of a machine may look at, and none writes to."""
    import ray

    with warnings.catch_warnings():  # that tensors must not be written to
        warnings.simplefilter("ignore", UserWarning)
        return ray.put(value)


def worker_environment(resources: Resources) -> dict[str, str]:
    """Return the environment variables that the processes of trials inherit."""
    return {
        "OMP_NUM_THREADS": str(resources.cpus),
        # Otherwise every operation returns its 30 MB to the kernel, which clears them for the next.
        "MALLOC_MMAP_THRESHOLD_": str(1024**3),
        "MALLOC_TRIM_THRESHOLD_": str(4 * 1024**3),
        "THP_MEM_ALLOC_ENABLE": "1",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        **{name: os.environ[name] for name in (FROST_VARIABLE,) if name in os.environ},
    }


def _start(settings: dict[str, Any]) -> None:
    import ray

    is_ours = settings["address"] == "local"
    if is_ours:
        ensure_token()
    logging.getLogger("ray").setLevel(logging.ERROR)
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **settings)
    except ValueError as error:
        if "memory" not in str(error):
            raise
        rule = "other programs leave Ray too little memory on this machine"
        raise cluster_check.ClusterError(f"{rule} ({' '.join(str(error).split())})") from error
    if is_ours and (address := ray.util.get_node_ip_address()) != LOOPBACK:
        ray.shutdown()
        raise RuntimeError(f"Ray, imported before its settings were made, listens on {address}")


def _stop(started: Future[None], folder: TemporaryFolder) -> None:
    import ray

    try:
        ray.shutdown()
    finally:
        gc.enable()
    if started.exception() is None:
        folder.remove()


def refuse_unshared(folder: Folder, witness: str) -> None:
    """Raise UnsharedStorageError if some machine of now does not see a file of a folder of this."""
    import ray
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = ray.get_runtime_context().get_node_id()
    sees: Any = ray.remote(num_cpus=0, max_retries=0)(Folder.exists)
    hosts = {}
    for node in ray.nodes():
        if node["Alive"] and node["NodeID"] != here:
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            reference = sees.options(scheduling_strategy=there).remote(folder, witness)
            hosts[reference] = node["NodeManagerHostname"]
    answered, silent = ray.wait(list(hosts), num_returns=len(hosts), timeout=ANSWER_SECONDS)
    for reference in silent:
        ray.cancel(reference, force=True)
    for reference in answered:
        with suppress(RayError):  # it was just lost
            if not ray.get(reference):
                raise cluster_check.UnsharedStorageError(unshared(folder, hosts[reference]))


def unshared(folder: Folder, host: str) -> str:
    """Return the message about a machine that does not see ``folder``."""
    return (
        f"{folder.uri} is not seen from {host}: --storage must be one that all machines share, "
        "such as s3:// or gs://"
    )


def other_code(drivers: Mapping[str, int | str], here: Mapping[str, int | str]) -> str:
    """Return in which formats and versions this machine differs from the driver; empty if in none.

    Args:
        drivers: ``training_code`` or ``evaluation_code`` as the driver sees it.
        here: the same on this machine.
    """
    differing = "; ".join(differences(drivers, here))
    return f"{socket.gethostname()} has other code than the driver: {differing}" * bool(differing)
