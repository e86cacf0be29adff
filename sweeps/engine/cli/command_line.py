"""From the command line and a YAML file to legal options, or to one message with every problem."""

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import field, make_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import tyro
from pydantic import ValidationError

from sweeps.engine.cli.config_file import read_config
from sweeps.engine.cli.messages import explain, unknown_word
from sweeps.engine.cli.options import CommandOptions
from sweeps.engine.system.background import in_background
from sweeps.engine.system.leaving import refuse

JUDGED_WITH = {"data_dir": "dataset", "download": "dataset"}
"""Options of which nothing can be said while another one is faulty."""
Options = TypeVar("Options", bound=CommandOptions)


def parse(
    model: type[Options],
    description: str,
    arguments: Sequence[str] | None = None,
    check: Callable[[Options], dict[str, str]] = lambda options: {},
) -> Options:
    """Return the options from the command line and, below it, from ``--config``.

    Args:
        model: the sweep's options.
        description: what the sweep asks, for ``--help``.
        arguments: instead of ``sys.argv``.
        check: further problems by option name, given options whose fields are all legal.

    Raises:
        SystemExit: 0 after ``--help``; 2 with every problem in one message.
    """
    given, problems = _read_command_line(model, description, arguments)
    path = given.pop("config", None)
    if path is not None:
        from_file, file_problems = read_config(Path(path), list(model.model_fields))
        given = from_file | given
        problems += file_problems
    options, faulty = _validate(model, given)
    problems += [f"{_flag(name)}: {text}" for name, text in faulty.items()]
    if options is not None:
        # A store and a cluster may both be silent, and are so at the same time.
        of_storage = in_background(options.storage_problems)
        found = options.problems() | check(options)
        found = of_storage.result() | found
        problems += [
            f"{_flag(name)}: {text}"
            for name, text in found.items()
            if name not in faulty and JUDGED_WITH.get(name) not in faulty
        ]
    if problems:
        refuse(problems)
    assert options is not None
    return options


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _read_command_line(
    model: type[CommandOptions], description: str, arguments: Sequence[str] | None
) -> tuple[dict[str, Any], list[str]]:
    # tyro splits words and prints the help; all values stay text, so that pydantic can judge them
    # together instead of the parser stopping at the first.
    fields = [_raw_field(name, info) for name, info in model.model_fields.items()]
    help_text = "YAML file of options, one key a flag; flags on the command line win."
    config = Annotated[str | None, tyro.conf.arg(help=help_text, metavar="FILE")]
    raw = make_dataclass("Raw", [*fields, ("config", config, field(default=None))])
    typed, problems = _flags_without_value(model, sys.argv[1:] if arguments is None else arguments)
    words, unknown = tyro.cli(
        raw,
        description=description,
        args=typed,
        return_unknown_args=True,
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    given = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in vars(words).items()
        if value not in (None, False)
    }
    # The value of an unknown flag is not a second mistake.
    flags = [word for word in unknown if re.match("--?[A-Za-z]", word)]
    legal = [_flag(name) for name in (*model.model_fields, "config")]
    problems += [
        unknown_word("argument", word.partition("=")[0], legal) for word in flags or unknown
    ]
    return given, problems


def _flags_without_value(
    model: type[CommandOptions], typed: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Return the words without the flags that lack their value, and a problem for each.

    The parser would stop at the first of them. A list that is given twice would lose its first
    half without a word.
    """
    takes = {_flag(name): _takes(info) for name, info in model.model_fields.items()}
    takes["--config"] = "one"
    kept, problems = [], []
    for word, following in zip(typed, [*typed[1:], "--end"], strict=False):
        if takes.get(_flag(word[2:])) == "one" and re.match("--?[A-Za-z]", following):
            problems.append(f"{word}: needs a value")
        else:
            kept.append(word)
    flags = [_flag(word[2:].partition("=")[0]) for word in kept if word.startswith("--")]
    problems += [
        f"{flag}: is given twice; give all its values after one {flag}"
        for flag in dict.fromkeys(flags)
        if flags.count(flag) > 1 and takes.get(flag) == "many"
    ]
    return kept, problems


def _takes(info: Any) -> str:
    if info.annotation is bool:
        return "none"
    kinds = (info.annotation, *get_args(info.annotation))
    return "many" if any(get_origin(kind) is tuple for kind in kinds) else "one"


def _raw_field(name: str, info) -> tuple[str, Any, Any]:
    default = info.default
    help_text = info.description or ""
    if default not in (None, False, ()) and "Default:" not in help_text:
        help_text += f" Default: {default}."
    if info.annotation is bool:
        return name, Annotated[bool, tyro.conf.arg(help=help_text)], field(default=False)
    kinds = [info.annotation, *get_args(info.annotation)]
    many = _takes(info) == "many"
    choices = [str(c) for kind in kinds if get_origin(kind) is Literal for c in get_args(kind)]
    metavar = "|".join(choices) if choices else _metavar(kinds)
    kind = tuple[str, ...] if many else str
    argument = tyro.conf.arg(
        help=help_text, metavar=f"{metavar} ..." if many else metavar, help_behavior_hint=""
    )
    return name, Annotated[kind | None, argument], field(default=None)


def _metavar(kinds: Sequence[Any]) -> str:
    for kind in kinds:
        for part in (kind, *get_args(kind)):
            if part in (int, float, Path):
                return {int: "N", float: "X", Path: "FOLDER"}[part]
    return "TEXT"


def _validate(model: type[Options], given: dict[str, Any]) -> tuple[Options | None, dict[str, str]]:
    try:
        return model.model_validate(given), {}
    except ValidationError as error:
        faulty: dict[str, str] = {}
        for detail in error.errors():
            name = str(detail["loc"][0])
            faulty[name] = explain(detail, given.get(name))
    # The legal rest is checked all the same, so that one message tells everything.
    rest = {name: value for name, value in given.items() if name not in faulty}
    try:
        return model.model_validate(rest), faulty
    except ValidationError:
        return None, faulty
