"""The text of ``--help``: every option in its group, with its choices and its default."""

import inspect
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from rich.console import Console

from gon_core import benchmarks, measures
from gon_core.architectures import ARCHITECTURES
from sweeps.engine.cli.command_options import CommandOptions

NO_VALUE, ONE, MANY = "no value", "one value", "several values"  # that an option takes
INDENT, WIDEST = 28, 120  # columns
GROUPS = {  # other options are what the command is about
    "data": (
        "dataset", "data_dir", "stylized_dir", "download", "image_size", "cache_images",
        "data_workers", "training_images", "validation_images", "test_images", "image_list",
    ),
    "training": (
        "model", "weights", "max_epochs", "start_epochs", "batch_size", "decays", "uat_step_size",
        "ford_recipe", "precision", "compile", "batch_norm", "checkpoint_every",
    ),
    "evaluation": ("evaluate", "evaluation_images", "generator_steps", "corrupted_dir",
        "frost_dir"),
    "resources": (
        "address", "gpus_per_trial", "cpus_per_trial", "processes_per_trial",
        "trials_per_process", "max_concurrent", "max_failures", "max_node_losses",
        "wait_for_driver",
    ),
    "budget": (
        "budget_gpu_hours", "budget_hours", "price_per_gpu_hour", "images_per_second", "dry_run",
    ),
    "storage and tracking": (
        "name", "storage", "fresh", "tracking_uri", "log_models", "system_metrics",
    ),
}  # fmt: skip
GENERAL = {
    "--help": "Show this text.",
    "--config FILE": "YAML file of options, one key each; the command line wins. Default: none.",
}
KINDS = {int: "N", float: "X", Path: "FOLDER"}
METAVARS = {
    "name": "NAME", "names": "NAME", "storage": "FOLDER|URI", "tracking_uri": "URI",
    "address": "auto|HOST:PORT", "checkpoints": "PATH", "weights": "FILE", "warm_start": "FOLDER",
    "models": "NAME", "weights_of": "NAME=FILE", "ford_recipe": "RATE BATCH EPOCHS",
    "imagenet": "FOLDER|URI", "image_list": "FILE",
}  # fmt: skip
FURTHER_CHOICES = {
    "dataset": benchmarks.names(),
    "evaluate": (*measures.choices(), "all", "none"),
    "model": tuple(ARCHITECTURES),
}
LONG = 60  # characters of choices


def print_help(model: type[CommandOptions], description: str) -> None:
    """Print what a command does and all its options, for the width of the terminal."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    width = min(console.width, WIDEST)
    console.print(f"usage: {Path(sys.argv[0]).name} [OPTIONS]")
    for paragraph in description.strip().split("\n\n"):
        console.print("\n" + textwrap.fill(" ".join(paragraph.split()), width))
    for title, options in {"general": GENERAL, **grouped(model)}.items():
        console.print(f"\n{title}", style="bold")
        for left, text in options.items():
            console.print("\n".join(entry(left, text, width)))
    script = Path(sys.argv[0])
    console.print("\nexamples", style="bold")
    for words, text in model.examples.items():
        command = textwrap.wrap(f"python {script.parent.name}/{script.name} {words}", width - 8)
        console.print(f"  # {text}\n  " + " \\\n      ".join(command))


def grouped(model: type[CommandOptions]) -> dict[str, dict[str, str]]:
    """Return by group, by flag with its metavar, what each option of a command does."""
    groups = {title: names + model.groups.get(title, ()) for title, names in GROUPS.items()}
    known = {name for names in groups.values() for name in names}
    own = [name for name in model.model_fields if name not in known]
    own.sort(key=lambda name: name not in inspect.get_annotations(model))  # its own come first
    found = {
        title: {
            _usage(name, model.model_fields[name]): explain_option(model.model_fields[name])
            for name in options
            if name in model.model_fields
        }
        for title, options in {model.about: own, **groups}.items()
    }
    return {title: options for title, options in found.items() if options}


def explain_option(info: FieldInfo) -> str:
    """Return what an option does, with its default."""
    text, default = info.description or "", info.default
    is_told = "Default:" in text or default is None or default is False or default == ()
    return text if is_told else f"{text} Default: {default}."


def takes(info: FieldInfo) -> str:
    """Return how many values an option takes: ``NO_VALUE``, ``ONE`` or ``MANY``."""
    if info.annotation is bool:
        return NO_VALUE
    kinds = (info.annotation, *get_args(info.annotation))
    return MANY if any(get_origin(kind) is tuple for kind in kinds) else ONE


def _usage(name: str, info: FieldInfo) -> str:
    flag = "--" + name.replace("_", "-")
    if takes(info) == NO_VALUE:
        return flag
    metavar = _metavar(name, info)
    is_list = takes(info) == MANY and (name not in METAVARS or " " not in metavar)
    return f"{flag} {metavar}{' ...' * is_list}"


def _metavar(name: str, info: FieldInfo) -> str:
    if name in METAVARS:
        return METAVARS[name]
    parts = [*_parts(info.annotation), *FURTHER_CHOICES.get(name, ())]
    kinds = [KINDS[part] for part in parts if isinstance(part, type) and part in KINDS]
    words = kinds + [str(part) for part in parts if isinstance(part, str | int)]
    together = "|".join(words) or "TEXT"
    return together if len(together) < LONG else " | ".join(words)  # which may be wrapped


def _parts(annotation: Any) -> Iterator[Any]:
    """Yield the plain types and the words that an annotation is made of."""
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    elif arguments := get_args(annotation):
        for argument in arguments:
            yield from _parts(argument)
    else:
        yield annotation


def entry(left: str, text: str, width: int) -> list[str]:
    """Return the lines that say what an option, or a command, does."""
    indent, head = " " * INDENT, f"  {left}"
    if len(head) < INDENT - 1:
        return textwrap.wrap(f"{head:{INDENT}}{text}", width, subsequent_indent=indent)
    heads = textwrap.wrap(head, width, subsequent_indent=" " * 6)
    return heads + textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent)
