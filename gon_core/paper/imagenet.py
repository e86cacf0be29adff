"""The paper's tables on ImageNet: which models they are of, and their figures by one set of names.

A column is ``clean``, ``mean`` (top-1 over the 15 corruptions), a corruption, ``without noise``,
``top-5``, ``top-5 without noise`` or ``mCE``, whatever a table itself calls it; of the main paper's
tables an attack with its size, or a kind of noise.
"""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from gon_core import paper
from gon_core.config import MethodConfig, OwnFunction
from gon_core.measurement import TOP1

CORRUPTIONS: tuple[str, ...] = tuple(
    paper.load("alexnet_imagenet_c_error")["corruption"].to_pylist()
)
NOISES = CORRUPTIONS[:3]
QUIET = tuple(name for name in CORRUPTIONS if name not in NOISES)
COLUMNS = {
    "imagenet_c_top1": "mean",
    "imagenet_c_top5": "top-5",
    "without_noise_top1": "without noise",
    "without_noise_top5": "top-5 without noise",
    "mce": "mCE",
    "generator_depth": "depth",
    "generator_parameters": "parameters",
    "l2_eps_0.125": "l2 (0.125)",
    "linf_eps_0.001": "l-inf (0.001)",
}
"""What a table calls a column, where it is another name than ours."""


@dataclass(frozen=True)
class PaperModel:
    """A model that the paper measured on ImageNet.

    Attributes:
        architecture: one of ``gon_core.architectures``.
        weights: where weights of it are published, in words; empty if nowhere.
        method: the variant of a training method that trains it; empty if none here does.
        fields: of the method, those that make it this model and no other.
    """

    architecture: str
    weights: str = ""
    method: str = ""
    fields: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class PrintedTable:
    """A table of the appendix, or of the main paper.

    Attributes:
        number: in the appendix, or in the main paper.
        title: what it shows.
        sources: names in ``paper.TABLES``; of a model that several have, all figures count.
        columns: in its order.
        rows: by row of the first source, the name in ``MODELS``.
        measure: what it is made of, a name in ``gon_core.measures``; those beside accuracy are in
            the main paper.
        settings: by column that is not of accuracies under corruptions, the setting of its rows.
    """

    number: int
    title: str
    sources: tuple[str, ...]
    columns: tuple[str, ...]
    rows: Mapping[str, str]
    measure: str = TOP1
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What ``PRINTED`` calls it: its number, after ``main-`` if it is of the main paper."""
        return f"{'main-' * self.is_of_main_paper}{self.number}"

    @property
    def heading(self) -> str:
        """Its number and title, as a report has them."""
        return f"Table {self.number}{' of the main paper' * self.is_of_main_paper}: {self.title}"

    @property
    def is_of_main_paper(self) -> bool:
        """Whether it is of the main paper, not of the appendix."""
        return self.measure != TOP1

    def figures(self) -> dict[str, dict[str, str]]:
        """Return what is printed, by name in ``MODELS`` and column."""
        found: dict[str, dict[str, str]] = {}
        for row, model in self.rows.items():
            printed: dict[str, Any] = {}
            for source in self.sources:
                printed |= paper.models(source).get(row, {})
            named = {COLUMNS.get(name, name): value for name, value in printed.items()}
            found[model] = {name: str(named[name]) for name in self.columns if name in named}
        return found

    def row(self, model: str) -> str | None:
        """Return what the first source calls a model of ``MODELS``; None if it has none."""
        return next((row for row, name in self.rows.items() if name == model), None)

    @property
    def is_of_errors(self) -> bool:
        """Whether its corruptions are errors relative to AlexNet's, not accuracies."""
        return "mCE" in self.columns


def official(model: str, table: PrintedTable) -> dict[str, str]:
    """Return the authors' own results of a model at two decimals, by column of a table.

    Args:
        model: a name in ``MODELS``; not all have such results.
        table: whose columns are looked for.

    References:
        The files Results/*.txt of the authors' repository, bethgelab/game-of-noise at 2989b43.
        They list no means: these are over the figures of the corruptions.
    """
    if table.is_of_main_paper:
        return {}
    known = _official(table.is_of_errors).get(model, {})
    return {name: f"{known[name]:.2f}" for name in table.columns if name in known}


@cache
def _official(of_errors: bool) -> dict[str, dict[str, Any]]:
    if of_errors:
        rows = paper.models("official_imagenet_c_ce")
        return {model: row | {"mCE": _mean(row, CORRUPTIONS)} for model, row in rows.items()}
    top5 = paper.models("official_imagenet_c_top5")
    return {
        model: row
        | {
            "mean": _mean(row, CORRUPTIONS),
            "without noise": _mean(row, QUIET),
            "top-5": _mean(top5[model], CORRUPTIONS),
            "top-5 without noise": _mean(top5[model], QUIET),
        }
        for model, row in paper.models("official_imagenet_c_top1").items()
    }


def _mean(row: Mapping[str, Any], names: tuple[str, ...]) -> float:
    return statistics.fmean(float(row[name]) for name in names)


_TORCHVISION = "torchvision, IMAGENET1K_V1"
_AUTHORS = "bethgelab/game-of-noise, release v1.0: "
_ANT: dict[str, float] = {"epsilon": 135.0, "depth": 4}
_ANT_3X3: dict[str, float] = {"epsilon": 70.0, "depth": 4}
MODELS: dict[str, PaperModel] = {
    "vanilla_rn50": PaperModel("resnet50", f"{_TORCHVISION}; timm/resnet50.tv_in1k", "vanilla"),
    "shift_inv": PaperModel("resnet50_antialiased", "adobe/antialiased-cnns, ResNet-50 Bin-5"),
    "patch_gn": PaperModel("resnet50", "", "patch_gaussian", {"sigma_max": 1.0}),
    "sin_in": PaperModel(
        "resnet50", "rgeirhos/texture-vs-shape, trained on SIN and IN together", "sin_in"
    ),
    "augmix": PaperModel("resnet50", "google-research/augmix", "augmix"),
    "speckle": PaperModel("resnet50", f"{_AUTHORS}Speckle_Model", "speckle"),
    "gnt_mult": PaperModel("resnet50", f"{_AUTHORS}Gauss_mult_Model", "gnt_mult"),
    "gnt_sigma_0.5": PaperModel(
        "resnet50", f"{_AUTHORS}Gauss_sigma_0.5_Model", "gnt", {"sigma": 0.5}
    ),
    "ant_1x1": PaperModel("resnet50", f"{_AUTHORS}ANT_Model", "ant_1x1", _ANT),
    "ant_1x1_sin": PaperModel("resnet50", f"{_AUTHORS}ANT_SIN_Model", "ant_1x1_sin", _ANT),
    "ant_1x1_no_replay": PaperModel("resnet50", "", "ant_1x1_without_replay", _ANT),
    "ant_3x3": PaperModel("resnet50", f"{_AUTHORS}ANT3x3_Model", "ant_3x3", _ANT_3X3),
    "ant_3x3_sin": PaperModel("resnet50", f"{_AUTHORS}ANT3x3_SIN_Model", "ant_3x3_sin", _ANT_3X3),
    "adversarial_training_free_rn50": PaperModel(
        "resnet50", "of Shafahi et al., on request", "free"
    ),
    "vanilla_rn152": PaperModel("resnet152", _TORCHVISION, "vanilla"),
    "adversarial_training_denoising_rn152": PaperModel(
        "resnet152_denoising",
        "facebookresearch/ImageNet-Adversarial-Training",
        "pgd_targeted",
        {"epsilon": 16 / 255, "steps": 30},
    ),
    "vanilla_alexnet": PaperModel("alexnet", _TORCHVISION, "vanilla"),
    "universal_adversarial_training_alexnet": PaperModel(
        "alexnet", "of Shafahi et al., on request", "uat"
    ),
    "vanilla_ford": PaperModel("inception_v3"),
    "gaussian_uniform_sigma_0.4_ford": PaperModel("inception_v3", "", "ford", {"sigma_max": 0.4}),
    "vanilla_inception": PaperModel("inception_v3", _TORCHVISION, "vanilla"),
    "gnt_sigma_0.4_inception": PaperModel("inception_v3", "", "gnt", {"sigma": 0.4}),
    "gnt_sigma_0.5_inception": PaperModel("inception_v3", "", "gnt", {"sigma": 0.5}),
    "vanilla_dn121": PaperModel("densenet121", _TORCHVISION, "vanilla"),
    "ant_1x1_dn121": PaperModel("densenet121", "", "ant_1x1", _ANT),
    **{
        f"ant_1x1_ng{depth}": PaperModel("resnet50", "", "ant_1x1", _ANT | {"depth": depth})
        for depth in (1, 2, 3, 5)
    },
}
"""Every model of the tables, by the name that ``--names`` may give a checkpoint of it."""


def trained_by(method: MethodConfig, architecture: str) -> str | None:
    """Return the name in ``MODELS`` of what a method trains on 224 or 299 px; None if none is it.

    It has the fields of that model's method that make it this model and no other. A user's own
    function is none, whatever its name.
    """
    if isinstance(method, OwnFunction):
        return None
    for name, model in MODELS.items():
        is_same = (model.architecture, model.method) == (architecture, method.variant)
        if is_same and all(getattr(method, key) == each for key, each in model.fields.items()):
            return name
    return None


def networks_of(variant: str) -> tuple[str, ...]:
    """Return the architectures of the models of ``MODELS`` that a method trains; none without."""
    found = (model.architecture for model in MODELS.values() if model.method == variant)
    return tuple(dict.fromkeys(found))


def _alike(*names: str) -> dict[str, str]:
    return {name: name for name in names}


_OF_ACCURACY = ("mean", *CORRUPTIONS)
_INCEPTION = {
    **_alike("vanilla_ford", "gaussian_uniform_sigma_0.4_ford"),
    "vanilla": "vanilla_inception",
    "gnt_sigma_0.4": "gnt_sigma_0.4_inception",
    "gnt_sigma_0.5": "gnt_sigma_0.5_inception",
}
_OF_TABLE_4 = _alike(*paper.models("imagenet_c_top1"))
PRINTED: dict[str, PrintedTable] = {
    table.name: table
    for table in (
        PrintedTable(
            2,
            "epsilon*, the median size of noise that fools a model",
            ("epsilon_star_imagenet",),
            ("gaussian", "uniform", "adversarial_1x1"),
            _alike(*paper.models("epsilon_star_imagenet")),
            "epsilon_star",
            {name: name for name in ("gaussian", "uniform", "adversarial_1x1")},
        ),
        PrintedTable(
            4,
            "accuracy under attack",
            ("imagenet_adversarial",),
            ("clean", "l2 (0.125)", "l-inf (0.001)"),
            _alike(*paper.models("imagenet_adversarial")),
            "attacks",
            {"l2 (0.125)": "ddn", "l-inf (0.001)": "pgd"},
        ),
        PrintedTable(
            3,
            "adversarial training, accuracy on ImageNet-C",
            ("imagenet_c_adversarial_training_top1",),
            _OF_ACCURACY,
            _alike(*paper.models("imagenet_c_adversarial_training_top1")),
        ),
        PrintedTable(
            4,
            "accuracy on ImageNet-C",
            ("imagenet_c_top1", "imagenet_clean_top1"),
            ("clean", *_OF_ACCURACY),
            _OF_TABLE_4,
        ),
        PrintedTable(
            5,
            "corruption errors on ImageNet-C, relative to AlexNet's",
            ("imagenet_c_mce",),
            ("mCE", *CORRUPTIONS),
            {"sin" if row == "sin_in" else row: row for row in _OF_TABLE_4},
        ),
        PrintedTable(
            8,
            "InceptionV3, accuracy on ImageNet-C",
            ("inception_v3_imagenet_c_top1",),
            _OF_ACCURACY,
            _INCEPTION,
        ),
        PrintedTable(
            9,
            "InceptionV3, accuracy on clean images",
            ("inception_v3_imagenet_c_top1",),
            ("clean",),
            _INCEPTION,
        ),
        PrintedTable(
            10,
            "ResNet-50 and DenseNet-121",
            ("backbones_imagenet_c",),
            ("clean", "mean", "top-5", "without noise", "top-5 without noise"),
            {
                **_alike("vanilla_rn50", "vanilla_dn121", "ant_1x1_dn121"),
                "ant_1x1_rn50": "ant_1x1",
            },
        ),
        PrintedTable(
            11,
            "the depth of the noise generator",
            ("generator_depth_imagenet_c",),
            ("parameters", "clean", "mean", "without noise"),
            {
                "vanilla_rn50": "vanilla_rn50",
                **{
                    f"ant_1x1_ng{depth}": "ant_1x1" if depth == 4 else f"ant_1x1_ng{depth}"
                    for depth in range(1, 6)
                },
            },
        ),
    )
}
"""The paper's tables on ImageNet, by their names; those of the main paper first."""
