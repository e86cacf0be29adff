import io
import time
from dataclasses import replace
from types import SimpleNamespace

import pyte
import pytest
from rich.console import Console

import sweeps.joint_search as joint
import sweeps.sigma_line_search as script
from sweeps.engine.planning.plan import Resources, make_plan
from sweeps.engine.planning.strength import line_spec
from sweeps.engine.records import VALIDATION_METRIC, TrialResult
from sweeps.engine.runs import progress as progresses
from sweeps.engine.runs.progress import Progress
from sweeps.engine.runs.progress_table import HEADS
from sweeps.engine.system import notebook
from sweeps.engine.system.text import duration


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59.4, "59 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")]
)
def test_durations_read_as_people_say_them(seconds, text):
    assert duration(seconds) == text


def screen_of(terminal: bool) -> str:
    options = script.Options(scale="demo", sigmas=(0.0, 0.5), seeds=1, num_trials=0)
    plan = make_plan(line_spec(options, options.sigmas), options)
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
    progress = Progress(plan, console, done=0)
    with progress.shown():
        progress.expect(20.0)
        progress.start_trained({"epoch": 1.0, "train_loss": 0.5, "train_accuracy": 90.0})
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
    lines = screen_of(terminal=False).splitlines()
    assert "vanilla start: epoch 1" in lines[0]
    assert "sigma 0 seed 0: epoch 1/" in lines[1] and "loss 0.4321" in lines[1]
    assert "validation (mixed) 71.2 %" in lines[1]
    assert "max_epochs objective 80.5 % [1/2" in lines[3] and "left" in lines[3]
    assert "pruned [2/2, about 0 s left]" in lines[5]
    assert "\x1b" not in "".join(lines)


def test_the_two_accuracies_of_a_trial_are_explained_once():
    lines = screen_of(terminal=False).splitlines()
    assert lines[2].startswith("validation (mixed): each validation image under one corruption")
    assert "objective: the final model's mean over all corruptions" in lines[2]
    assert sum("each validation image" in line for line in lines) == 1


def test_on_a_terminal_a_table_shows_every_column_and_the_time_left():
    shown = screen_of(terminal=True)
    for word in ("trial", "sigma", "seed", "epoch", "loss", "validation", "status",
                 "0.4321", "71.2 %", "(mixed)", "objective:", "max_epochs", "pruned",
                 "2 of 2 trials", "left"):  # fmt: skip
        assert word in shown


def on_a_cluster(console):
    options = script.Options(scale="demo", sigmas=(0.0, 0.3, 0.5), seeds=1, num_trials=0)
    plan = make_plan(line_spec(options, options.sigmas), options)
    return Progress(replace(plan, resources=Resources(1, 1.0, 3, grows=True)), console, done=0)


def test_a_trial_without_a_machine_is_shown_as_waiting_and_costs_no_time(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(progresses, "time", SimpleNamespace(monotonic=lambda: clock.now))
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    progress = on_a_cluster(console)
    configs = progress._plan.known_trials
    progress.expect(100.0)
    for config in configs:
        progress.started(config)

    def shown():
        console.file.truncate(console.file.seek(0))
        console.print(progress._render())
        return console.file.getvalue()

    before = shown()
    assert before.count("waiting") == 3 and "running" not in before
    assert "time left not known: no machine yet" in before
    clock.now = 5000.0
    progress.allocated(configs[1])
    after = shown()
    assert after.count("waiting") == 2 and after.count("running") == 1
    assert after.index(configs[1].trial_id) < after.index(configs[0].trial_id)
    assert "about 5 min 00 s left" in after  # at one machine, whatever was waited
    progress.allocated(configs[0])
    assert "about 2 min 30 s left" in shown()
    clock.now = 5080.0
    result = TrialResult(trial_id=configs[1].trial_id, config=configs[1], status="max_epochs")
    progress.ended(result)
    progress.deallocated(configs[0])
    progress.cancelled(configs[2])
    last = shown()
    assert last.count("waiting") == 1 and configs[2].trial_id not in last
    progress.allocated(configs[0])
    assert "about 1 min 20 s left" in shown()  # 80 s each, and 80 of its are over


def test_no_time_is_said_to_be_left_where_trials_take_longer_than_expected(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(progresses, "time", SimpleNamespace(monotonic=lambda: clock.now))
    progress = on_a_cluster(Console(file=io.StringIO()))
    progress.expect(100.0)
    for config in progress._plan.known_trials:
        progress.started(config)
        progress.allocated(config)
    clock.now = 99.0
    assert progress._time_left() == "about 1 s left"
    clock.now = 101.0
    assert progress._time_left() == "longer than expected"


def test_lines_say_when_a_machine_comes_and_goes():
    console = Console(file=io.StringIO(), width=100)
    progress = on_a_cluster(console)
    first, *_ = configs = progress._plan.known_trials
    for config in configs:
        progress.started(config)
    progress.allocated(first)
    progress.deallocated(first)
    progress.allocated(first)
    lines = console.file.getvalue().splitlines()
    label = f"{first.trial_id} sigma 0 seed 0:"
    assert lines == [
        f"{label} starts [1 running, 2 waiting for a machine]",
        f"{label} lost its process [0 running, 3 waiting for a machine]",
        f"{label} resumes [1 running, 2 waiting for a machine]",
    ]


def on_screen(module, width, prepare):
    """Return the lines of a terminal of so many columns after ``prepare`` was shown."""
    options = module.Options(scale="demo", seeds=2, num_trials=2)
    plan = make_plan(module.spec(options), options)
    search = plan.search({})
    console = Console(file=io.StringIO(), force_terminal=True, width=width)
    progress = Progress(plan, console, 0, ledger=search.ledger)
    prepare(progress, search)
    screen = pyte.Screen(width, 60)
    screen.set_mode(pyte.modes.LNM)
    with console.capture() as shown:
        console.print(progress._render())
    pyte.Stream(screen).feed(shown.get())
    return [line.rstrip() for line in screen.display if line.strip()]


def two_trials(progress, search):
    """Show a trial that ended and one that is evaluated."""
    done, running = search.next_trial(), search.next_trial()
    for trial in (done, running):
        progress.started(trial.config)
        progress.allocated(trial.config)
        metrics = {"epoch": 3.0, "train_loss": 0.4321, VALIDATION_METRIC: 71.25}
        progress.reported(trial.config, metrics)
    search.ledger.record(done.point, done.seed, "max_epochs", (80.5,))
    progress.ended(
        TrialResult(trial_id=done.config.trial_id, config=done.config, status="max_epochs",
                    objective=80.5)
    )  # fmt: skip
    progress.evaluating(running.config, "31/76")


@pytest.mark.parametrize("module", [script, joint])
@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_what_does_not_fit_a_terminal_is_left_out_and_nothing_is_cut(module, width):
    lines = on_screen(module, width, two_trials)
    text = "\n".join(lines)
    assert "…" not in text
    (head,) = [line for line in lines if "status" in line]
    rows = [line for line in lines if "max_epochs" in line or "evaluating" in line]
    assert len(rows) == 2 and "80.5 %" in rows[0] and "evaluating 31/76" in rows[1]
    assert all(line.count("│") == head.count("┃") for line in rows)  # no row takes two lines
    assert "objective" in head
    names = [HEADS.get(p.name, p.name) for p in module.spec(module.Options(scale="demo")).space]
    assert all(name in head for name in names) or ("point" in head and "#1" in rows[0])
    if width == 200:
        assert all(name in head for name in (*names, "trial", "loss", "validation (mixed)"))
    assert "best so far: " in text and "objective 80.5 % (1 of 2 seeds)" in " ".join(text.split())


def test_before_the_first_trial_it_says_what_goes_on():
    def prepare(progress, search):
        progress.phase("starting Ray")

    assert on_screen(script, 80, prepare)[0] == "starting Ray"


def test_without_a_terminal_an_evaluation_is_said_once():
    console = Console(file=io.StringIO(), width=100)
    progress = on_a_cluster(console)
    config = progress._plan.known_trials[0]
    progress.started(config)
    for words in ("0/76", "31/76"):
        progress.evaluating(config, words)
    assert console.file.getvalue().count("evaluating") == 1


def test_in_a_notebook_one_output_is_updated_in_its_place(monkeypatch):
    shown = []

    def display(output, **how):
        assert how == {"raw": True, "display_id": True}
        shown.append(output)
        return SimpleNamespace(update=lambda output, raw: shown.append(output))

    monkeypatch.setattr("IPython.display.display", display)
    monkeypatch.setattr(notebook, "SECONDS", 0.01)
    options = script.Options(scale="demo", sigmas=(0.0, 0.5), seeds=1, num_trials=0)
    plan = make_plan(line_spec(options, options.sigmas), options)
    console = Console(force_jupyter=True, width=100)
    monkeypatch.setattr(console, "print", lambda *_, **__: pytest.fail("an output of its own"))
    progress = Progress(plan, console, done=0)
    with progress.shown():
        progress.phase("loading <torch>")
        deadline = time.monotonic() + 5
        while "loading" not in shown[-1]["text/plain"] and time.monotonic() < deadline:
            time.sleep(0.01)
        assert "loading &lt;torch&gt;" in shown[-1]["text/html"]
        progress.phase("")
        for config in plan.known_trials:
            progress.started(config)
            progress.ended(
                TrialResult(trial_id=config.trial_id, config=config, status="max_epochs",
                            objective=80.5)
            )  # fmt: skip
    last = shown[-1]
    assert "2 of 2 trials" in last["text/plain"] and "\x1b" not in last["text/plain"]
    assert "80.5 %" in last["text/html"] and '<span style="color: #' in last["text/html"]
