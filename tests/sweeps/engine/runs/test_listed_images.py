"""A sweep that is tested on the images of a list, and the command that tests its best on all."""

import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest

from gon_core.data import shards
from sweeps.engine.cli.command_line import parse
from sweeps.engine.planning.plan import make_plan, problems
from sweeps.engine.records import SweepRecords
from sweeps.engine.records.storage import Folder
from sweeps.engine.runs import images
from sweeps.engine.runs.checkpoint_options import CheckpointOptions
from sweeps.engine.runs.session import Session
from sweeps.sigma_line_search import Options, spec
from tests.class_folders import fill

LISTED = ("dog/001.png", "bird/002.png", "cat/000.png", "dog/000.png")


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("GON_CACHE_DIR", str(tmp_path / "cache"))
    fill(tmp_path / "photos/train", 10)
    fill(tmp_path / "photos/val", 3, first=500)
    (tmp_path / "list.txt").write_text("\n".join(LISTED))
    return tmp_path


def options(place, folder="photos", listed="list.txt", **given):
    return Options(
        dataset="image_folder", data_dir=place / folder, image_list=place / listed, **given
    )


def test_trials_are_tested_on_the_images_of_the_list(place):
    asked = options(place)
    assert not problems(asked)
    data = make_plan(spec(asked), asked).config.data
    assert data.test_images == 4 and len(data.image_list) == 64
    splits = images.read(data, asked, 0, print)
    assert sorted(splits.test.labels.tolist()) == [0, 1, 2, 2]
    order = {name: k for k, name in enumerate(
        f"{kind}/{k:03}.png" for kind in ("bird", "cat", "dog") for k in range(3))}  # fmt: skip
    assert sorted(splits.chosen.tolist()) == sorted(order[name] for name in LISTED)


def test_shards_are_found_by_the_names_of_their_images(place):
    assert shards.main([str(place / "photos"), str(place / "shards")]) == 0
    (place / "names.txt").write_text("n01440764/001.png")  # of three classes
    asked = options(place, "shards", "names.txt")
    assert not problems(asked)
    data = make_plan(spec(asked), asked).config.data
    with pytest.raises(SystemExit) as refused:
        images.copy(data, asked, print)
    assert refused.value.code == 2


@pytest.mark.parametrize(("content", "rule"), [
    ("dog/1.png", "no image dog/1.png, nearest is 'dog/001.png'"),
    ("dog/001.png\ndog/001.png", "dog/001.png stands 2 times"),
    ("", "names no image"),
])  # fmt: skip
def test_what_is_wrong_with_a_list_is_said_before_anything_starts(place, content, rule):
    (place / "list.txt").write_text(content)
    assert rule in problems(options(place))["image_list"]


def test_the_command_for_all_test_images_is_printed_where_they_were_fewer(tmp_path):
    trials = [SimpleNamespace(trial_id=f"{k:012}") for k in range(2)]
    records = SweepRecords(Folder(str(tmp_path / "my sweep")))
    session = Session(records, None, SimpleNamespace(data_dir=None), None)

    def said(tested, best):
        config = {"data": {"test_images": tested}}
        return session._whole_test(SimpleNamespace(
            benchmark=SimpleNamespace(test_images=5000), best=best,
            description=SimpleNamespace(config=config),
        ))  # fmt: skip

    best = SimpleNamespace(trials=trials)
    words, command = said(1000, best).split("\n")
    assert words == "The best models on all 5,000 test images:"
    program, *options = shlex.split(command.removeprefix("  uv run python "))
    assert program == "sweeps/evaluate_checkpoint.py"
    asked, rest = parse(CheckpointOptions, "", options), tmp_path / "my sweep/trials"
    assert asked.checkpoints == (rest / f"{0:012}", rest / f"{1:012}") and asked.evaluate == ()
    session.options.data_dir = Path("my photos")
    assert "--data-dir 'my photos' --evaluate" in said(1000, best)
    assert said(5000, best) == said(1000, None) == ""
