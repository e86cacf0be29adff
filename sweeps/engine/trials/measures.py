"""What is measured of a final model: the same for every model, given or trained here.

Nothing is written: measurements and files are returned.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import nn

from gon_core import evaluation
from gon_core.benchmarks import Benchmark
from gon_core.config import EvaluationConfig
from gon_core.data.splits import Images, Splits
from gon_core.evaluation import EvaluationSet, examples
from gon_core.evaluation.corrupted_sets import CLEAN_KEY
from gon_core.evaluation.measure import Accuracies, Measured, Prepared, Subject, get
from gon_core.measurement import TOP1
from gon_core.measures import MEASURES
from sweeps.engine.records import EXAMPLES
from sweeps.engine.records.storage import Folder
from sweeps.engine.trials.evaluation_steps import Steps


@dataclass(frozen=True)
class TrialData:
    """What all trials of a sweep share: made once, read-only.

    Attributes:
        training: the images to train on; the last ``stylized`` of them are stylised versions of
            others, for the methods that use them.
        validation: held-out images, clean and corrupted; model selection uses these alone.
        test: test images, clean and corrupted; reported, never searched on.
        benchmark: what they are of.
        prepared: further images of measures, by the measure's name.
    """

    training: Images
    validation: EvaluationSet
    test: EvaluationSet
    benchmark: Benchmark
    prepared: Mapping[str, Prepared] = field(default_factory=dict)
    stylized: int = 0

    @property
    def own(self) -> Images:
        """The images to train on, without stylised ones."""
        count = len(self.training) - self.stylized
        return self.training[:count] if self.stylized else self.training

    def to(self, device: str) -> "TrialData":
        """Return the same data on ``device``."""
        return TrialData(
            self.training.to(device),
            self.validation.to(device),
            self.test.to(device),
            self.benchmark,
            {name: images.to(device) for name, images in self.prepared.items()},
            self.stylized,
        )


def prepare_data(
    splits: Splits, config: EvaluationConfig, corrupted: Path | None = None
) -> TrialData:
    """Return the data of all trials, with the corrupted images made where they fit in memory.

    Args:
        splits: the clean images.
        config: which corruptions, and further measures.
        corrupted: the folder of published test images, instead of making them.
    """
    seed, benchmark = config.corruption_seed, splits.benchmark.without(config.left_out)
    selection = benchmark.validation_suite(config.objective)
    clean = splits.test.first(config.images)
    prepared = {
        name: prepare(clean, benchmark, seed)
        for name in config.measures
        if (prepare := get(name).prepare) is not None
    }
    return TrialData(
        training=splits.training,
        validation=evaluation.build(splits.validation, "validation", selection, seed),
        test=_test_set(splits, benchmark, seed, corrupted),
        benchmark=benchmark,
        prepared=prepared,
        stylized=splits.stylized,
    )


def _test_set(
    splits: Splits, benchmark: Benchmark, seed: int, corrupted: Path | None
) -> EvaluationSet:
    clean, suite, read = splits.test, benchmark.suites["test"], benchmark.read_corrupted
    if corrupted is None or read is None:
        return evaluation.build(clean, "test", suite, seed)
    return EvaluationSet(
        "test", {CLEAN_KEY: clean, **read(corrupted, splits.chosen, suite.corruptions)}
    )


def write_examples(
    folder: Folder, splits: Splits, config: EvaluationConfig, given: EvaluationSet | None = None
) -> None:
    """Keep some test images, clean and corrupted (as ``given``, or by us), for figures."""
    if folder.exists(EXAMPLES):
        return
    if given is not None:
        shown = examples.of_set(given, splits.benchmark)
    else:
        has_severities = any(MEASURES[name].makes_severities for name in config.measures)
        benchmark = splits.benchmark.without(config.left_out)
        shown = examples.make(splits.test, benchmark, config.corruption_seed, has_severities)
    folder.write(EXAMPLES, examples.dump(shown))


def measure(
    model: nn.Module,
    data: TrialData,
    config: EvaluationConfig,
    bf16: bool = False,
    accuracies: Accuracies = evaluation,
    steps: Steps | None = None,
) -> Measured:
    """Return everything that ``config`` names, and the files to be kept, by their whole names.

    Attacks and sizes are in fp32 in any case: gradients and the last bits decide there. All that is
    random follows from ``config.corruption_seed``, so that every model meets the same noise, and
    each step finds the same whatever was done before it.

    Args:
        model: the final one, on the data's device.
        data: its images.
        config: what to measure.
        bf16: whether accuracies are measured in bfloat16.
        accuracies: measures them, here or elsewhere.
        steps: of the evaluation: a corruption of a split, an attack, a noise generator, epsilon* of
            a noise. Those that are done are not done again.
    """
    steps, found = steps or Steps(), Measured()
    with steps.watching(model):
        for name in (TOP1, *config.measures):
            subject = Subject(
                model, data.benchmark, data.own, data.validation, data.test, config, bf16,
                accuracies, data.prepared.get(name),
            )  # fmt: skip
            measured = get(name).run(subject, steps)
            found.measurements += measured.measurements
            found.spread = measured.spread if name == TOP1 else found.spread
            for stem, content in measured.files.items():
                found.files[f"{stem}.safetensors"] = content
    return found
