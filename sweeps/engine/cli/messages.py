"""What is said of bad input: the rule, the value given and the nearest legal name."""

import difflib
import re
from collections.abc import Sequence
from typing import Any

from sweeps.engine.system.provenance import redact

LONGEST = 200  # characters of what was given
RULES = {  # by pydantic's name of the error
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
    "greater_than": "must be greater than {gt}",
    "literal_error": "must be one of {expected}",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a shorter whole number",
    "int_from_float": "must be a whole number",
    "int_type": "must be one whole number",
    "float_parsing": "must be a number",
    "float_type": "must be one number",
    "finite_number": "must be a finite number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_type": "must be one word",
    "path_type": "must be one path",
    "value_error": "{error}",
}


def unknown_word(kind: str, name: str, legal: Sequence[str]) -> str:
    """Return that a name is unknown, with the nearest legal one if there is a near one.

    Args:
        kind: of word, for example ``argument``.
        name: what was given.
        legal: what might have been.
    """
    hint = nearest_word(name, legal, cutoff=0.6)
    return f"{shown(name)}: unknown {kind}" + (f"; did you mean {hint}?" if hint else "")


def nearest_word(name: str, legal: Sequence[str], cutoff: float) -> str:
    """Return the word that is spelled most like ``name``, whatever its case and dashes; or ""."""
    by_key = {_key(word): word for word in legal}
    found = difflib.get_close_matches(_key(name), by_key, n=1, cutoff=cutoff)
    return by_key[found[0]] if found else ""


def _key(word: str) -> str:
    return word.lower().replace("_", "-").strip("-")


def shown(text: str) -> str:
    """Return what was typed for a message: without a password, and not at any length."""
    text = re.sub(r"(://[^:/@]*:).*@", r"\1***@", redact(text), flags=re.DOTALL)  # with blanks
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def explain(detail: Any, value: Any) -> str:
    """Return the rule that a value broke, the value and, of a word, the nearest legal one.

    Args:
        detail: one of pydantic's errors.
        value: what was given.
    """
    context, rule = detail.get("ctx", {}), RULES.get(detail["type"])
    text = rule.format(**context) if rule else str(detail["msg"])
    values = value if isinstance(value, list | tuple) else [value]
    given = " ".join("nothing" if item is None else str(item) for item in values) or "nothing"
    message = f"{text}, given: {shown(given)}"
    if detail["type"] == "literal_error":
        legal = re.findall(r"'([^']*)'", context["expected"])
        nearest = nearest_word(given, legal, cutoff=0.4)
        message += f"; did you mean {nearest}?" if nearest else ""
    return message
