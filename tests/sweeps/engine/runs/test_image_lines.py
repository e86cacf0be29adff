"""What a dry run says of images from a folder: memory, and what each machine copies."""

from gon_core.data import shards
from sweeps.engine.cli.options import SweepOptions
from sweeps.engine.planning.plan import make_plan
from sweeps.engine.runs.images import image_lines, read
from sweeps.sigma_line_search import Options, spec
from tests.class_folders import fill


def lines_of(folder, **given):
    options = Options(dataset="image_folder", data_dir=folder, scale="paper", **given)
    return image_lines(make_plan(spec(options), options).config.data, options)


def test_memory_is_that_of_the_images_kept_and_copies_are_of_shards_alone(tmp_path):
    fill(tmp_path / "photos/train", 10)
    fill(tmp_path / "photos/val", 3, first=500)
    assert shards.main([str(tmp_path / "photos"), str(tmp_path / "shards")]) == 0
    size = 3 * 64 * 64 / 1e9
    memory, copied = lines_of(tmp_path / "photos")
    assert f"39 images kept decoded take {39 * size:.3g} GB" in memory
    assert "nothing is copied" in copied
    memory, copied = lines_of(tmp_path / "shards", cache_images="none")
    assert f"12 images kept decoded take {12 * size:.3g} GB; those to train on are" in memory
    files = sum(file.stat().st_size for file in (tmp_path / "shards").glob("*.parquet"))
    assert f"once into its cache: {files / 1e9:.3g} GB" in copied


def test_images_that_are_enlarged_are_counted_among_those_that_are_decoded(tmp_path):
    """Photos of 40 x 50 pixels; all of them, or those that no epoch decodes anew."""
    fill(tmp_path / "train", 10)
    fill(tmp_path / "val", 3, first=500)
    for size, cache, counts in ((64, "auto", [39]), (64, "none", [12]), (32, "auto", [])):
        options = Options(
            dataset="image_folder", data_dir=tmp_path, scale="paper", image_size=size,
            cache_images=cache,
        )  # fmt: skip
        said = []
        read(make_plan(spec(options), options).config.data, options, 0, said.append)
        found = [line for line in said if "enlarged" in line]
        rule = "have a side below 64 pixels and are enlarged, as torchvision does."
        assert found == [f"{n} of the {n} images decoded here {rule}" for n in counts], said


def test_other_data_sets_have_none(tmp_path):
    options = SweepOptions(scale="demo")
    assert image_lines(make_plan(spec(Options()), Options()).config.data, options) == []
