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
    if fault := _tag_problem(root):
        return {}, [f"--config: {path} {fault}"]
    if not isinstance(root, yaml.MappingNode):
        return {}, [f"--config: {path} must hold keys and values, such as `seeds: 3`"]
    found: dict[str, Any] = {}
    problems, seen = [], set()
    for key_node, value_node in root.value:
        key = key_node.value if isinstance(key_node, yaml.ScalarNode) else "what is no word"
        name = key.replace("-", "_")
        if name not in legal:
            problems.append(f"--config: {unknown_word('key', key, legal)}")
        elif name in seen:
            problems.append(f"--config: {key}: is given twice")
        elif fault := _value_problem(value_node):
            problems.append(f"--config: {key}: {fault}")
        else:
            found[name] = _text(value_node)
        seen.add(name)
    return found, problems


def _tag_problem(node: yaml.Node) -> str:
    kinds = {yaml.ScalarNode: KINDS, yaml.SequenceNode: ("seq",), yaml.MappingNode: ("map",)}
    tags = [f"tag:yaml.org,2002:{kind}" for kind in kinds[type(node)]]
    return "" if node.tag in tags else f"is not plain YAML (it has the tag {shown(node.tag)})"


def _value_problem(node: yaml.Node) -> str:
    parts = node.value if isinstance(node, yaml.SequenceNode) else []
    for part in (node, *parts):
        if fault := _tag_problem(part):
            return fault
    if isinstance(node, yaml.MappingNode) or any(type(p) is not yaml.ScalarNode for p in parts):
        return "must be a value or a list of values, without keys or lists in it"
    return ""


def _text(node: yaml.Node) -> str | list[str | None] | None:
    if isinstance(node, yaml.SequenceNode):
        return [_word(part) for part in node.value]
    return _word(node)


def _word(node: yaml.Node) -> str | None:
    return None if node.tag == "tag:yaml.org,2002:null" else node.value
