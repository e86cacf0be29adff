"""What there is to know of a data set, for training on it and for testing on it.

Imports no torch: a benchmark is described before anything slow starts.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gon_core import architectures
from gon_core.config.methods import ANT, Trained
from gon_core.config.training import TrainingConfig

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from gon_core.benchmarks.attacks import Attack
    from gon_core.config.trial import FolderConfig, ImageSize
    from gon_core.data.listing import Listing
    from gon_core.data.splits import Images, LabelledImages

ScaleName = Literal["demo", "paper"]
THE_PAPER = "the paper"  # this project's, about the Game of Noise


@dataclass(frozen=True)
class CorruptionSuite:
    """A set of corruptions that models are tested under.

    Attributes:
        name: of its metrics, for example ``mnist_c``.
        title: of its figures and tables, for example ``MNIST-C``.
        corruptions: their names, in the order of tables.
        severities: of each corruption; all of them enter its mean.
        corrupt: takes uint8 images [batch, channel, height, width], the name of a corruption, a
            severity, a seed, and the index in the whole set of the first of these images; returns
            new images of the same shape. What becomes of an image depends on its index alone.
        block: images whose index begins at a multiple of this can be corrupted apart.
        in_memory: whether all corrupted copies of a split fit in memory: made once then, else
            batch by batch.
        published: of an extension, the severity that the published images have.
        noises: those of the corruptions that are noise, which means "without noise" leave out.
        left_out: corruptions of the published set that are not made: means are without them.
        lacking: returns which of its corruptions cannot be made on this machine.
        reference_errors: the table in ``gon_core.paper`` of the errors of the model that corruption
            errors are relative to; None where accuracies are compared as they are.
        plain_mce: whether the plain mean of errors is called mCE, as on CIFAR-10-C.
    """

    name: str
    title: str
    corruptions: tuple[str, ...]
    severities: tuple[int, ...]
    corrupt: Callable[[Tensor, str, int, int, int], Tensor]
    block: int = 1
    in_memory: bool = True
    published: int | None = None
    noises: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    lacking: Callable[[], tuple[str, ...]] = tuple
    reference_errors: str | None = None
    plain_mce: bool = False

    @property
    def mean(self) -> str:
        """What its means are over, in words."""
        made, left_out = len(self.corruptions), len(self.left_out)
        return f"{made} of {made + left_out} corruptions" if left_out else f"{made} corruptions"

    def without(self, names: Collection[str]) -> CorruptionSuite:
        """Return the suite without some of its corruptions."""
        return replace(
            self,
            corruptions=tuple(name for name in self.corruptions if name not in names),
            left_out=tuple(name for name in self.corruptions if name in names),
            # The mean of such errors is over all of the published corruptions.
        )

    @property
    def versions(self) -> tuple[tuple[str, int], ...]:
        """Every corruption at every severity."""
        return tuple(itertools.product(self.corruptions, self.severities))


@dataclass(frozen=True)
class Strength:
    """The one number that a training method is tuned by: where a line search looks for it.

    Attributes:
        parameter: a field, or a property, of the method.
        low: least value that is searched, inclusive.
        high: greatest value that is searched, or accepted: beyond it almost every pixel is clipped.
        step: values are multiples of it.
        unit: for axes and tables.
        coarse_grid: to begin with at demo scale.
        paper_grid: to begin with at paper scale.
        joint: the range in which a search over several parameters looks; None for the same.
    """

    parameter: str
    low: float
    high: float
    step: float
    unit: str
    coarse_grid: tuple[float, ...]
    paper_grid: tuple[float, ...]
    joint: tuple[float, float] | None = None


@dataclass(frozen=True)
class Scale:
    """How much is run: images, limits of epochs, and how far methods and measures are reduced.

    Attributes:
        training_images: how many to train on; None for all that are not held out.
        validation_images: how many of the images that are held out.
        test_images: how many of the test images.
        start: training of the vanilla model that all trials start from.
        training: training of a trial.
        checkpoint_every: epochs between checkpoints.
        methods: deviations of the training methods from their authors', by method and field.
        evaluation: deviations of the measures of a final model from the paper's, by field.
        model: what is trained; None for the benchmark's own.
        fine_tuning: training of a trial that starts from given weights; None for that of any other.
        epochs: limit of epochs by variant of a method, where its own is lower than ``training``'s.
        recipes: training of a trial by variant of a method that has its own, whatever it starts
            from.
        usual_epochs: how many a training takes until it has converged, in words.
        start_weights: published weights that trials start from, by their name; empty where training
            a vanilla model is part of the recipe.
        random_starts: the variants of methods that start from random weights, whatever others start
            from. One that is not in ``recipes`` is described nowhere: its training must be given.
        notes: by variant, what of its training is not its authors', in words.
    """

    training_images: int | None
    validation_images: int
    test_images: int
    start: TrainingConfig
    training: TrainingConfig
    checkpoint_every: int
    methods: Mapping[str, Mapping[str, float | int]] = field(default_factory=dict)
    evaluation: Mapping[str, float | int] = field(default_factory=dict)
    model: str | None = None
    fine_tuning: TrainingConfig | None = None
    epochs: Mapping[str, int] = field(default_factory=dict)
    recipes: Mapping[str, TrainingConfig] = field(default_factory=dict)
    usual_epochs: str = ""
    start_weights: str = ""
    random_starts: tuple[str, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def open_recipes(self) -> tuple[str, ...]:
        """The methods that start from random weights and whose training is described nowhere."""
        return tuple(name for name in self.random_starts if name not in self.recipes)


@dataclass(frozen=True)
class Published:
    """Where published figures of this benchmark stand in ``gon_core.paper``.

    Attributes:
        source: who published them.
        trained: how these models were trained, in words.
        title: what the table of accuracies by corruption is called there.
        top1: that table.
        rows: by training method, the row of that table that its model stands beside.
        of_models: by model other than the paper's own, its rows by training method.
        not_trained: rows of that table whose model no method here trains, and why.
        adversarial_title: what the table of accuracies under attack is called there.
        adversarial: that table; a row has the name of the model, or of the training method. None if
            no accuracies under attack were published.
        attacks: by attack, its column of that table.
        curves: by training method, the table of accuracy against its strength, and the names of
            the columns of the two.
    """

    title: str
    top1: str
    rows: Mapping[str, str]
    not_trained: Mapping[str, str]
    adversarial_title: str = ""
    adversarial: str | None = None
    attacks: Mapping[str, str] = field(default_factory=dict)
    curves: Mapping[str, tuple[str, str, str]] = field(default_factory=dict)
    source: str = THE_PAPER
    trained: str = "at paper scale"
    of_models: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def of_model(self, model: str | None) -> Published:
        """Return what stands beside a model, by its name in ``gon_core.architectures``."""
        if model is None or model not in self.of_models:
            return self
        return replace(self, rows=self.of_models[model], curves={})

    @property
    def label(self) -> str:
        """What its figures are called beside ours."""
        return f"{'published' if self.source == THE_PAPER else self.source}, {self.trained}"


@dataclass(frozen=True)
class Benchmark:
    """A data set, the corruptions that its models are tested under, and the paper's settings.

    Attributes:
        name: of ``--dataset`` and of records.
        title: for people.
        image_shape: channels, height and width.
        classes: how many there are.
        training_images: images of the published training set.
        test_images: images of the published test set.
        held_out: training images that are never trained on, whatever the scale.
        read: takes the folder of the data set, or None where the images are embedded; returns
            training and test images. Raises ``gon_core.data.files.DataFileError``.
        check: takes the same; returns the SHA-256 of the files, or raises that error.
        download: fetches the files into a folder; None where that cannot be done.
        model: the classifier that is trained, a name in ``gon_core.architectures``.
        methods: the training methods with the values of the paper, or of their authors.
        strengths: by training method, where its strength is searched.
        scales: how much is run; empty if it is only evaluated on.
        suites: the corruptions of the splits ``validation`` and ``test``; of ``test`` alone where
            nothing is trained. With ``severities`` there is a third, an extension of test images
            whose rows enter no published mean.
        measures: what can be measured of a final model beside these accuracies.
        attacks: by the setting of their rows, those of the measure ``attacks``.
        evaluation: fields of ``EvaluationConfig`` that measures have here by default, where they
            are not those of MNIST.
        published: published figures; None if it has none.
        augment: takes training images [batch, channel, height, width] in [0, 1] and a random stream
            on their device; returns what is trained on, before any noise. None for the images as
            they are.
        check_corrupted: takes the folder of the published corrupted test images, as ``check``; None
            if none is read.
        read_corrupted: takes the same, the indices of images, and the names of corruptions; returns
            them by corruption and severity.
        stylized: takes the folder of the data set and that of stylised versions of its training
            images; returns what the latter holds, or raises
            ``gon_core.data.files.DataFileError``. None where no method trains on such.
        recipe: whose values the methods and the scale ``paper`` have, in words.
        folder: what a folder of images holds, where that is not the same for everybody; else None.
        of_folder: returns the benchmark of a folder that looks so; None without ``folder``.
        describe: takes a folder and a height and width; returns what there is to know of it, or
            raises ``gon_core.data.files.DataFileError``. None without ``folder``.
        image_size: height and width that images of such a folder are brought to by default.
        holds_out_by_class: whether as many images of each class are held out.
    """

    name: str
    title: str
    image_shape: tuple[int, int, int]
    classes: int
    training_images: int
    test_images: int
    held_out: int
    read: Callable[[Path | None], tuple[Images, Images]]
    check: Callable[[Path | None], str]
    download: Callable[[Path], None] | None
    model: str
    methods: Mapping[str, Trained]
    strengths: Mapping[str, Strength]
    scales: Mapping[ScaleName, Scale]
    suites: Mapping[str, CorruptionSuite]
    measures: tuple[str, ...]
    attacks: Mapping[str, Attack] = field(default_factory=dict)
    evaluation: Mapping[str, int] = field(default_factory=dict)
    published: Published | None = None
    augment: Callable[[Tensor, Generator], Tensor] | None = None
    check_corrupted: Callable[[Path], str] | None = None
    read_corrupted: (
        Callable[[Path, Tensor, Sequence[str]], Mapping[tuple[str, int], LabelledImages]] | None
    ) = None
    stylized: Callable[[Path, Path], Listing] | None = None
    recipe: str = THE_PAPER
    folder: FolderConfig | None = None
    of_folder: Callable[[FolderConfig], Benchmark] | None = None
    describe: Callable[[Path, ImageSize], FolderConfig] | None = None
    image_size: ImageSize = 224
    holds_out_by_class: bool = False

    @property
    def is_embedded(self) -> bool:
        """Whether the images come with this package, so that no folder is read."""
        return self.download is None and self.folder is None

    @property
    def pool(self) -> int:
        """How many images can be trained on: those that are not held out."""
        return self.training_images - self.held_out

    @property
    def has_extra(self) -> bool:
        """Whether validation images have corruptions of their own, which no test image has."""
        return self.suites["validation"].corruptions != self.suites["test"].corruptions

    def beside(self, model: str | None) -> Benchmark:
        """Return the benchmark with the published figures that stand beside a model."""
        if self.published is None or model not in self.published.of_models:
            return self
        return replace(self, published=self.published.of_model(model))

    def without(self, names: Collection[str]) -> Benchmark:
        """Return the benchmark without some corruptions, see ``EvaluationConfig.left_out``."""
        if not names:
            return self
        suites = {split: suite.without(names) for split, suite in self.suites.items()}
        return replace(self, suites=suites)

    def validation_suite(self, objective: str) -> CorruptionSuite:
        """Return the corruptions of validation images, see ``EvaluationConfig.objective``."""
        test = self.suites["test"]
        return test if objective == "corruptions" else self.suites.get("validation", test)

    def make_model(self, name: str | None = None, generator: Generator | None = None) -> nn.Module:
        """Return a model for these images and classes, on the CPU.

        Args:
            name: one in ``gon_core.architectures``; by default the benchmark's own.
            generator: draws the initial weights; one that is seeded with 0 by default.

        Raises:
            ValueError: unknown name, or the model is for other classes or images.
        """
        return architectures.make(name or self.model, self.classes, self.image_shape, generator)

    def ant(self, variant: str) -> ANT:
        """Return the adversarial noise training of a name in ``methods``."""
        method = self.methods[variant]
        assert isinstance(method, ANT), f"{variant} is no adversarial noise training"
        return method
