"""Our models in the paper's tables on ImageNet: beside the right rows, by the right arithmetic."""

import math
import statistics

import pytest

from gon_core import paper
from gon_core.config import (
    ANT,
    GNT,
    DataConfig,
    EvaluationConfig,
    FolderConfig,
    Given,
    TrainingConfig,
    TrialConfig,
    Vanilla,
)
from gon_core.evaluation.corruption_error import ALEXNET_ERRORS
from gon_core.measurement import TOP1 as TOP1_MEASURE
from gon_core.measurement import Measurement, accuracy_row
from gon_core.paper.imagenet import CORRUPTIONS
from search_spaces.parameter import Choice
from sweeps.engine.records import TrialResult
from sweeps.engine.report import write_report
from sweeps.engine.report.__main__ import main
from sweeps.engine.report.summary.aggregate import summarise
from sweeps.engine.report.summary.published import paper_model
from sweeps.engine.report.tables.imagenet import OUTSIDE, build_imagenet_tables
from sweeps.engine.tracking.mlflow.points import final_metrics
from tests.sweeps.engine.report.made_up import measured_as, size_rows, write_sweep

IMAGES = 50_000
TOP1, TOP5 = (paper.models(f"official_imagenet_c_{name}") for name in ("top1", "top5"))
WHOLE = FolderConfig(
    image_size=224, classes=1000, training_images=1_281_167, test_images=IMAGES, digest="d"
)
EPS = 1e-9


def given(name, model, shift=0.0, left_out=(), architecture="resnet50"):
    """Return an evaluation whose accuracies are the official ones of ``model``, plus a shift."""
    method = Given(name=name, architecture=architecture, sha256=name)
    config = TrialConfig(
        method=method, data=DataConfig(dataset="imagenet_c"), training=TrainingConfig(), start=None,
        evaluation=EvaluationConfig(left_out=left_out),
    )  # fmt: skip

    def row(setting, severity):
        top1, top5 = (table[model][setting] + shift for table in (TOP1, TOP5))
        counts = [round(share / 100 * IMAGES) for share in (top1, top5)]
        return accuracy_row("test", setting, severity, counts[0], IMAGES, counts[1])

    rows = [row("clean", 0)]
    rows += [row(c, s) for c in CORRUPTIONS if c not in left_out for s in range(1, 6)]
    return TrialResult(
        trial_id=config.trial_id, config=config, status="evaluated", measurements=rows,
        objective=None, seconds={}, ended="2026-11-28T10:00:00+00:00", device="cpu",
    )  # fmt: skip


def evaluated(folder, *results):
    names = tuple(result.config.method.name for result in results)
    return write_sweep(
        folder, results, space=(Choice("variant", names, "checkpoint", names[0]),), search="grid",
        seeds=1, grid=[[name] for name in names], published=None, deviations=[],
        config={"trials": [each.config.model_dump(mode="json") for each in results]},
    )  # fmt: skip


def tables_of(records):
    return {table.title.split(":")[0]: table for table in build_imagenet_tables(summarise(records))}


def cells(table, name, kind):
    """Return a row by column."""
    row = next(row for row in table.rows if row.cells[:2] == (name, kind))
    return dict(zip((column.name for column in table.columns), row.cells, strict=True))


def test_the_official_accuracies_stand_in_every_table_without_a_difference(tmp_path):
    tables = tables_of(evaluated(tmp_path, given("ant_1x1", "ant_1x1")))
    assert [*tables] == ["Table 4", "Table 5", "Table 10", "Table 11"]
    for table in tables.values():
        for column, text in cells(table, "ant_1x1", "difference").items():
            if column not in ("model", "", "parameters"):
                assert text in ("+0.0", "-0.0"), (table.title, column)
    five = cells(tables["Table 5"], "ant_1x1", "ours")
    assert five["mCE"].startswith("62.5 ±") and five["elastic transform"].startswith("79.1 ±")
    ten = cells(tables["Table 10"], "ant_1x1", "ours")
    assert ten["top-5"].startswith("72.1 ±") and ten["without noise"].startswith("47.7 ±")
    assert cells(tables["Table 10"], "ant_1x1", "paper")["top-5"] == "72.2"
    assert cells(tables["Table 10"], "ant_1x1", "official")["top-5"] == "72.14"
    eleven = cells(tables["Table 11"], "ant_1x1", "paper")
    assert eleven["parameters"] == "983" and eleven["clean"] == "76.0"
    assert cells(tables["Table 4"], "vanilla_rn50", "paper only")["mean"] == "39"


def test_what_is_outside_the_interval_is_marked(tmp_path):
    tables = tables_of(evaluated(tmp_path, given("speckle", "speckle", shift=-2.0)))
    four = cells(tables["Table 4"], "speckle", "difference")
    assert four["mean"] == f"-2.0{OUTSIDE}" and four["clean"] == f"-2.0{OUTSIDE}"
    five = cells(tables["Table 5"], "speckle", "difference")
    exact = statistics.fmean(2.0 / error for error in ALEXNET_ERRORS.values())
    assert five["mCE"] == f"+{exact:.1f}{OUTSIDE}"


def test_an_error_has_the_interval_of_its_accuracy_over_alexnets_error(tmp_path):
    tables = tables_of(evaluated(tmp_path, given("speckle", "speckle")))
    for corruption in CORRUPTIONS:
        name = corruption.replace("_", " ")
        accuracy = cells(tables["Table 4"], "speckle", "ours")[name].rstrip("*").split(" ±")
        error = cells(tables["Table 5"], "speckle", "ours")[name].rstrip("*").split(" ±")
        alexnet = ALEXNET_ERRORS[corruption]
        assert float(error[0]) == pytest.approx((100 - float(accuracy[0])) / alexnet, abs=0.12)
        assert float(error[1]) == pytest.approx(float(accuracy[1]) / alexnet, abs=0.12)


def test_a_corruption_that_is_not_made_leaves_the_means_empty_and_the_rest(tmp_path):
    records = evaluated(tmp_path, given("speckle", "speckle", left_out=("frost",)))
    tables = tables_of(records)
    four = cells(tables["Table 4"], "speckle", "ours")
    assert four["mean"] == four["frost"] == "" and four["snow"].startswith("34")
    assert "frost could not be made" in tables["Table 4"].note
    assert cells(tables["Table 5"], "speckle", "difference")["mCE"] == ""
    assert write_report(records).tables, "the whole report is made"


def test_a_model_under_another_name_is_named_beside_its_row(tmp_path):
    records = evaluated(tmp_path, given("ant_1x1_ng4", "ant_1x1"), given("mine", "speckle"))
    tables = tables_of(records)
    assert "Rows: ant_1x1_ng4 beside ant_1x1." in tables["Table 10"].note
    assert all("mine" not in row.cells for table in tables.values() for row in table.rows)
    answer = write_report(records).answer[-1]
    assert answer == "Compared with models of the paper: ant_1x1_ng4 with ant_1x1."


def test_nothing_published_stands_beside_an_unknown_model(tmp_path):
    records = evaluated(tmp_path, given("mine", "speckle"))
    assert not tables_of(records)
    assert "sweeps.engine.report tables" in write_report(records).answer[-1]


def attacked(name, l2, linf, clean=75.0, images=5_000):
    """Return an evaluation under the attacks of appendix F, on so many images."""
    rows = []
    for steps in ("", "_100_steps"):
        for attack, norm, size, top1 in (("ddn", "l2", 0.125, l2), ("pgd", "linf", 0.001, linf)):
            right = round(top1 / 100 * images) + 50 * bool(steps)
            extra = {"correct": right, "norm": norm, "size": size}
            rows.append(
                Measurement(
                    measure="attacks", split="test", setting=attack + steps,
                    value=100 * right / images, count=images, extra=extra,
                )
            )  # fmt: skip
    first = accuracy_row("test", "clean", 0, round(clean / 100 * IMAGES), IMAGES)
    corrupted = [row for row in given(name, "ant_1x1").measurements if row.setting != "clean"]
    result = measured_as(given(name, "ant_1x1"), TOP1_MEASURE, [first, *corrupted])
    return measured_as(result, "attacks", rows)


def test_accuracies_under_attack_stand_beside_the_main_papers_table_4(tmp_path):
    published = paper.row("imagenet_adversarial", "ant_1x1")
    figures = published["l2_eps_0.125"], published["linf_eps_0.001"], published["clean"]
    tables = tables_of(evaluated(tmp_path / "equal", attacked("ant_1x1", *figures)))
    assert "Table 4" in tables, "the appendix has another of that number"
    table = tables["Table 4 of the main paper"]
    assert "Official" not in table.note and "75.2" in table.note
    ours = cells(table, "ant_1x1", "ours")
    assert ours["l2 (0.125)"].startswith("50.1 ±0.7") and ours["l-inf (0.001)"].startswith("28.6")
    assert cells(table, "ant_1x1", "paper")["l2 (0.125)"] == "50.1"
    assert [*cells(table, "ant_1x1", "difference").values()][2:] == ["+0.0"] * 3
    assert cells(table, "gnt_sigma_0.5", "paper only")["l-inf (0.001)"] == "28.1"
    low = attacked("ant_1x1", figures[0] - 3, *figures[1:])
    table = tables_of(evaluated(tmp_path / "low", low))["Table 4 of the main paper"]
    difference = cells(table, "ant_1x1", "difference")
    assert difference["l2 (0.125)"] == f"-3.0{OUTSIDE}" and difference["l-inf (0.001)"] == "+0.0"


@pytest.mark.parametrize(
    ("medians", "shown", "differences"),
    [
        ((39.0, 39.1, 16.2), ("39.0 ±0.1*", "39.1 ±0.1*", "16.2 ±0.1*"), ("+0.0",) * 3),
        (
            (41.0, math.inf, 16.3),
            ("41.0 ±0.1*", "never*", "16.3 ±0.1*"),
            (f"+2.0{OUTSIDE}", "", "+0.1"),
        ),
    ],
)
def test_epsilon_star_stands_beside_the_main_papers_table_2(medians, shown, differences, tmp_path):
    gaussian, uniform, adversarial = medians
    rows = size_rows((gaussian, uniform, 60.0, adversarial, 9.0))
    result = measured_as(given("vanilla_rn50", "vanilla_rn50"), "epsilon_star", rows)
    table = tables_of(evaluated(tmp_path, result))["Table 2 of the main paper"]
    assert [column.name for column in table.columns[2:]] == [
        "gaussian", "uniform", "adversarial 1x1",
    ]  # fmt: skip
    assert tuple(cells(table, "vanilla_rn50", "ours").values())[2:] == shown
    paper_row = tuple(cells(table, "vanilla_rn50", "paper").values())
    assert paper_row[2:] == ("39.0", "39.1", "16.2")
    assert tuple(cells(table, "vanilla_rn50", "difference").values())[2:] == differences


def test_epsilon_star_over_seeds_has_the_interval_over_seeds(tmp_path):
    trials = []
    for seed, shift in enumerate((-1.0, 0.0, 1.0)):
        first = given("vanilla_rn50", "vanilla_rn50")
        config = first.config.model_copy(update={"seed": seed})
        first = first.model_copy(update={"config": config, "trial_id": config.trial_id})
        medians = (44.0 + shift, 39.0 + shift, 60.0, 16.0 + shift)
        trials.append(measured_as(first, "epsilon_star", size_rows(medians)))
    names = ("vanilla_rn50",)
    records = write_sweep(
        tmp_path, trials, space=(Choice("variant", names, "checkpoint", names[0]),), seeds=3,
        search="grid", grid=[[names[0]]], published=None, deviations=[],
        config={"trials": [each.config.model_dump(mode="json") for each in trials]},
    )  # fmt: skip
    table = tables_of(records)["Table 2 of the main paper"]
    assert cells(table, names[0], "ours")["gaussian"] == "44.0 ±0.6"
    difference = cells(table, names[0], "difference")
    assert difference["gaussian"] == f"+5.0{OUTSIDE}", "the t interval is 2.5 on either side"
    assert difference["adversarial 1x1"] == "-0.2"


def test_the_main_papers_tables_are_printed_without_a_sweep(capsys):
    assert main(["tables", "main-2", "main-4"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Table 2 of the main paper" in text and "39.1" in text
    assert "Table 4 of the main paper" in text and "28.6" in text
    assert "--names ant_1x1 --checkpoints FILE --evaluate attacks" in text
    assert "--names vanilla_rn50 --checkpoints FILE --evaluate epsilon_star" in text


@pytest.mark.parametrize(
    ("name", "architecture", "model"),
    [
        ("vanilla", "inception_v3", "vanilla_inception"),
        ("gnt_sigma_0.5", "inception_v3", "gnt_sigma_0.5_inception"),
        ("gnt_sigma_0.5", "resnet50", "gnt_sigma_0.5"),
        ("sin", "resnet50", "sin_in"),
        ("ant_1x1_rn50", "resnet50", "ant_1x1"),
        ("ant_1x1", "densenet121", None),
        ("vanilla_rn152", "resnet50", None),
    ],
)
def test_given_weights_are_known_by_name_and_architecture(name, architecture, model):
    assert paper_model(given(name, "speckle", architecture=architecture).config) == model


@pytest.mark.parametrize(
    ("method", "architecture", "model"),
    [
        (GNT(sigma=0.5), None, "gnt_sigma_0.5"),
        (GNT(sigma=0.4), None, None),
        (GNT(sigma=0.5), "densenet121", None),
        (Vanilla(), "densenet121", "vanilla_dn121"),
        (ANT(epsilon=135.0), None, "ant_1x1"),
        (ANT(epsilon=135.0), "densenet121", "ant_1x1_dn121"),
        (ANT(epsilon=135.0, depth=2), None, "ant_1x1_ng2"),
        (ANT(epsilon=130.0), None, None),
        (ANT(epsilon=70.0, kernel_size=3), None, "ant_3x3"),
        (ANT(epsilon=135.0, current_share=0.5, past_share=0.0), None, "ant_1x1_no_replay"),
    ],
)
def test_a_training_is_known_by_what_makes_it_that_model(method, architecture, model):
    data = DataConfig(dataset="imagenet", folder=WHOLE)
    trial = TrialConfig(
        method=method, data=data, training=TrainingConfig(), start=None, model=architecture
    )
    assert paper_model(trial) == model
    small = data.model_copy(update={"folder": WHOLE.model_copy(update={"image_size": 64})})
    assert paper_model(trial.model_copy(update={"data": small})) is None, "other images"


def test_the_tables_are_printed_without_a_sweep(capsys):
    assert main(["tables", "10", "9"]) == 0
    text = capsys.readouterr().out
    assert text.index("Table 10: ") < text.index("Table 9: ") and "71.6" in text
    assert "--architecture densenet121 --names vanilla_dn121" in text
    assert "backbones.py" in text and "--models inception_v3 --image-size 299" in text
    assert "vanilla_ford: no weights are published" in text


@pytest.mark.parametrize("given", [["tables", "6"], ["tables", "4", "x"]])
def test_an_unknown_table_is_refused_in_one_line(given, capsys):
    assert main(given) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "tables" in line and given[-1] in line


def test_a_tracker_shows_the_errors_of_what_was_made_and_an_mce_of_all_alone():
    whole, part = (
        final_metrics(given("speckle", "speckle", left_out=left_out))
        for left_out in ((), ("frost",))
    )
    errors = "imagenet_c/corruption_error/"
    assert whole["imagenet_c/mce"] == pytest.approx(68.33, abs=0.01)
    assert part.keys() == whole.keys() - {"imagenet_c/mce", f"{errors}frost", "imagenet_c/frost"}
    assert part[f"{errors}snow"] == whole[f"{errors}snow"]
