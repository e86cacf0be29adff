"""From the command line and a YAML file to legal options, or to one message with every problem."""

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from sweeps.engine.cli.command_options import CommandOptions
from sweeps.engine.cli.config_file import read_config
from sweeps.engine.cli.help import MANY, NO_VALUE, ONE, print_help, takes
from sweeps.engine.cli.messages import explain, unknown_word
from sweeps.engine.system.background import in_background
from sweeps.engine.system.exit_codes import DONE
from sweeps.engine.system.leaving import refuse
from sweeps.engine.system.provenance import note_command

JUDGED_WITH = {"data_dir": "dataset", "download": "dataset", "weights_of": "models"}
"""Options that can be checked only while another one is legal."""
FLAG = re.compile("--[A-Za-z]|-(?!inf$|nan$)[A-Za-z]")  # not a negative number
Options = TypeVar("Options", bound=CommandOptions)


def parse(
    model: type[Options],
    description: str,
    arguments: Sequence[str] | None = None,
    check: Callable[[Options], dict[str, str]] = lambda options: {},
) -> Options:
    """Return the options from the command line and, below it, from ``--config``.

    Args:
        model: the command's options.
        description: what the command does, for ``--help``.
        arguments: instead of ``sys.argv``.
        check: further problems by option name, given options whose fields are all legal.

    Raises:
        SystemExit: 0 after ``--help``; 2 with every problem in one message.
    """
    typed = sys.argv[1:] if arguments is None else arguments
    if {"-h", "--help"} & set(typed):
        print_help(model, description)
        raise SystemExit(DONE)
    given, problems = _read_words(model, typed)
    note_command({_flag(name): _words(value) for name, value in given.items()})
    path = given.pop("config", None)
    if path is not None:
        from_file, file_problems = read_config(Path(path), list(model.model_fields))
        given = from_file | given
        problems += file_problems
    options, found = judge(model, given, check)
    problems += [f"{_flag(name)}: {text}" for name, text in found.items()]
    if problems:
        refuse(problems)
    assert options is not None
    return options


def judge(
    model: type[Options], given: dict[str, Any], check: Callable[[Options], dict[str, str]]
) -> tuple[Options | None, dict[str, str]]:
    """Return the options, if what is legal among them makes such, and every problem by option.

    Args:
        model: the command's options.
        given: the values by option.
        check: as of ``parse``.
    """
    options, faulty = _validate(model, given)
    if options is None:
        return None, faulty
    # Both wait where nothing answers: they wait at the same time.
    of_storage = in_background(options.storage_problems)
    found = options.problems() | check(options)
    found = of_storage.result() | found
    return options, faulty | {
        name: text
        for name, text in found.items()
        if name not in faulty and JUDGED_WITH.get(name) not in faulty
    }


def _words(value: Any) -> list[str]:
    """Return what follows the flag of an option: one word, several, or none."""
    return value if isinstance(value, list) else [] if value is True else [value]


def _flag(name: str) -> str:
    return name if name.isupper() else "--" + name.replace("_", "-")  # of the environment


def _read_words(
    model: type[CommandOptions], typed: Sequence[str]
) -> tuple[dict[str, Any], list[str]]:
    """Return the options as text, so that pydantic judges all of them, and a problem for the rest.

    The words after an unknown flag are taken for its values: they are no second mistake.
    """
    kinds = {name: takes(info) for name, info in model.model_fields.items()} | {"config": ONE}
    legal = [_flag(name) for name in kinds]
    given: dict[str, Any] = {}
    problems, waiting = [], list(typed)
    while waiting:
        word, equals, value = waiting.pop(0).partition("=")
        values = [value] if equals else []
        if FLAG.match(word):
            while not equals and waiting and not FLAG.match(waiting[0]):
                values.append(waiting.pop(0))
        name = word.lstrip("-").replace("-", "_")
        kind = kinds.get(name) if word.startswith("--") else None
        if kind is None:
            problems.append(unknown_word("argument", word, legal))
        elif kind == ONE and not values:
            problems.append(f"{word}: needs a value")
        elif kind == MANY and name in given:
            problems.append(f"{word}: is given twice; give all its values after one {word}")
        else:
            most = {NO_VALUE: 0, ONE: 1}.get(kind, len(values))
            problems += [unknown_word("argument", extra, legal) for extra in values[most:]]
            given[name] = values if kind == MANY else values[0] if kind == ONE else True
    return given, problems


def _validate(model: type[Options], given: dict[str, Any]) -> tuple[Options | None, dict[str, str]]:
    try:
        return model.model_validate(given), {}
    except ValidationError as error:
        faulty: dict[str, str] = {}
        for detail in error.errors():
            name = str(detail["loc"][0])
            faulty[name] = explain(detail, given.get(name))
    # The legal rest is checked too, so that one message has every problem.
    rest = {name: value for name, value in given.items() if name not in faulty}
    try:
        return model.model_validate(rest), faulty
    except ValidationError:
        return None, faulty
