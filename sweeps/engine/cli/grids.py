"""Lists of words and numbers from the command line or a YAML file; every fault in one message."""

import math
from collections.abc import Callable, Sequence

from pydantic import BeforeValidator

from search_spaces.parameter import Point, Value
from sweeps.engine.cli.messages import nearest_word


def _whole_number(given: object) -> object:
    return int(given) if isinstance(given, str) and given.isdigit() else given


WHOLE_NUMBER = BeforeValidator(_whole_number)
"""Reads a number where only a few are legal: pydantic takes the text of a ``Literal`` as it is."""


def _three_numbers(given: object) -> object:
    parts = given if isinstance(given, list | tuple) else [given]
    found = [word for part in parts for word in str(part).replace(",", " ").split()]
    if given is not None and len(found) != 3:
        raise ValueError("must be three numbers: learning rate, batch and epochs")
    return None if given is None else found


THREE_NUMBERS = BeforeValidator(_three_numbers)
"""Reads the recipe of a training."""


def words(given: object, legal: Sequence[str]) -> list[Value] | None:
    """Return words from the command line or a YAML list.

    Raises:
        ValueError: none at all, an unknown one (names the nearest), or one that is given twice.
    """

    def read(word: str) -> tuple[Value, str]:
        if word in legal:
            return word, ""
        nearest = nearest_word(word, legal)
        return word, f"{word} is unknown" + (f", did you mean {nearest}?" if nearest else "")

    try:
        return _read_list(given, read)
    except ValueError as error:
        raise ValueError(f"must be among {', '.join(legal)}: {error}") from None


def line(values: Sequence[Value]) -> tuple[Point, ...]:
    """Return the points of a space of one parameter."""
    return tuple((value,) for value in values)


def real_numbers(
    least: float | None = None, above: float | None = None, words: Sequence[str] = ()
) -> BeforeValidator:
    """Return what reads the numbers of a grid, from words, commas or a YAML list.

    It refuses what is no number, not finite, out of range, given twice, or none at all.

    Args:
        least: the smallest legal number, if there is one.
        above: what every number must be greater than, if anything.
        words: legal beside numbers.
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

    return BeforeValidator(lambda given: _read_list(given, read))


MOST_NAMED = 20  # legal numbers in a message; of more only the first and the last


def whole_numbers(legal: Sequence[int]) -> BeforeValidator:
    """Return what reads the whole numbers of a grid, of which these are legal."""

    def read(word: str) -> tuple[Value, str]:
        number = int(word) if word.isdigit() else -1
        if number in legal:
            return number, ""
        if isinstance(legal, range) and len(legal) > MOST_NAMED:
            return number, f"{word} is not from {legal[0]:,} to {legal[-1]:,}"
        return number, f"{word} is not one of {', '.join(map(str, legal))}"

    return BeforeValidator(lambda given: _read_list(given, read))


def distinct(check: Callable[[str], str]) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
    """Return what checks each word by a function that raises ValueError, and that none is twice."""

    def checked(given: tuple[str, ...]) -> tuple[str, ...]:
        faults = [f"{word} is given twice" for word in {*given} if given.count(word) > 1]
        for word in given:
            try:
                check(word)
            except ValueError as error:
                faults.append(f"{word}: {error}")
        if faults:
            raise ValueError("; ".join(faults))
        return given

    return checked


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
