"""From the command line and a YAML file to legal options, or to one message with every problem."""

import difflib
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import field, make_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TypeVar, get_args, get_origin

import tyro
import yaml
from pydantic import ValidationError

from sweeps.engine.exit_codes import BAD_INPUT, INTERRUPTED, SOME_FAILED
from sweeps.engine.object_store import StorageError
from sweeps.engine.options import CommandOptions
from sweeps.engine.provenance import redact, repeat_command
from sweeps.engine.storage import OutsideError

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
    given, unknown = _read_command_line(model, description, arguments)
    problems = [_unknown("argument", word, [_flag(name) for name in model.model_fields])
                for word in unknown]  # fmt: skip
    path = given.pop("config", None)
    if path is not None:
        from_file, file_problems = _read_yaml(Path(path), model)
        given = from_file | given
        problems += file_problems
    options, faulty = _validate(model, given)
    problems += [f"{_flag(name)}: {text}" for name, text in faulty.items()]
    if options is not None:
        found = options.problems() | check(options)
        problems += [f"{_flag(name)}: {text}" for name, text in found.items() if name not in faulty]
    if problems:
        refuse(problems)
    assert options is not None
    return options


def refuse(problems: Sequence[str]) -> NoReturn:
    """Print every problem, without any password, and exit with code 2."""
    lines = [f"  {redact(problem)}" for problem in problems]
    count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
    print("\n".join([f"{count}, nothing was started:", *lines, "Try --help."]), file=sys.stderr)
    raise SystemExit(BAD_INPUT)


def leave(main: Callable[[], int]) -> NoReturn:
    """Run a sweep's ``main`` and end the process with its exit code; with 130 after Ctrl-C.

    The process ends without the seconds that Ray's and MLflow's own exits take: Ray is shut down
    and everything is written by then, or Ctrl-C asked for it a second time.
    """
    try:
        code = main()
    except SystemExit as refused:
        code = refused.code if isinstance(refused.code, int) else 1
    except KeyboardInterrupt:
        print(f"\nInterrupted. Carry on with:\n  {repeat_command()}", file=sys.stderr)
        code = INTERRUPTED
    except OutsideError as error:
        print(error, file=sys.stderr)
        code = BAD_INPUT
    except StorageError as error:
        print(f"\n{error}\nCarry on with:\n  {repeat_command()}", file=sys.stderr)
        code = SOME_FAILED
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _unknown(kind: str, name: str, legal: Sequence[str]) -> str:
    nearest = difflib.get_close_matches(name, legal, n=1, cutoff=0.5)
    return f"{name}: unknown {kind}" + (f"; did you mean {nearest[0]}?" if nearest else "")


def _read_command_line(
    model: type[CommandOptions], description: str, arguments: Sequence[str] | None
) -> tuple[dict[str, Any], list[str]]:
    # tyro splits words and prints the help; all values stay text, so that pydantic can judge them
    # together instead of the parser stopping at the first.
    fields = [_raw_field(name, info) for name, info in model.model_fields.items()]
    help_text = "YAML file of options, one key a flag; flags on the command line win."
    config = Annotated[str | None, tyro.conf.arg(help=help_text, metavar="FILE")]
    raw = make_dataclass("Raw", [*fields, ("config", config, field(default=None))])
    words, unknown = tyro.cli(
        raw,
        description=description,
        args=arguments,
        return_unknown_args=True,
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    given = {name: value for name, value in vars(words).items() if value not in (None, False)}
    # The value of an unknown flag is not a second mistake.
    flags = [word for word in unknown if word.startswith("--")]
    return given, flags or unknown


def _raw_field(name: str, info) -> tuple[str, Any, Any]:
    default = info.default
    help_text = info.description or ""
    if default not in (None, False, ()) and "Default:" not in help_text:
        help_text += f" Default: {default}."
    if info.annotation is bool:
        return name, Annotated[bool, tyro.conf.arg(help=help_text)], field(default=False)
    kinds = [info.annotation, *get_args(info.annotation)]
    many = any(get_origin(kind) is tuple for kind in kinds)
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


def _read_yaml(path: Path, model: type[CommandOptions]) -> tuple[dict[str, Any], list[str]]:
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        return {}, [f"--config: {path} cannot be read ({error})"]
    except yaml.YAMLError as error:
        return {}, [f"--config: {path} is not plain YAML ({' '.join(str(error).split())})"]
    if content is None:
        return {}, []
    if not isinstance(content, dict):
        return {}, [f"--config: {path} must hold keys and values, such as `seeds: 3`"]
    keys = {str(key).replace("-", "_"): value for key, value in content.items()}
    legal = list(model.model_fields)
    problems = [f"--config: {_unknown('key', key, legal)}" for key in keys if key not in legal]
    return {key: value for key, value in keys.items() if key in legal}, problems


def _validate(model: type[Options], given: dict[str, Any]) -> tuple[Options | None, dict[str, str]]:
    try:
        return model.model_validate(given), {}
    except ValidationError as error:
        faulty: dict[str, str] = {}
        for detail in error.errors():
            name = str(detail["loc"][0])
            faulty[name] = _explain(detail, given.get(name))
    # The legal rest is checked all the same, so that one message tells everything.
    rest = {name: value for name, value in given.items() if name not in faulty}
    try:
        return model.model_validate(rest), faulty
    except ValidationError:
        return None, faulty


def _explain(detail: Any, value: Any) -> str:
    context = detail.get("ctx", {})
    text: str = {
        "greater_than_equal": "must be at least {ge}",
        "less_than_equal": "must be at most {le}",
        "less_than": "must be less than {lt}",
        "greater_than": "must be greater than {gt}",
        "literal_error": "must be one of {expected}",
        "int_parsing": "must be a whole number",
        "int_from_float": "must be a whole number",
        "float_parsing": "must be a number",
        "finite_number": "must be a finite number",
        "value_error": "{error}",
    }.get(detail["type"]) or str(detail["msg"])
    if isinstance(value, list | tuple):
        value = " ".join(str(item) for item in value) or "nothing"
    message = f"{text.format(**context)}, given: {value}"
    if detail["type"] == "literal_error":
        legal = re.findall(r"'([^']*)'", context["expected"])
        nearest = difflib.get_close_matches(str(value), legal, n=1, cutoff=0.4)
        message += f"; did you mean {nearest[0]}?" if nearest else ""
    return message
