"""Samples of how busy a trial keeps its machine."""

import time

import psutil
import pytest
import torch
from pynvml import NVML_ERROR_NOT_SUPPORTED, NVMLError

from sweeps.engine.trials.machine_load import sampled

OF_MACHINE = {
    "cpu_utilization_percentage", "system_memory_usage_megabytes", "system_memory_usage_percentage",
    "trial_cpu_utilization_percentage", "trial_memory_usage_megabytes",
}  # fmt: skip


def work(seconds):
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def test_samples_are_taken_while_the_block_runs_and_at_its_end():
    with sampled(every=0.05) as samples:
        first, patience = [], time.monotonic() + 60
        while not first and time.monotonic() < patience:  # a busy machine takes its time
            work(0.2)
            first = samples()
        work(0.01)
    last = samples()
    assert first and last and not samples()
    assert {*first[0].figures} == OF_MACHINE
    times = [sample.time for sample in first + last]
    assert times == sorted(times) and abs(times[-1] / 1000 - time.time()) < 60
    busiest = max(sample.figures["trial_cpu_utilization_percentage"] for sample in first)
    assert busiest > 5
    megabytes = psutil.Process().memory_info().rss / 1e6
    assert first[0].figures["trial_memory_usage_megabytes"] > megabytes / 2


def test_a_trial_that_is_over_at_once_has_one_and_none_is_taken_unless_asked():
    with sampled() as samples:
        pass
    assert len(samples()) == 1
    with sampled(is_asked=False) as samples:
        pass
    assert samples() == []


@pytest.mark.parametrize("lacks_utilisation", [False, True])
def test_gpus_have_the_names_of_mlflow(monkeypatch, lacks_utilisation):
    def utilization(index):
        if lacks_utilisation:
            raise NVMLError(NVML_ERROR_NOT_SUPPORTED)
        return 40 + index

    class Properties:
        total_memory = 8e9

    fakes = {
        "is_initialized": lambda: True, "device_count": lambda: 2, "utilization": utilization,
        "device_memory_used": lambda index: 2e9, "power_draw": lambda index: 250_000,
        "get_device_properties": lambda index: Properties,
    }  # fmt: skip
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    with sampled() as samples:
        pass
    (sample,) = samples()
    found = {name: value for name, value in sample.figures.items() if name.startswith("gpu_1_")}
    whole = {"gpu_1_utilization_percentage": 41, "gpu_1_power_usage_watts": 250}
    assert found == {
        "gpu_1_memory_usage_megabytes": 2000, "gpu_1_memory_usage_percentage": 25,
        **({} if lacks_utilisation else whole),
    }  # fmt: skip
