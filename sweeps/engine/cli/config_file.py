"""Options from a YAML file: text under keys, which means there what it does on the command line.

The nodes of the file are read and no values made of them: a tag can ask for nothing, and no alias
can grow.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from sweeps.engine.cli.messages import shown, unknown_word

LONGEST = 100_000  # bytes
PLAIN = "tag:yaml.org,2002:"
KINDS = ("str", "int", "float", "bool", "null", "timestamp")  # of plain words


def read_config(path: Path, legal: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Return the options in a file as text, and a problem for each key that is none.

    Args:
        path: the file.
        legal: the keys that it may have, each once, with dashes or underscores.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LONGEST + 1)
        if len(content) > LONGEST:
            return {}, [f"--config: {path} is longer than {LONGEST:,} bytes"]
        root = yaml.compose(content.decode(), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        return {}, [f"--config: {path} cannot be read ({reason})"]
    except (yaml.YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split())
        return {}, [f"--config: {path} is not plain YAML ({reason})"]
    if root is None:
        return {}, []
    if not isinstance(root, yaml.MappingNode) or root.tag != f"{PLAIN}map":
        is_plain = root.tag.removeprefix(PLAIN) in (*KINDS, "seq")
        fault = "must hold keys and values, such as `seeds: 3`" if is_plain else _other_tag(root)
        return {}, [f"--config: {path} {fault}"]
    found: dict[str, Any] = {}
    problems, seen = [], set()
    for key_node, value_node in root.value:
        key = key_node.value if isinstance(key_node, yaml.ScalarNode) else "what is no word"
        name = key.replace("-", "_")
        if name not in legal:
            problems.append(f"--config: {unknown_word('key', key, legal)}")
        elif name in seen:
            problems.append(f"--config: {key}: is given twice")
        else:
            try:
                found[name] = _text(value_node)
            except ValueError as error:
                problems.append(f"--config: {key}: {error}")
        seen.add(name)
    return found, problems


def _text(node: yaml.Node, in_list: bool = False) -> str | list[Any] | None:
    """Return a value, or a list of values, as text; None for null."""
    kind = node.tag.removeprefix(PLAIN)
    if isinstance(node, yaml.ScalarNode) and kind in KINDS:
        return None if kind == "null" else node.value
    if isinstance(node, yaml.SequenceNode) and kind == "seq" and not in_list:
        return [_text(part, in_list=True) for part in node.value]
    if kind in ("seq", "map"):
        raise ValueError("must be a value or a list of values, without keys or lists in it")
    raise ValueError(_other_tag(node))


def _other_tag(node: yaml.Node) -> str:
    return f"is not plain YAML (it has the tag {shown(node.tag)})"
