"""Lists of words and numbers from the command line or a YAML file; every fault in one message."""

import math
from collections.abc import Callable, Sequence

from gon_core.names import nearest
from search_spaces.parameter import Point, Value


def words(given: object, legal: Sequence[str]) -> list[str] | None:
    """Return words from the command line or a YAML list; all faults in one message.

    Raises:
        ValueError: none at all, an unknown one (names the nearest), or one that is given twice.
    """

    def read(word: str) -> tuple[Value, str]:
        if word in legal:
            return word, ""
        return word, f"{word} is unknown, nearest is {nearest(word, legal)}"

    try:
        found = _read_list(given, read)
    except ValueError as error:
        raise ValueError(f"must be some of {', '.join(legal)}: {error}") from None
    return None if found is None else [str(word) for word in found]


def line(values: Sequence[Value]) -> tuple[Point, ...]:
    """Return the points of a space of one parameter."""
    return tuple((value,) for value in values)


def real_numbers(
    given: object, least: float | None = None, above: float | None = None, words: Sequence[str] = ()
) -> object:
    """Return the numbers of a grid, from words, commas or a YAML list; all faults in one message.

    Args:
        given: what was typed, or None.
        least: the smallest legal number, if there is one.
        above: what every number must be greater than, if anything.
        words: legal beside numbers.

    Raises:
        ValueError: no number at all, not a number, not finite, out of range, or given twice.
    """

    def read(word: str) -> tuple[Value, str]:
        if word in words:
            return word, ""
        try:
            number = float(word)
        except ValueError:
            return word, " or ".join([f"{word} is not a number", *words])
        if not math.isfinite(number):
            return number, f"{word} is not finite"
        if least is not None and number < least:
            return number, f"{word} is below {least:g}"
        if above is not None and number <= above:
            return number, f"{word} is not above {above:g}"
        return number, ""

    return _read_list(given, read)


def whole_numbers(given: object, legal: Sequence[int]) -> object:
    """Return the whole numbers of a grid; all faults in one message, see ``real_numbers``.

    Args:
        given: what was typed, or None.
        legal: the numbers that may be given.

    Raises:
        ValueError: no number at all, not a legal one, or given twice.
    """

    def read(word: str) -> tuple[Value, str]:
        number = int(word) if word.isdigit() else -1
        names = ", ".join(map(str, legal))
        return number, "" if number in legal else f"{word} is not one of {names}"

    return _read_list(given, read)


def _read_list(given: object, read: Callable[[str], tuple[Value, str]]) -> list[Value] | None:
    if given is None:
        return None
    items = given if isinstance(given, list | tuple) else [given]
    typed = [word for item in items for word in str(item).replace(",", " ").split()]
    values: list[Value] = []
    faults = [] if typed else ["needs at least one value"]
    for word in typed:
        value, fault = read(word)
        if fault:
            faults.append(fault)
        elif value in values:
            faults.append(f"{word} is given twice")
        values.append(value)
    if faults:
        raise ValueError("; ".join(faults))
    return values
