"""What is said of bad input: the rule, the value given and the nearest legal name."""

import difflib
import re
from collections.abc import Sequence
from typing import Any

from sweeps.engine.cli.options_elsewhere import elsewhere
from sweeps.engine.system.provenance import redact

NEAR = 0.65  # how alike two words are of which one is a hint for the other, from 0 to 1
SHORTEST = 3  # letters with which a longer word may begin
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
    if other := elsewhere(name):
        return f"{shown(name)}: {other}, not of this command"
    return f"{shown(name)}: unknown {kind}{hint(name, legal)}"


def hint(name: str, legal: Sequence[str]) -> str:
    """Return a question for the legal word that is nearest to ``name``; empty if none is near."""
    nearest = nearest_word(name, legal)
    return f"; did you mean {nearest}?" if nearest else ""


def nearest_word(name: str, legal: Sequence[str]) -> str:
    """Return the word that begins with ``name``, or is spelled much like it; "" if none is.

    Case and dashes do not matter.
    """
    by_key, key = {_key(word): word for word in legal}, _key(name)
    longer = [word for word in by_key if word.startswith(key)] if len(key) >= SHORTEST else []
    found = longer[:1] or difflib.get_close_matches(key, by_key, n=1, cutoff=NEAR)
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
        message += hint(given, legal)
    return message
