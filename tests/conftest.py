"""What all tests share. Imports nothing of gon_core: pytest's hook must see its first import."""

import atexit
import gc
import os
import signal
import sys
from pathlib import Path

import jaxtyping
import pytest
from hypothesis import settings

# For this process and all that it starts: compiling the epsilon sphere takes longer than what tests
# train. Those of the compiled kernels ask for them.
os.environ["GON_FUSION"] = "eager"

# Who is started in the background by a shell script ignores Ctrl-C, and so would all children.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# So does nohup with SIGHUP. A handler that does nothing keeps its word, for this process alone.
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *received: None)


# To take millions of objects apart at the end takes a worker ten seconds, and its results are sent.
IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ
if IS_WORKER:
    atexit.register(os._exit, 0)

# The modules are a million objects, which each full collection looks at again.
gc.set_threshold(50_000, 20, 100)

# A busy machine must fail no test: time is measured in benchmarks.
settings.register_profile("untimed", deadline=None, max_examples=50)
settings.load_profile("untimed")

# Every call of gon_core is checked for types and shapes in the tests of these folders and of loose
# files, but not in system and slow ones: it is a fifth of the time, and they make the same calls.
SHAPES_ARE_CHECKED = ("gon_core", "gpu", "sweeps/engine/trials")

TESTS = Path(__file__).parent
REAL_SWEEPS = TESTS / "sweeps"
LONG = ("test_ranks.py", "test_surroundings.py", "test_parallel.py", "test_growth.py")  # as well
MAY_START_PROCESSES = {"end_to_end", "system", "slow", "cluster", "gpu"}


def pytest_collection_finish():
    """Let no collection of a worker look again at the modules, millions of objects."""
    if IS_WORKER:
        gc.collect()
        gc.freeze()


def pytest_collection_modifyitems(items):
    """Begin with the real sweeps: the longest tests, at the end, would leave other cores idle."""
    items.sort(key=lambda item: (item.path.parent != REAL_SWEEPS, item.path.name not in LONG))


class Guard:
    """Refuses to start another Python while ``test`` runs that has no marker for it."""

    test: str | None = None

    def __call__(self, event, arguments):
        if self.test is None or event not in ("subprocess.Popen", "os.fork"):
            return
        program = Path(str(arguments[0])).name if arguments else "fork"
        if program.startswith(("python", "fork", "ray", "mlflow")) and not compiles():
            pytest.fail(f"{self.test} starts a process ({program}): mark it as system")


def compiles():
    """Whether torch is compiling: the first time on a machine it tries out the C++ compiler."""
    frame = sys._getframe()
    while frame := frame.f_back:
        if frame.f_globals.get("__name__") == "torch._inductor.cpu_vec_isa":
            return True
    return False


GUARD = Guard()
sys.addaudithook(GUARD)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Let tests without a marker, and their fixtures, start no further Python."""
    markers = {marker.name for marker in item.iter_markers()}
    GUARD.test = None if markers & MAY_START_PROCESSES else item.nodeid
    folder = item.path.parent.relative_to(TESTS)
    is_here = not folder.parts or any(map(folder.is_relative_to, SHAPES_ARE_CHECKED))
    is_checked = is_here and not markers & {"system", "slow"}
    jaxtyping.config.update("jaxtyping_disable", not is_checked)
    try:
        return (yield)
    finally:
        GUARD.test = None


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """One thread a process, as in a trial: the same bits on every machine with the same kernels."""
    import torch  # slow, and pytest's first process, which runs no test, would wait for it

    torch.set_num_threads(1)
