"""Threads that stand for the processes of one training."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from gon_core.training.parallel import Group


@dataclass
class Meeting:
    """Where threads add their values."""

    size: int
    given: dict = field(default_factory=dict)

    def __post_init__(self):
        self.barrier = threading.Barrier(self.size)


@dataclass(frozen=True)
class Thread(Group):
    """A group whose processes are threads."""

    meeting: Meeting | None = None

    def add_up(self, value):
        self.meeting.given[self.rank] = value.clone()
        self.meeting.barrier.wait(30)
        value.copy_(sum(self.meeting.given[rank] for rank in range(self.size)))
        self.meeting.barrier.wait(30)


def in_threads(size, function):
    """Run ``function`` of a group in so many threads; return their futures, which are done."""
    meeting = Meeting(size)
    with ThreadPoolExecutor(size) as pool:
        return [pool.submit(function, Thread(rank, size, meeting)) for rank in range(size)]
