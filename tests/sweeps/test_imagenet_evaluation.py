"""Checkpoints on ImageNet's validation images: corruptions made here or published, lists, kills."""

import json
import re

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from gon_core import architectures, benchmarks
from gon_core.benchmarks import image_folder, imagenet
from gon_core.benchmarks.attacks import ON_IMAGENET, DDNAttack, PGDAttack
from gon_core.benchmarks.imagenet_c import CORRUPTIONS
from gon_core.data import image_list, shards
from gon_core.data.files import DataFileError
from gon_core.evaluation.corrupted_sets import CLEAN_KEY, build
from sweeps.engine import report
from sweeps.engine.records import RIGHT, SweepRecords
from sweeps.engine.records.storage import Folder
from sweeps.engine.runs import checkpoint_imagenet
from sweeps.engine.runs.checkpoint_evaluation import evaluate_checkpoints
from sweeps.engine.runs.checkpoint_images import image_problems, load_images
from sweeps.engine.runs.checkpoint_options import CheckpointOptions
from sweeps.engine.trials.evaluation_steps import Steps
from tests.class_folders import photo
from tests.sweeps.here import render_nothing, render_small

CLASSES = ("n01440764", "n01443537", "n01484850")


class Colours(torch.nn.Module):
    """Says which channel is the brightest, on the whole."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))

    def forward(self, images):
        return images.mean((2, 3)) * self.scale


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with ``val`` alone, four images of each of three classes, and weights.

    Figures, ten seconds an evaluation, are drawn where a test asks for them.
    """
    monkeypatch.setattr(report, "render", render_nothing)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GON_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(imagenet, "CLASSES", len(CLASSES))
    made = architectures.Description(lambda *given: Colours(), len(CLASSES), (3, 224, 224))
    large = architectures.Description(lambda *given: Colours(), len(CLASSES), (3, 299, 299))
    digits = architectures.ARCHITECTURES["madry_cnn"]
    known = {"resnet18": made, "inception_v3": large, "madry_cnn": digits}
    monkeypatch.setattr(architectures, "ARCHITECTURES", known)
    monkeypatch.setattr("sweeps.engine.runs.checkpoint_options.ARCHITECTURES", known)
    image_folder.listing.cache_clear()
    checkpoint_imagenet._open_published.cache_clear()
    for label, name in enumerate(CLASSES):
        folder = tmp_path / "imagenet/val" / name
        folder.mkdir(parents=True)
        for index in range(4):
            pixels = photo(10 * label + index, 260, 300).copy()
            if index:  # the first of each class may be answered wrongly
                pixels[..., label] |= 128
            number = 4 * label + index + 1
            Image.fromarray(pixels).save(folder / f"ILSVRC2012_val_{number:08}.JPEG", quality=95)
    save_file({"scale": torch.ones(1)}, tmp_path / "colours.safetensors")
    yield tmp_path
    image_folder.listing.cache_clear()


def options(place, **given):
    given = {"imagenet": place / "imagenet", "evaluate": (), "architecture": "resnet18"} | given
    return CheckpointOptions(checkpoints=(place / "colours.safetensors",), **given)


def result(place, name):
    (found,) = SweepRecords(Folder(str(place / "results" / name))).results()
    return found


def only_top1(rows):
    return {(row.setting, row.severity): (row.value, row.count, row.extra) for row in rows}


def publish(place, images, numbers):
    """Write images under all corruptions as ImageNet-C has them, but without loss."""
    for (corruption, severity), version in images.items():
        if (corruption, severity) == CLEAN_KEY:
            continue
        pixels = version.batch(slice(None)).permute(0, 2, 3, 1).numpy()
        for image, number in zip(pixels, numbers, strict=True):
            folder = place / "imagenet_c" / corruption / str(severity) / CLASSES[number // 4]
            folder.mkdir(parents=True, exist_ok=True)
            name = f"ILSVRC2012_val_{number + 1:08}.JPEG"
            Image.fromarray(image).save(folder / name, format="PNG", compress_level=0)


@pytest.mark.slow
@pytest.mark.system
def test_made_and_published_corruptions_give_the_same_rows(place, capsys):
    names = [f"{CLASSES[k // 4]}/ILSVRC2012_val_{k + 1:08}.JPEG" for k in (1, 4, 9)]
    (place / "list.txt").write_text("\n".join(names))
    of_list = {"image_list": place / "list.txt"}
    assert evaluate_checkpoints(options(place, name="made", **of_list)) == 0
    printed = capsys.readouterr().out
    made = result(place, "made")
    assert len(made.measurements) == 76 and {row.count for row in made.measurements} == {3}
    assert "mCE" in printed and "15 corruptions" in printed and "without noise" in printed
    clean = made.measurements[0]
    assert clean.setting == "clean" and f"clean {clean.value:.1f} % top-1" in printed

    images = load_images(options(place, **of_list)).prepared.test.images
    publish(place, images, [1, 4, 9])
    both = options(place, name="both", imagenet_c=place / "imagenet_c", **of_list)
    assert both.problems() == {} and image_problems(both) == []
    assert evaluate_checkpoints(both) == 0
    assert only_top1(result(place, "both").measurements) == only_top1(made.measurements)
    # What differs is recorded: whether the corrupted images came from a folder.
    assert result(place, "both").config.evaluation.corruption_set
    assert made.config.evaluation.corruption_set is None
    alone = options(place, name="c", imagenet=None, imagenet_c=place / "imagenet_c")
    assert evaluate_checkpoints(alone) == 0
    corrupted = only_top1(made.measurements)
    corrupted.pop(CLEAN_KEY)
    assert only_top1(result(place, "c").measurements) == corrupted
    for name in ("made", "both", "c"):
        table = (place / "results" / name / "report/table.md").read_text()
        assert "Corruption errors on ImageNet-C" in table

    # Of a sample the clean images are the published ones.
    loaded = load_images(options(place, test_images=2, imagenet_c=place / "imagenet_c"))
    paths = [path.removeprefix("val/") for path in loaded.prepared.test.clean.source.paths]
    assert paths == list(loaded.published.paths) and len(paths) == 2 and set(paths) < set(names)


@pytest.mark.slow
@pytest.mark.system
def test_a_killed_evaluation_does_no_step_twice(place, monkeypatch, capsys):
    assert evaluate_checkpoints(options(place, name="whole", test_images=3)) == 0
    expected = result(place, "whole")

    class Killed(BaseException):
        pass

    kept, add = [], Steps.add

    def killed_after_thirty(self, step, finding):
        if len(kept) == 30:
            raise Killed
        kept.append(step)
        add(self, step, finding)

    asked = options(place, name="killed", storage="elsewhere", test_images=3)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Steps, "add", killed_after_thirty)
        evaluate_checkpoints(asked)
    calls = []
    forward = Colours.forward
    monkeypatch.setattr(
        Colours, "forward", lambda self, images: calls.append(1) or forward(self, images)
    )
    monkeypatch.setattr(
        "sweeps.engine.runs.checkpoint_evaluation.measure_speed", lambda *given: None
    )
    monkeypatch.setattr(
        "sweeps.engine.runs.checkpoint_evaluation.evaluation_seconds", lambda *given: (1.0, 0.0)
    )
    assert evaluate_checkpoints(asked) == 0
    assert len(calls) == 76 - 30
    (found,) = SweepRecords(Folder(str(place / "elsewhere/killed"))).results()
    assert found.measurements == expected.measurements
    (trial,) = (place / "elsewhere/killed/trials").iterdir()
    (other,) = (place / "results/whole/trials").iterdir()
    assert (trial / RIGHT).read_bytes() == (other / RIGHT).read_bytes()


@pytest.mark.slow
def test_attacks_are_those_of_appendix_f_twice(place, monkeypatch):
    settings = {name: (a.steps, a.size) for name, a in ON_IMAGENET.items()}
    assert settings == {
        "pgd": (200, 0.001), "ddn": (200, 0.125),
        "pgd_100_steps": (100, 0.001), "ddn_100_steps": (100, 0.125),
    }  # fmt: skip
    assert ON_IMAGENET["pgd"].step_size == 0.0001 and ON_IMAGENET["ddn"].gamma == 0.02
    few = {"pgd": PGDAttack(0.001, 0.0001, 3), "ddn": DDNAttack(0.125, 0.02, 3)}
    for name in ON_IMAGENET:
        monkeypatch.setitem(ON_IMAGENET, name, few[name[:3]])
    monkeypatch.setattr(report, "render", render_small)
    asked = options(place, name="attacks", evaluate=("attacks",), test_images=3)
    assert evaluate_checkpoints(asked) == 0
    found = result(place, "attacks")
    rows = [row for row in found.measurements if row.measure == "attacks"]
    assert [row.setting for row in rows] == list(ON_IMAGENET)
    assert {row.count for row in rows} == {3}
    table = (place / "results/attacks/report/table.md").read_text()
    assert "PGD linf 0.001 100 steps" in table.replace("_", " "), table


def test_a_sample_a_list_and_all_images_are_other_trials(place):
    names = [f"{CLASSES[k // 4]}/ILSVRC2012_val_{k + 1:08}.JPEG" for k in (7, 0, 9)]
    (place / "list.txt").write_text("\n".join(names) + "\n\n")
    loaded = [
        load_images(options(place, **given))
        for given in ({}, {"test_images": 3}, {"image_list": place / "list.txt"})
    ]
    whole, sample, listed = loaded
    assert [len(each.prepared.test) for each in loaded] == [12, 3, 3]
    assert sample.prepared.test.clean.labels.tolist().count(0) == 1
    assert [path.removeprefix("val/") for path in listed.prepared.test.clean.source.paths] == names
    assert len({each.data.model_dump_json() for each in loaded}) == 3
    assert listed.data.image_list and whole.data.sample == "first"
    # Noise generators are trained on the images that are not measured.
    training = listed.prepared.training.source.paths
    assert len(training) == 9 and not set(training) & {f"val/{name}" for name in names}


def test_attacks_and_epsilon_star_take_images_of_all_classes(place):
    names = [f"{CLASSES[k // 4]}/ILSVRC2012_val_{k + 1:08}.JPEG" for k in range(12)]
    (place / "list.txt").write_text("\n".join(names))
    few = {"evaluate": ("attacks", "epsilon_star"), "evaluation_images": 3}
    for given in ({}, {"image_list": place / "list.txt"}, {"test_images": 9}):
        loaded = load_images(options(place, **few, **given))
        clean = loaded.prepared.test.clean
        measured = clean.first(loaded.config.images)
        assert sorted(measured.labels.tolist()) == [0, 1, 2] and loaded.data.sample == "balanced"
        others = set(loaded.prepared.training.source.paths)
        assert len(others) == 9 and not others & set(measured.source.paths)
        assert len(set(clean.source.paths)) == given.get("test_images", 12)


def test_lists_find_images_of_shards_by_hugging_face_and_of_smaller_ones(place):
    found = [f"ILSVRC2012_val_0000000{k}_{CLASSES[k % 3]}.JPEG" for k in range(5)]
    wanted = [f"{CLASSES[k % 3]}/ILSVRC2012_val_0000000{k}.JPEG" for k in (4, 1)]
    assert image_list.find(wanted, found, "list") == [4, 1]
    smaller = [f"ILSVRC2012_val_0000000{k}.jpg" for k in range(5)]
    assert image_list.find(wanted, smaller, "list") == [4, 1]
    with pytest.raises(DataFileError, match=r"no image .*val_00000009.*nearest is .*val_0000000"):
        image_list.find(["n01440764/ILSVRC2012_val_00000009.JPEG"], found, "list")
    with pytest.raises(DataFileError, match="the name of 2 images"):
        image_list.find(wanted, [*found, *smaller], "list")


def test_shards_of_validation_images_are_enough_and_lists_find_them(place):
    listing = image_folder.listing(place / "imagenet", test_alone=True)
    out = place / "shards"
    out.mkdir()
    schema = shards.pa.schema([("image", shards.IMAGE), ("label", shards.pa.int64())])
    made = list(shards._write_part(out, "validation", listing.open()[1], schema, None, 90, 2**30))
    made[0][0].rename(out / "validation-00000-of-00001.parquet")
    (place / "list.txt").write_text(f"{CLASSES[1]}/ILSVRC2012_val_00000006.JPEG\n")
    asked = options(place, imagenet=out, image_list=place / "list.txt")
    assert image_problems(asked) == []
    of_shards, of_files = (
        load_images(each).prepared.test.clean
        for each in (asked, asked.model_copy(update={"imagenet": place / "imagenet"}))
    )
    assert torch.equal(of_shards.batch(slice(None)), of_files.batch(slice(None)))
    assert of_shards.labels.tolist() == [1] and of_shards.side == 224
    assert not (place / "cache").exists() or not list((place / "cache").glob("*training*"))


def test_a_version_alone_is_read_from_any_working_directory(place, monkeypatch):
    images = load_images(options(place, imagenet="imagenet", test_images=3)).prepared.test
    alone = images.only(("fog", 3))
    before = images.images["fog", 3].batch(slice(None))
    monkeypatch.chdir("/")
    assert torch.equal(alone.to("cpu").images["fog", 3].batch(slice(None)), before)


def test_inception_is_shown_299_pixels(place):
    loaded = load_images(options(place, architecture="inception_v3", test_images=3))
    assert loaded.data.folder.image_size == 299 and loaded.data.benchmark.image_shape[1] == 299
    assert loaded.prepared.test.clean.batch(slice(0, 1)).shape == (1, 3, 299, 299)
    assert "3 of 3 images have a side below 299 pixels" in loaded.notes[0]


def lines(*names):
    return lambda place: (place / "list.txt").write_text("\n".join(names))


def without_a_class(place):
    folder = place / "imagenet/val" / CLASSES[2]
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


KNOWN = f"{CLASSES[0]}/ILSVRC2012_val_00000001.JPEG"


@pytest.mark.parametrize(
    ("prepare", "given", "says"),
    [
        (without_a_class, {}, "--imagenet: .*: has 2 classes, must have 3"),
        (lambda place: None, {"imagenet": "nowhere"}, "--imagenet: nowhere: cannot be read"),
        (
            lambda place: (place / "imagenet/val").rename(place / "imagenet/train"), {},
            "--imagenet: .*imagenet: has no folder val: needs it",
        ),
        (lines("n01440764/other.JPEG"), {"image_list": "list.txt"},
         "--image-list: list.txt: no image n01440764/other.JPEG, nearest is 'n01440764/ILSVRC"),
        (lines(KNOWN, KNOWN), {"image_list": "list.txt"},
         f"--image-list: list.txt: {KNOWN} stands 2 times"),
        (lines(*[f"x{k}" for k in range(50)]), {"image_list": "list.txt"}, "and 30 more"),
        (lines("", " "), {"image_list": "list.txt"}, "names no image"),
        (lambda place: None, {"image_list": "no.txt"}, "--image-list: no.txt: cannot be read"),
        (lambda place: None, {"evaluate": ("epsilon_star",)},
         "--evaluate: epsilon_star trains noise generators on validation images that are not"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(place, prepare, given, says):
    prepare(place)
    found = image_problems(options(place, **given))
    assert any(re.search(says, line) for line in found), found


@pytest.mark.parametrize(
    ("given", "name", "says"),
    [
        ({"architecture": "madry_cnn"}, "architecture", "with --imagenet, given: madry_cnn"),
        ({"architecture": None}, "architecture", "with --imagenet, given: nothing"),
        ({"evaluate": ("severities",)}, "evaluate", "has attacks, epsilon_star"),
        ({"test_images": 13}, "test_images", "at most 12"),
        ({"test_images": 3, "image_list": "a"}, "image_list", "give no --test-images"),
        ({"imagenet": None, "image_list": "a"}, "image_list", "give --imagenet FOLDER"),
        (
            {"imagenet": None, "imagenet_c": "a", "evaluate": ("attacks",)},
            "evaluate",
            "ImageNet has none of them, given: attacks",
        ),
        ({"architecture": "inception_v3", "imagenet_c": "a"}, "imagenet_c", "takes 299"),
        ({"mnist_c": "a"}, "mnist_c", "give one of them"),
        ({"data_dir": "a"}, "data_dir", "--imagenet"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(place, given, name, says):
    found = options(place, **given).problems()
    assert says in found[name], found


def test_of_a_folder_that_is_refused_the_measures_are_not_refused_as_well(place):
    without_a_class(place)
    asked = options(place, evaluate=("epsilon_star",))
    assert "evaluate" not in asked.problems() and image_problems(asked)


def test_what_is_evaluated_is_recorded_and_read_again(place):
    data = load_images(options(place, test_images=3)).data
    again = type(data).model_validate_json(data.model_dump_json())
    assert again == data and again.benchmark.suites["test"].corruptions == CORRUPTIONS
    assert json.loads(data.model_dump_json())["sample"] == "balanced"
    published = benchmarks.get("imagenet_c")
    assert published.folder is None and published.measures == ()
    assert build(load_images(options(place)).prepared.test.clean, "test",
                 data.benchmark.suites["test"], 0).images.keys() == {
        CLEAN_KEY, *data.benchmark.suites["test"].versions}  # fmt: skip
