import pytest
import torch

from gon_core.training.recordings import TRIES, Recordings
from tests.gon_core.training.tape import TapeRecorder


def wait(work):
    work()
    return False


def fail(work):
    raise RuntimeError("out of memory")


@pytest.mark.parametrize(
    "fault", [{}, {"try_out": wait}, {"record": fail}], ids=["none", "waits", "fails"]
)
def test_each_work_is_seen_by_hooks_or_passed_but_never_both(fault):
    seen, passes, sums = [], [], torch.zeros(())
    model = torch.nn.Identity()
    model.register_forward_hook(lambda *call: seen.append(1))
    recorder = TapeRecorder()
    vars(recorder).update(fault)
    recordings = Recordings(recorder, lambda: passes.append(1))
    for runs in range(1, TRIES + 4):
        recordings.run("work", lambda: sums.add_(model(torch.ones(()))))
        assert len(seen) + len(passes) == sums == runs
    assert len(passes) == (0 if fault else 2)
