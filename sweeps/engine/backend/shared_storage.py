"""Whether a machine of a cluster fits: it sees the folder of the sweep, and has the same code."""

import socket
from collections.abc import Mapping

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sweeps.engine.records.checkpoint import differences
from sweeps.engine.records.storage import Folder
from sweeps.engine.resources.cluster_check import UnsharedStorageError

SECONDS = 20.0  # for the machines to answer; one that does not is checked by its first trial


def refuse_unshared(folder: Folder, witness: str) -> None:
    """Check that the machines of now see a folder of this one.

    Args:
        folder: of the sweep.
        witness: a file in it.

    Raises:
        UnsharedStorageError: some machine does not see it.
    """
    here = ray.get_runtime_context().get_node_id()
    asked = {}
    for node in ray.nodes():
        if node["Alive"] and node["NodeID"] != here:
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            remote = ray.remote(num_cpus=0, max_retries=0)(_sees)
            reference = remote.options(scheduling_strategy=there).remote(folder, witness)
            asked[reference] = node["NodeManagerHostname"]
    answered, silent = ray.wait(list(asked), num_returns=len(asked), timeout=SECONDS)
    for reference in silent:
        ray.cancel(reference, force=True)
    for reference in answered:
        try:
            sees = ray.get(reference)
        except RayError:  # it was just lost
            continue
        if not sees:
            raise UnsharedStorageError(unshared(folder, asked[reference]))


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


def _sees(folder: Folder, witness: str) -> bool:
    return folder.exists(witness)
