"""The text of --help: every option of every script in a group, in one line, with its choices."""

import importlib
import shlex
import sys
from typing import get_args

import pytest

from gon_core.config import Variant
from sweeps.__main__ import main as overview
from sweeps.__main__ import questions
from sweeps.engine.cli.command_line import parse
from sweeps.engine.cli.help import GROUPS, explain_option, grouped

SCRIPTS = (
    "epsilon_sphere", "evaluate_checkpoint", "experience_replay", "generator_depth",
    "generator_reset_interval", "joint_search", "method_comparison", "sigma_line_search",
    "training_recipe", "backbones",
)  # fmt: skip
LONGEST = 100  # characters of an option's help


def options_of(script):
    return importlib.import_module(f"sweeps.{script}").Options


@pytest.fixture(params=SCRIPTS)
def model(request):
    return options_of(request.param)


def test_every_option_stands_in_one_group_with_one_line_and_its_default(model):
    shown = [flag for options in grouped(model).values() for flag in options]
    flags = {flag.split()[0] for flag in shown}
    assert flags == {"--" + name.replace("_", "-") for name in model.model_fields}
    assert len(shown) == len(flags)
    for name, info in model.model_fields.items():
        text = explain_option(info)
        assert len(text) <= LONGEST and text.endswith("."), (name, text)
        assert "Default:" in text or info.annotation is bool or "Required" in text, (name, text)


@pytest.mark.parametrize("width", [80, 120])
def test_help_fits_the_terminal(model, width, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    with pytest.raises(SystemExit) as exit_:
        parse(model, "Which one?", ["--help"])
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= width
    for title in ("general", model.about, *grouped(model), "examples"):
        assert f"\n{title}\n" in text


def test_groups_name_options_that_exist():
    known = {name for script in SCRIPTS for name in options_of(script).model_fields}
    assert {name for names in GROUPS.values() for name in names} <= known


def test_choices_are_shown(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    with pytest.raises(SystemExit):
        parse(options_of("sigma_line_search"), "Which sigma?", ["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert f"--method {' | '.join(get_args(Variant))} ..." in text
    assert "--evaluate severities|attacks|epsilon_star|all|none ..." in text
    assert "--scale demo|paper" in text and "--seeds N" in text and "--data-dir FOLDER" in text


def test_each_example_is_legal_and_stands_at_the_end(model, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(model, "storage_problems", lambda options: {})  # it would ask the bucket
    with pytest.raises(SystemExit):
        parse(model, "Which one?", ["--help"])
    shown = capsys.readouterr().out.partition("\nexamples\n")[2].replace(" \\\n     ", "")
    assert model.examples and shown.count("\n") == 2 * len(model.examples)
    for words in model.examples:
        assert f" {words}\n" in shown
        assert parse(model, "Which one?", shlex.split(words.replace("data --d", ". --d")))


def test_the_overview_has_every_sweep_with_its_question(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["sweeps", "--help"])
    monkeypatch.setenv("COLUMNS", "200")
    assert set(SCRIPTS) <= set(questions()) and overview() == 0
    shown = capsys.readouterr().out
    for name, question in questions().items():
        assert question.endswith((".", "?", ")")) and f"  {name:26}{question[:40]}" in shown, name
    monkeypatch.setattr(sys, "argv", ["sweeps", "sigma_line_search"])
    with pytest.raises(SystemExit) as refused:
        overview()
    assert refused.value.code == 2
    assert "did you mean sweeps/sigma_line_search.py?" in capsys.readouterr().err
