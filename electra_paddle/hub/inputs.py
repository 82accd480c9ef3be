"""Check what callers hand over before anything is computed."""

from __future__ import annotations

import collections
import operator
from collections.abc import Iterator, Sequence
from numbers import Real
from typing import Any

from electra_paddle.errors import ConfigError, DataError

TEXTS = {  # numbers of texts in an item -> how one says that
    (1,): "a list of one text",
    (2,): "a list of two texts",
    (3,): "a list of three texts",
    (1, 2): "a list of one text or two",
}
TRUTHS = {"true": True, "false": False, "1": True, "0": False}


def read_items(
    data: Any, num_texts: tuple[int, ...], names: Sequence[str], start: int = 0
) -> list[tuple[str, ...] | DataError]:
    """The items as tuples of texts; in the place of one that is none, an error that says why.

    Args:
        data: a list, a tuple or an array of items: lists of texts, {name of a text: text}, or where one text is an item
            the texts themselves; one such text alone is an item, too.
        num_texts: how many texts an item may have; all of them must have as many.
        names: what the texts are.
        start: number of the first item, for messages.

    Raises:
        DataError: it is nothing of that kind.
    """
    example = '[["text"], ["another text"]]' if 1 in num_texts else str([list(names)]).replace("'", '"')
    data = data.tolist() if hasattr(data, "tolist") else data  # numpy's arrays, and pandas's columns
    if isinstance(data, str) and 1 in num_texts:
        data = [data]
    if not isinstance(data, list | tuple):
        raise DataError("data", describe(data), f"a list of items such as {example}")
    items: list[tuple[str, ...] | DataError] = []
    length = 0  # of the first item
    for number, item in enumerate(data, start):
        found = read_item(f"data[{number}]", item, num_texts, names, example)
        if isinstance(found, tuple):
            length = length or len(found)
            if len(found) != length:
                advice = "give pairs in another call"
                found = DataError(f"data[{number}]", f"{len(found)} texts", f"{length} as in the first item", advice)
        items.append(found)
    return items


def read_item(
    where: str, item: Any, num_texts: tuple[int, ...], names: Sequence[str], example: str
) -> tuple[str, ...] | DataError:
    """One item's texts, or what is wrong with it."""
    wanted, advice = TEXTS[num_texts], f"give data such as {example}"
    if isinstance(item, dict):
        if not any(set(item) == {*names[:number]} for number in num_texts):
            keys = " or ".join(str(list(names[:number])) for number in num_texts)
            return DataError(where, f"an object with {list(item)}", f"one with {keys}, or {wanted}", advice)
        item = [item[name] for name in names[: len(item)]]
    if isinstance(item, str) and 1 in num_texts:
        item = [item]
    if not isinstance(item, list | tuple):
        return DataError(where, describe(item), wanted, advice)
    if len(item) not in num_texts:
        return DataError(where, f"{len(item)} texts", wanted, advice)
    for name, text in zip(names, item, strict=False):
        if not isinstance(text, str):
            return DataError(where, f"{describe(text)} among its texts", wanted)
        if not text.strip():
            advice = 'leave such items out, or give on_error="skip"'
            return DataError(where, f"an empty {name}", "texts with at least one character", advice)
    return tuple(item)


def is_stream(data: Any) -> bool:
    """Whether data comes item by item, such as from a generator."""
    return isinstance(data, Iterator)


def describe(value: object) -> str:
    """A value of the wrong type, in words."""
    if value is None:
        return "None"
    return "a plain string" if isinstance(value, str) else f"a value of type {type(value).__name__}"


def whole_number(name: str, value: Any, lowest: int, highest: int | None = None) -> int:
    """A whole number within bounds, numpy's too.

    Raises:
        ConfigError: it is something else.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < lowest or (highest is not None and number > highest):
        bounds = f"a whole number from {lowest}" + (f" to {highest}" if highest is not None else " on")
        raise ConfigError(name, repr(value), bounds)
    return number


def is_number(value: Any, lowest: float, highest: float) -> bool:
    """Whether a value is a number within bounds, Python's or numpy's, and no truth."""
    return not isinstance(value, bool) and isinstance(value, Real) and lowest <= float(value) <= highest


def truth(name: str, value: Any) -> bool:
    """True or False, also as numpy and as requests write them: "true", "false", 1, 0.

    Raises:
        ConfigError: it is something else.
    """
    found = TRUTHS.get(str(value).strip().lower())
    if found is None:
        raise ConfigError(name, repr(value), "true or false")
    return found


def one_of(name: str, value: Any, choices: Sequence[str | None]) -> Any:
    """One of some words.

    Raises:
        ConfigError: it is something else.
    """
    if value not in choices:
        raise ConfigError(name, repr(value), " or ".join(map(repr, choices)))
    return value


def read_label_map(label_map: Any) -> dict[int, Any]:
    """{class id: label} in the order of the ids, which may be strings, as JSON has them; or a list of labels.

    Raises:
        ConfigError: it is no mapping of 0, 1, 2 ... to labels.
    """
    expected = "labels such as ['negative', 'positive'] or {0: 'negative', 1: 'positive'}"
    if isinstance(label_map, list | tuple):
        label_map = dict(enumerate(label_map))
    if not isinstance(label_map, dict) or not label_map:
        raise ConfigError("label_map", repr(label_map), expected)
    try:
        labels = {int(key): label for key, label in label_map.items()}
    except (TypeError, ValueError) as error:
        raise ConfigError("label_map", f"{label_map!r}", expected) from error
    ids = sorted(labels)
    if ids != list(range(len(label_map))):
        raise ConfigError("label_map", f"the ids {ids}", f"each of 0 to {len(label_map) - 1} once")
    twice = [label for label, count in collections.Counter(map(str, labels.values())).items() if count > 1]
    if twice:
        raise ConfigError("label_map", f"{twice[0]!r} for two classes", "a label of its own for each class")
    return {number: labels[number] for number in ids}
