"""Check what callers hand over before anything is computed."""

from collections.abc import Sequence
from typing import Any

from electra_paddle.errors import ConfigError, DataError

TEXTS = {  # numbers of texts in an item -> how one says that
    (1,): "a list of one text",
    (2,): "a list of two texts",
    (3,): "a list of three texts",
    (1, 2): "a list of one text or two",
}


def check_items(data: Any, num_texts: tuple[int, ...], names: Sequence[str]) -> list[tuple[str, ...]]:
    """The items as tuples of texts.

    Args:
        data: list of lists of texts, or of {name of a text: text}.
        num_texts: how many texts an item may have; all of them must have as many.
        names: what the texts are.

    Raises:
        DataError: names the first item that is not so.
    """
    wanted, items = TEXTS[num_texts], []
    example = '[["text"], ["another text"]]' if 1 in num_texts else str([list(names)]).replace("'", '"')
    if not isinstance(data, list | tuple):
        raise DataError("data", describe(data), f"a list of items such as {example}")
    for number, item in enumerate(data):
        where = f"data[{number}]"
        if isinstance(item, dict) and set(item) == set(names):
            item = [item[name] for name in names]
        if not isinstance(item, list | tuple):
            raise DataError(where, describe(item), wanted, f"give data such as {example}")
        if len(item) not in num_texts:
            raise DataError(where, f"{len(item)} texts", wanted, f"give data such as {example}")
        for name, text in zip(names, item, strict=False):
            if not isinstance(text, str):
                raise DataError(where, f"{describe(text)} among its texts", wanted)
            if not text.strip():
                raise DataError(where, f"an empty {name}", "texts with at least one character", "leave such items out")
        items.append(tuple(item))
        if len(item) != len(items[0]):
            raise DataError(where, f"{len(item)} texts", f"{len(items[0])} as in data[0]", "give pairs in another call")
    return items


def describe(value: object) -> str:
    """A value of the wrong type, in words."""
    if value is None:
        return "None"
    return "a plain string" if isinstance(value, str) else f"a value of type {type(value).__name__}"


def check_number(name: str, value: object, lowest: int, highest: int | None = None) -> None:
    """A whole number within bounds.

    Raises:
        ConfigError: it is something else.
    """
    if (
        not isinstance(value, int)
        or isinstance(value, bool)
        or value < lowest
        or (highest is not None and value > highest)
    ):
        bounds = f"a whole number from {lowest}" + (f" to {highest}" if highest is not None else " on")
        raise ConfigError(name, repr(value), bounds)


def read_label_map(label_map: Any) -> dict[int, Any]:
    """{class id: label} in the order of the ids, which may be strings, as JSON has them.

    Raises:
        ConfigError: it is no mapping of 0, 1, 2 ... to labels.
    """
    expected = "a mapping of class ids to labels such as {0: 'negative', 1: 'positive'}"
    if not isinstance(label_map, dict) or not label_map:
        raise ConfigError("label_map", repr(label_map), expected)
    try:
        labels = sorted((int(key), label) for key, label in label_map.items())
    except (TypeError, ValueError) as error:
        raise ConfigError("label_map", f"{label_map!r}", expected) from error
    ids = [number for number, _ in labels]
    if ids != list(range(len(ids))):
        raise ConfigError("label_map", f"the ids {ids}", f"each of 0 to {len(ids) - 1} once")
    return dict(labels)


def check_request() -> None:
    """Refuse JSON that is no object in a request to `hub serving`, which would fail at it.

    Raises:
        werkzeug.exceptions.BadRequest: answered with status 400 and this text.
    """
    from flask import abort, has_request_context, request

    if has_request_context() and not isinstance(request.get_json(silent=True), dict):
        abort(400, 'body: found JSON that is no object, expected one such as {"data": [["text"]]}')
