import io

import pytest
from rich.console import Console

import sweeps.sigma_line_search as script
from gon_core.training.loop import EpochMetrics
from sweeps.engine.options import line
from sweeps.engine.plan import make_plan
from sweeps.engine.progress import Progress, duration
from sweeps.engine.records import VALIDATION_METRIC, TrialResult
from sweeps.engine.strength import line_question


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59.4, "59 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")]
)
def test_durations_read_as_people_say_them(seconds, text):
    assert duration(seconds) == text


def told(terminal: bool) -> str:
    options = script.Options(scale="demo", sigmas=(0.0, 0.5), seeds=1, num_trials=0)
    plan = make_plan(line_question(options), options, line(options.sigmas))
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
    progress = Progress(plan, console, done=0)
    with progress.shown():
        progress.expect(20.0)
        progress.start_trained(EpochMetrics(1, 0.5, 90.0, 0.02, 1.0, "continue"))
        for config, status in zip(plan.known_trials, ("max_epochs", "pruned"), strict=True):
            progress.started(config)
            metrics = {"epoch": 1.0, "train_loss": 0.4321, VALIDATION_METRIC: 71.25}
            progress.reported(config, metrics)
            objective = 80.5 if status == "max_epochs" else None
            progress.ended(
                TrialResult(
                    trial_id=config.trial_id, config=config, status=status, objective=objective
                )
            )
    return console.file.getvalue()


def test_without_a_terminal_each_event_is_one_plain_line():
    lines = told(terminal=False).splitlines()
    assert "vanilla start: epoch 1" in lines[0]
    assert "sigma 0 seed 0: epoch 1/" in lines[1] and "loss 0.4321" in lines[1]
    assert "validation (mixed) 71.2 %" in lines[1]
    assert "max_epochs objective 80.5 % [1/2" in lines[3] and "left" in lines[3]
    assert "pruned [2/2, about 0 s left]" in lines[5]
    assert "\x1b" not in "".join(lines)


def test_the_two_accuracies_of_a_trial_are_told_apart_once():
    lines = told(terminal=False).splitlines()
    assert lines[2].startswith("validation (mixed): each validation image under one corruption")
    assert "objective: the final model's mean over all corruptions" in lines[2]
    assert sum("each validation image" in line for line in lines) == 1


def test_on_a_terminal_a_table_shows_every_column_and_the_time_left():
    shown = told(terminal=True)
    for word in ("trial", "sigma", "seed", "epoch", "loss", "validation", "status",
                 "0.4321", "71.2 %", "(mixed)", "objective:", "max_epochs", "pruned",
                 "2 of 2 trials", "left"):  # fmt: skip
        assert word in shown
