"""sweep.json: read as it was written; other versions and damaged files are refused in one line."""

import json

import pytest

from gon_core.config import ANT, GNT, PGD, DataConfig, Given, TrainingConfig, TrialConfig
from search_spaces.method import METHOD
from search_spaces.reset_interval import RESET_INTERVAL
from sweeps.engine.records import OtherFormatError, SweepRecords
from sweeps.engine.records.storage import Folder
from tests.spaces import JOINT_SPACE
from tests.sweeps.engine.descriptions import describe

OLD = {  # the keys of the first format, as commit 5cd37b3 wrote them
    "name": "sigma", "question": "sigma", "title": "Which sigma?", "created": "2026-11-27T20:24:18",
    "scale": "demo", "asked": {"question": "sigma", "proposals": 1}, "cuts": [], "search": "line",
    "parameters": [{"kind": "real", "name": "sigma", "low": 0.0, "high": 2.0, "step": 0.01,
                    "unit": "[0, 1] pixels", "paper": 0.5, "log": False}],
    "objectives": ["corrupted"], "seeds": [0], "grid": [[0.5]], "baselines": {},
    "code": {"git_sha": "5cd37b3ead5fefe0611a8fd2be253976d3be26f5", "dirty": False},
    "data_digest": "b2d8", "tracking_uri": "sqlite:///results/mlflow.db", "known": [],
}  # fmt: skip


@pytest.fixture
def records(tmp_path):
    return SweepRecords(Folder(str(tmp_path)))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"parameters": JOINT_SPACE, "search": "joint", "objectives": ("clean", "corrupted")},
        {"parameters": (RESET_INTERVAL,), "grid": ((0.33,), ("never",))},
        {"known": (((0.5,), (80.0,)),), "baselines": {"vanilla": {"method": "vanilla"}}},
    ],
)
def test_it_is_read_as_it_was_written(changes, records):
    written = describe(**changes)
    records.write_sweep(written)
    assert records.read_sweep() == written


def test_points_are_the_grid_and_the_baselines():
    found = describe(baselines={"vanilla": {}}, config={"proposals": 2})
    assert found.points == ((0.5,), ("vanilla",)) and found.proposals == 2


def trial(method, seed=0):
    return TrialConfig(
        method=method, data=DataConfig(), training=TrainingConfig(), start=None, seed=seed
    )


def test_what_trials_are_called():
    pgd = PGD(epsilon=0.3)
    line = describe(baselines={"pgd": pgd.model_dump(mode="json")})
    assert line.trial_name(trial(GNT(sigma=0.62), seed=1)) == "sigma=0.62 seed 1"
    assert line.trial_name(trial(pgd)) == "baseline pgd seed 0"
    assert line.point_of(trial(pgd)) == ("pgd",) != line.point_of(trial(GNT(sigma=0.62)))
    methods = describe(parameters=(METHOD,), grid=(("gnt",),))
    assert methods.trial_name(trial(GNT(sigma=0.5))) == "gnt seed 0"
    given = Given(name="theirs", architecture="madry_cnn", sha256="0" * 64)
    assert methods.trial_name(trial(given)) == "theirs"


def test_points_of_a_joint_search_are_called_by_their_number():
    joint = describe(parameters=JOINT_SPACE, search="joint", grid=())
    first, second = trial(ANT(epsilon=9.0), seed=2), trial(ANT(epsilon=8.0, depth=2))
    numbers = joint.numbers([first, trial(ANT(epsilon=9.0)), second])
    assert numbers == {joint.point_of(first): 1, joint.point_of(second): 2}
    assert joint.trial_name(first, 1) == "#1 seed 2"


@pytest.mark.parametrize("changes", [{}, {"format": 1}, {"format": 99}, {"format": "2"}])
def test_another_version_is_named_in_one_line(changes, records):
    records.folder.write_json("sweep.json", OLD | changes)
    with pytest.raises(OtherFormatError, match="5cd37b3ead5f of 2026-11-27") as error:
        records.read_sweep()
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seeds": 3}, "seeds"),
        ({"grid": [[{}]]}, "grid"),
        ({"search": "magic"}, "search"),
        ({"objectives": ["clean"]}, "objectives: .*must have 'corrupted'"),
        ({"parameters": []}, "parameters"),
        ({"parameters": [{"kind": "list"}]}, "tag 'list' .*'real', 'whole', 'choice'"),
        ({"parameters": [{"kind": "real", "name": "x"}]}, "low"),
        ({"code": {"git_sha": []}}, "code"),
    ],
)
def test_what_is_damaged_is_named_in_one_line(changes, said, records):
    content = describe().model_dump(mode="json") | changes
    records.folder.write("sweep.json", json.dumps(content).encode())
    with pytest.raises(ValueError, match=said) as error:
        records.read_sweep()
    assert len(str(error.value).splitlines()) == 1
