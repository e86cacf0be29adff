"""Tells one of several trials in a process that it is unpromising.

Ray Tune can end a process, not one of its trials. So the driver leaves word in the key-value store
of Ray's head, and the process asks there after each epoch of a trial.
"""

from ray.experimental import internal_kv  # not public; else it takes an actor, a process more

NAMESPACE = b"game of noise: pruned trials"


def prune(name: str) -> None:
    """Let the process of a trial end it, by the scheduler's name of the trial."""
    internal_kv._internal_kv_put(name.encode(), b"", namespace=NAMESPACE)


def is_pruned(name: str) -> bool:
    """Return, once, whether a trial is to end."""
    return bool(internal_kv._internal_kv_del(name.encode(), namespace=NAMESPACE))
