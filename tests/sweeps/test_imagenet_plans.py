"""Every sweep on ImageNet as the paper has it: ranges, recipe, trials, and what stands beside."""

import os
import shlex
from importlib import import_module
from pathlib import Path

import pytest
from PIL import Image

from gon_core import paper
from gon_core.benchmarks import image_folder
from gon_core.config import DataConfig
from gon_core.measurement import accuracy_row
from sweeps.engine.cli.command_line import parse
from sweeps.engine.planning import plan as planning
from sweeps.engine.planning import recipe as planned_recipe
from sweeps.engine.planning.given_weights import GivenWeights
from sweeps.engine.planning.plan import make_plan, problems
from sweeps.engine.planning.trial_cost import SHARES, shares_of
from sweeps.engine.records import SweepDescription, SweepRecords, TrialResult
from sweeps.engine.records.storage import Folder
from sweeps.engine.report import sentences
from sweeps.engine.report.figures.accuracy import draw_accuracy
from sweeps.engine.report.summary.aggregate import summarise
from sweeps.engine.report.summary.published import paper_model, read_published
from sweeps.engine.report.tables.imagenet import PRINTED, published_tables
from tests.sweeps.test_dry_runs import SCRIPTS

SIGMAS = tuple(paper.load("imagenet_c_vs_sigma")["sigma"].to_pylist())
DEPTHS = (*((depth, 1) for depth in range(1, 6)), *((depth, 3) for depth in range(2, 6)))
INTERVALS = (0.1, 0.2, 0.33, 0.5, 1.0, 2.0, "never")
ANTS, OF_TABLE_8 = ("ant_1x1", "ant_3x3"), ("vanilla", "gnt_sigma_0.4", "gnt_sigma_0.5", "ford")
TRIALS = {
    "sigma_line_search": (14 + 6) * 3,
    "epsilon_sphere": (9 + 6) * 3,
    "generator_depth": (5 + 4) * 3,
    "generator_reset_interval": 7 * 3,
    "experience_replay": 2 * 3,
    "joint_search": 60,
    "method_comparison": 13 * 3,
    "training_recipe": 6 * 3,
    "backbones": 2 * 2 * 3,
}
"""Points of the grid and proposals, by seeds."""
EPOCHS = {  # others take at most 90: "the total number varied between 30 and 90 epochs"
    "speckle": 10, "ant_1x1": 80, "ant_3x3": 80, "ant_1x1_without_replay": 80,
    "free": 23, "pgd_targeted": 110,
}  # fmt: skip
FROM_SCRATCH = {  # batch, weight decay and the epochs after which the rate falls
    "free": (256, 1e-4, (8, 16)), "pgd_targeted": (256, 1e-4, (35, 70, 95)),
    "ford": (256, 1e-4, (30, 60, 90)),
}  # fmt: skip
VANILLA = "trials start from 120 vanilla epochs trained here (the paper: IMAGENET1K_V1)"
DEVIATIONS = {
    "method_comparison": [
        VANILLA,
        "patch_gaussian: fine-tuned (the code that was found: 100 epochs from scratch)",
        "augmix: fine-tuned (Hendrycks et al.: 180 epochs from scratch)",
        "pgd_targeted: model resnet50 (its published row: resnet152_denoising)",
        "pgd_targeted: batch 256 and learning rate 0.1 (Xie et al.: 4,096 and 1.6)",
    ],
}
"""Without weights; other scripts deviate by their start alone."""
BESIDE = {
    "sigma_line_search": {(s,): top1 for s, top1 in zip(
        SIGMAS, paper.load("imagenet_c_vs_sigma")["imagenet_c_top1"].to_pylist(), strict=True)},
    "epsilon_sphere": {(135.0,): 51.0},
    "generator_depth": {(1, 1): 49.5, (2, 1): 50.8, (3, 1): 50.7, (4, 1): 51.1, (5, 1): 50.7},
    "generator_reset_interval": {(0.33,): 51.0},
    "experience_replay": {(0.2,): 51.0, (0.0,): 49.0},
    "joint_search": {},
    "method_comparison": {
        ("vanilla",): 39.0, ("gnt",): 49.0, ("gnt_mult",): 49.0, ("speckle",): 46.0,
        ("patch_gaussian",): 44.0, ("augmix",): 48.0, ("ant_1x1",): 51.0, ("ant_3x3",): 50.0,
        ("ant_1x1_without_replay",): 49.0,
    },
    "training_recipe": {(70, 1, "trained"): 49.0},
    "backbones": {
        ("resnet50", "vanilla"): 39.2, ("resnet50", "ant_1x1"): 51.1,
        ("densenet121", "vanilla"): 42.1, ("densenet121", "ant_1x1"): 50.3,
    },
}  # fmt: skip
"""The published accuracies under corruptions, by script and by the point they stand at."""


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory):
    """A made-up ImageNet of 1,000 classes; one image, since a plan opens none."""
    root = tmp_path_factory.mktemp("imagenet")
    image = root / "image.jpg"
    Image.new("RGB", (8, 8)).save(image)
    for label in range(1000):
        for part, count in (("train", 2), ("val", 1)):
            folder = root / part / f"n{label:08}"
            folder.mkdir(parents=True)
            for index in range(count):
                os.link(image, folder / f"{index}.JPEG")
    yield root
    image_folder.listing.cache_clear()


@pytest.fixture
def planned(imagenet):
    def plan(script, **given):
        module = import_module(f"sweeps.{script}")
        options = module.Options(dataset="imagenet", data_dir=imagenet, scale="paper", **given)
        assert options.problems() == problems(options) == {}
        return make_plan(module.spec(options), options)

    return plan


def recorded(plan, folder, shift=-1.0):
    """Write trials as accurate as the published models, plus a shift; others have 45 %."""
    described = SweepDescription(
        name=plan.name, experiment=plan.spec.name, title=plan.spec.title, scale="paper",
        created="2026-11-28T10:00:00+00:00", config=plan.config.model_dump(mode="json"),
        search=plan.spec.search, parameters=plan.spec.space, objectives=plan.spec.objectives,
        published=plan.spec.published, seeds=plan.config.seeds, grid=plan.config.grid,
        baselines=plan.config.baselines, data_digest="d", deviations=(), code={}, packages={},
        command="", tracking="",
    )  # fmt: skip
    means, suites = beside(plan), plan.config.data.benchmark.suites
    results = []
    for trial in plan.known_trials:
        point = plan.spec.point(trial)
        right = round(10 * (means.get(point, 45.0) + shift + 0.2 * trial.seed))
        rows = [
            accuracy_row(split, name, severity, right, 1_000)
            for split in ("validation", "test")
            for name, severity in (("clean", 0), *suites[split].versions)
        ]
        results.append(
            TrialResult(
                trial_id=trial.trial_id,
                config=trial,
                status="converged",
                measurements=rows,
                objective=right / 10,
                seconds={},
                ended="2026-11-28T10:00:00+00:00",
                device="cpu",
            )
        )
    records = SweepRecords(Folder(str(folder)))
    records.write_sweep(described)
    for turn, result in enumerate(results):
        trial = records.trial(result.trial_id)
        trial.write_config(result.config)
        trial.write_ask_index(turn)
        trial.write_result(result)
    return records


def beside(plan):
    return read_published(plan.spec.published or {}, plan.config.data.benchmark).means


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_sweep_is_that_of_the_paper(script, planned):
    plan = planned(script)
    assert plan.number_of_trials == TRIALS[script]
    assert plan.deviations == DEVIATIONS.get(script, [VANILLA])
    assert beside(plan) == BESIDE[script]
    assert plan.config.data.benchmark.image_shape == (3, 224, 224)
    start = plan.config.start.training
    assert (start.learning_rate, start.max_epochs) == (0.1, 120)
    for trial in plan.known_trials:
        training, variant = trial.training, trial.method.variant
        assert (variant in FROM_SCRATCH) <= (trial.start is None)
        if trial.start is None:
            assert training.learning_rate == 0.1
            assert training.max_epochs == EPOCHS.get(variant, 120)
            if variant in FROM_SCRATCH:
                assert of_scratch(training) == FROM_SCRATCH[variant]
            continue
        assert (training.learning_rate, training.momentum) == (1e-3, 0.9)
        assert training.weight_decay == 0 and not training.is_scheduled
        if script != "training_recipe":
            assert (training.batch_size, training.decays) == (70, 1)
        assert training.max_epochs == EPOCHS.get(variant, 90)


def of_scratch(training):
    return training.batch_size, training.weight_decay, training.decay_epochs


def test_a_joint_search_is_priced_by_the_epochs_of_ant_and_a_generator_by_its_multiply_adds(
    planned,
):
    plan = planned("joint_search")
    ((method, training, model),) = plan.typical_trials
    assert (training.max_epochs, model) == (80, "resnet50")
    shares = shares_of(plan.config.data, model, method, "cuda")
    own = 46.16 / 4089  # million multiply-adds of Table 1's generator, and of a ResNet-50
    assert shares.alone == pytest.approx(2 / 3 + own, rel=1e-4)
    assert shares.adversary == pytest.approx(2 / 3 + own + own / 6, rel=1e-4)
    small = DataConfig(dataset="mnist")
    assert shares_of(small, "madry_cnn", method, "cuda") == SHARES["cuda"]


def test_a_line_search_has_the_range_of_the_paper(planned):
    sigma, epsilon, small = (
        planned("sigma_line_search"), planned("epsilon_sphere"),
        planned("epsilon_sphere", kernel_size=3),
    )  # fmt: skip
    sigmas = [point[0] for point in sigma.config.grid]
    assert set(SIGMAS) <= set(sigmas) and (sigmas[1], sigmas[-1]) == (0.08, 1.2)
    for plan, chosen in ((epsilon, 135.0), (small, 70.0)):
        values = [point[0] for point in plan.config.grid]
        assert chosen in values[2:-2], "smaller and larger ones on both sides"
        (parameter,) = plan.spec.space
        assert parameter.paper == chosen and parameter.low <= values[0] < values[-1] < 500
    assert {trial.method.kernel_size for trial in small.known_trials} == {1, 3}
    assert [b["epsilon"] for b in small.config.baselines.values()] == [135.0]
    assert beside(small) == {(70.0,): 50.0}, "ANT 3x3's, not ANT 1x1's"


def test_the_other_sweeps_have_the_points_of_the_paper(planned):
    assert planned("generator_depth").config.grid == DEPTHS
    assert [point[0] for point in planned("generator_reset_interval").config.grid] == [*INTERVALS]
    replay = planned("experience_replay")
    shares = [(t.method.past_share, t.method.current_share) for t in replay.known_trials[::3]]
    assert shares == [(0.0, 0.5), (0.2, 0.3)]
    space = {parameter.name: parameter for parameter in planned("joint_search").spec.space}
    assert space["epsilon"].low < 70 and space["epsilon"].high > 135
    assert (space["depth"].low, space["depth"].high) == (1, 5)
    recipe = planned("training_recipe").config.grid
    assert {point[0] for point in recipe} == {50, 70, 100}
    assert {point[1] for point in recipe if point[2] == "trained"} == {0, 1, 2}
    for trial in (t for t in planned("generator_depth").known_trials if t.method.kernel_size == 1):
        assert (trial.method.epsilon, trial.method.reset_interval) == (135.0, 0.33)


def test_other_networks_and_methods_stand_beside_their_own_figures_alone(planned):
    assert {name for _, name in planned("backbones", image_size=299).config.grid} == {
        *OF_TABLE_8[:3]
    }, "how Ford et al. trained is not known"
    plan = planned("backbones", image_size=299, ford_recipe=(0.1, 256, 120))
    (ford,) = {t.training for t in plan.known_trials if t.method.variant == "ford"}
    assert of_scratch(ford) == FROM_SCRATCH["ford"] and ford.max_epochs == 120
    assert [t.start is None for t in plan.known_trials] == [False] * 9 + [True] * 3
    assert plan.config.grid == tuple(("inception_v3", name) for name in OF_TABLE_8)
    assert [*beside(plan).values()] == [41.6, 49.5, 50.2, 42.7]
    paper_point = tuple(parameter.paper for parameter in plan.spec.space)
    assert beside(plan)[paper_point] == 50.2
    assert beside(planned("generator_depth", epsilon=100.0)) == {}, "no such model was published"
    assert beside(planned("generator_depth", model="densenet121")) == {}
    assert beside(planned("experience_replay", method=("ant_3x3",))) == {(0.2,): 50.0}
    assert beside(planned("generator_reset_interval", past_share=0.0)) == {(0.33,): 49.0}


@pytest.mark.parametrize("script", ["sigma_line_search", "generator_depth", "experience_replay"])
def test_the_published_figures_are_drawn_beside_ours(script, planned, tmp_path):
    plan = planned(script, seeds=2)
    summary = summarise(recorded(plan, tmp_path))
    (axes,) = draw_accuracy(summary).axes[:1]
    (line,) = [each for each in axes.lines if each.get_label() == "published, at paper scale"]
    assert [*line.get_ydata()] == [*BESIDE[script].values()]
    answer = " ".join(sentences.answer(summary, {}))
    best = {
        "sigma_line_search": "sigma 0.5, with 49.4 %",
        "generator_depth": "with 51.1 %",
        "experience_replay": "past_share 0.2, with 51.0 %",
    }[script]
    assert best in answer and "No figures were published" not in answer


def test_accuracies_under_attack_stand_beside_those_of_the_main_paper(planned):
    plan = planned("method_comparison")
    attacks = read_published(plan.spec.published, plan.config.data.benchmark).attacks
    assert attacks[("ant_1x1",)] == {"clean": 75.7, "ddn": 50.1, "pgd": 28.6}
    assert attacks.keys() == {("vanilla",), ("gnt",), ("ant_1x1",)}


def printed_commands():
    """Return each command that the tables print once, with the rows that it fills."""
    found = {}
    for _, ways in published_tables(list(PRINTED)):
        for way in ways:
            name, _, lines = way.partition(":")
            for line in lines.strip().splitlines():
                if line.strip().startswith("python"):
                    found.setdefault(line.partition("#")[0].strip(), []).append(name)
    return found


COMMANDS = printed_commands()
FROM_RANDOM_WEIGHTS = {
    "adversarial_training_free_rn50", "adversarial_training_denoising_rn152",
    "gaussian_uniform_sigma_0.4_ford",
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_tables_trains_or_measures_its_row(
    command, imagenet, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    weights = tmp_path / "w.safetensors"
    weights.touch()
    values = {"FOLDER": imagenet, "FILE": weights, "X": 0.01, "RATE": 0.1, "BATCH": 256,
              "EPOCHS": 120}  # fmt: skip
    words = [
        "=".join(str(values.get(part, part)) for part in word.split("="))
        for word in shlex.split(command)
    ]
    assert words[0] == "python" and Path(words[1]).parent == Path("sweeps")
    script = import_module(f"sweeps.{Path(words[1]).stem}")
    if script.__name__ == "sweeps.evaluate_checkpoint":
        options = parse(script.Options, "", words[2:])
        assert options.names == tuple(set(COMMANDS[command]))
        return

    def given(options):
        files = options.files_of_weights
        names = [name or options.benchmark.model for name, _ in files]
        return {name: GivenWeights(name, b"", "sha", ()) for name in names}

    for module in (planning, planned_recipe):
        monkeypatch.setattr(module, "given", given)
    options = parse(script.Options, "", words[2:], check=script.SWEEP.check)
    plan = make_plan(script.spec(options), options)
    trials = {name: trial for trial in plan.known_trials if (name := paper_model(trial))}
    assert set(COMMANDS[command]) <= trials.keys()
    for name in COMMANDS[command]:
        start = trials[name].start
        assert (start is None) == (name in FROM_RANDOM_WEIGHTS)
        assert start is None or start.weights == "sha"
    assert not [text for text in plan.deviations if "start" in text or "published row" in text]
