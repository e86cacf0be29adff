"""What a trial occupies on machines with any number of GPUs: shared, one, or several."""

import json
import os
import subprocess
import sys

import pytest

import sweeps.sigma_line_search as script
from sweeps.engine.resources.resources import Resources, make_resources, problems
from sweeps.engine.system import machine

SHARING = """
import json, os, sys, time
import ray
ray.init(address="local", num_cpus=4, num_gpus=2, include_dashboard=False, log_to_driver=False,
         object_store_memory=100 * 1024**2, _temp_dir=sys.argv[1])
def look():
    began = time.monotonic()
    time.sleep(20)
    return os.environ["CUDA_VISIBLE_DEVICES"], began, time.monotonic()
found = {}
for gpus in (0.25, 0.4, 2):
    count = 1 if gpus == 2 else 4
    found[gpus] = ray.get([ray.remote(num_cpus=1, num_gpus=gpus)(look).remote() for _ in range(count)])
print(json.dumps(found))
"""  # noqa: E501


@pytest.fixture
def a_machine(monkeypatch):
    """Return a function: the options on a machine with so many GPUs and cores."""

    def options(gpus, cpus, **given):
        monkeypatch.setattr(machine, "gpu_count", lambda: gpus)
        monkeypatch.setattr(machine, "cpu_count", lambda: cpus)
        return script.Options(**given)

    return options


def sharing(together, gpus, most):
    return Resources(1, gpus, most, trials_per_process=together)


@pytest.mark.parametrize(
    ("gpus", "cpus", "given", "expected"),
    [
        (0, 4, {}, Resources(1, 0.0, 4)),
        (0, 4, {"processes_per_trial": 2}, Resources(1, 0.0, 2, 2)),
        (0, 5, {"processes_per_trial": 2, "cpus_per_trial": 2}, Resources(2, 0.0, 1, 2)),
        (1, 8, {}, Resources(1, 1.0, 1)),
        (1, 8, {"gpus_per_trial": 0.25}, Resources(1, 0.25, 4)),
        (1, 2, {"gpus_per_trial": 0.25}, Resources(1, 0.25, 2)),
        (1, 8, {"gpus_per_trial": 0.25, "processes_per_trial": 1}, Resources(1, 0.25, 4)),
        (3, 9, {"gpus_per_trial": 1 / 3}, Resources(1, 1 / 3, 9)),
        # Two trials fit a GPU; its other fifth and that of the next make no part of a third.
        (2, 8, {"gpus_per_trial": 0.4}, Resources(1, 0.4, 4)),
        (2, 8, {"gpus_per_trial": 0.6}, Resources(1, 0.6, 2)),
        (4, 8, {"gpus_per_trial": 2}, Resources(1, 2.0, 2, 2)),
        (4, 8, {"gpus_per_trial": 2, "processes_per_trial": 2}, Resources(1, 2.0, 2, 2)),
        (5, 8, {"gpus_per_trial": 2, "cpus_per_trial": 3}, Resources(3, 2.0, 1, 2)),
        (8, 8, {"gpus_per_trial": 8}, Resources(1, 8.0, 1, 8)),
        (2, 4, {"gpus_per_trial": 0, "processes_per_trial": 2}, Resources(1, 0.0, 2, 2)),
        (2, 16, {"trials_per_process": 4}, sharing(4, 1 / 4, 8)),
        (2, 16, {"trials_per_process": 3}, sharing(3, 1 / 3, 6)),
        (2, 7, {"trials_per_process": 4}, sharing(4, 1 / 4, 4)),  # cores for one process
        (1, 16, {"trials_per_process": 4, "gpus_per_trial": 0.125}, sharing(4, 0.125, 8)),
        (0, 5, {"trials_per_process": 2}, sharing(2, 0.0, 4)),
        (2, 16, {"trials_per_process": 4, "max_concurrent": 7}, sharing(4, 1 / 4, 4)),
    ],
)
def test_trials_occupy_what_was_asked_for(gpus, cpus, given, expected, a_machine):
    options = a_machine(gpus, cpus, **given)
    assert problems(options) == {}
    assert make_resources(options, gpus) == expected
    assert expected.all_cpus == expected.cpus * expected.processes
    assert (
        expected.max_concurrent * expected.all_cpus <= cpus
        and expected.max_concurrent * expected.gpus <= gpus + 1e-9
    )


@pytest.mark.parametrize(
    ("gpus", "cpus", "given", "key", "rule"),
    [
        (2, 8, {"gpus_per_trial": 3}, "gpus_per_trial", "at most 2, the GPUs"),
        (4, 8, {"gpus_per_trial": 0.001}, "gpus_per_trial", "must be 0 or at least 0.01"),
        (4, 8, {"gpus_per_trial": 2.5}, "gpus_per_trial", "a whole number above 1"),
        (4, 3, {"gpus_per_trial": 4}, "gpus_per_trial", "at most 3: each process of a trial"),
        (2, 8, {"processes_per_trial": 2}, "processes_per_trial", "must be 1, one for each GPU"),
        (
            2, 8, {"gpus_per_trial": 0.5, "processes_per_trial": 2},
            "processes_per_trial", "must be 1, one for each GPU of a trial",
        ),
        (
            4, 8, {"gpus_per_trial": 2, "processes_per_trial": 4},
            "processes_per_trial", "must be 2, one for each GPU of a trial (--gpus-per-trial)",
        ),
        (
            0, 4, {"cpus_per_trial": 2, "processes_per_trial": 3},
            "processes_per_trial", "at most 2: each process of a trial takes 2 of the 4 cores",
        ),
        (0, 2, {"trials_per_process": 3}, "trials_per_process", "at most 2: each trial takes 1"),
        (
            1, 8, {"trials_per_process": 4, "gpus_per_trial": 0.5},
            "gpus_per_trial", "must be at most 1/4: the trials of a process share a GPU",
        ),
        (
            1, 8, {"trials_per_process": 4, "max_concurrent": 2},
            "max_concurrent", "must be at least 4, the trials of one process",
        ),
        *(
            (1, 8, {"trials_per_process": 2} | given, "trials_per_process", f"given: 2; {rule}")
            for given, rule in (
                ({"compile": True}, "torch.compile is for one"),
                ({"precision": "tf32"}, "tf32 holds for all"),
                ({"processes_per_trial": 2}, "such a trial has several processes"),
                (
                    {"processes_per_trial": 2, "compile": True},
                    "torch.compile is for one at a time (--compile); such a trial has several",
                ),
            )
        ),
        (2, 8, {"batch_norm": "local"}, "batch_norm", "is of trials of several processes"),
    ],
)  # fmt: skip
def test_what_the_machine_has_not_is_refused(gpus, cpus, given, key, rule, a_machine):
    found = problems(a_machine(gpus, cpus, **given))
    assert list(found) == [key] and rule in found[key]


@pytest.mark.slow
def test_ray_shares_gpus_as_the_slots_say_and_numbers_them_from_0(tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / "r"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CUDA")}
    settings = {"RAY_AUTH_MODE": "token", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
    done = subprocess.run(
        [sys.executable, "-c", SHARING, str(folder)[:60]], capture_output=True, text=True,
        env=environment | settings, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    for gpus in ("0.25", "0.4"):
        assert max(began for _, began, _ in found[gpus]) < min(ended for *_, ended in found[gpus])
        assert {visible for visible, *_ in found[gpus]} <= {"0", "1"}
    assert [visible for visible, *_ in found["0.4"]].count("0") == 2
    assert found["2"][0][0] == "0,1"
