"""The data of a sweep in Ray's object store: put once, fetched once by each machine.

Images in memory are shared; of a reader of files only the reader is sent.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import ray

from sweeps.engine.trials.measures import TrialData


@dataclass(frozen=True)
class SharedData:
    """What all trials and the vanilla model share.

    Attributes:
        data: of this process.
    """

    data: TrialData

    @cached_property
    def reference(self) -> list[ray.ObjectRef]:
        """The images as an argument of Ray's: put on first use, when Ray has started.

        In a list Ray passes it on as it is, and does not read it for every trial.
        """
        return [ray.put(self.data)]


@lru_cache(1)
def _get(reference: ray.ObjectRef) -> TrialData:
    return ray.get(reference)


def fetch(reference: list[ray.ObjectRef]) -> TrialData:
    """Return the images: a machine fetches them once, and each of its processes reads them once."""
    return _get(reference[0])
