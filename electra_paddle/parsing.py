"""JSON and YAML that strangers may have written: every fault is a ValueError in a few words.

The standard parsers answer to some texts with errors of other kinds (a date that is none, a thousand brackets), or
with a structure that is small in memory and endless when it is printed (aliases of aliases).
"""

from __future__ import annotations

import json
from typing import Any

MOST_NODES = 1_000_000  # of a YAML text, aliases counted as often as they stand


class ParseError(ValueError):
    """What is wrong with a text."""


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ParseError: it is none, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ParseError("nested too deeply") from error
    except ValueError as error:
        raise ParseError(in_one_line(error)) from error


def parse_yaml(text: str) -> Any:
    """The value of a YAML text, in types that JSON has and dates.

    Raises:
        ParseError: it is none, nested too deeply, or more than MOST_NODES large.
    """
    import yaml

    try:
        value = yaml.safe_load(text)
    except RecursionError as error:
        raise ParseError("nested too deeply") from error
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, OverflowError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}: " if mark else ""
        raise ParseError(place + str(getattr(error, "problem", None) or in_one_line(error))) from error
    check_size(value)
    return value


def check_size(value: Any) -> None:
    """Refuse a structure that has too many parts when all of its aliases are written out."""
    waiting, count = [value], 0
    while waiting:
        part = waiting.pop()
        count += 1
        if count > MOST_NODES:
            raise ParseError(f"more than {MOST_NODES:,} values, its aliases written out")
        if isinstance(part, dict):
            waiting += [*part.keys(), *part.values()]
        elif isinstance(part, list | tuple | set):
            waiting += part


def look_up(value: Any, path: str) -> Any:
    """`value["a"]["b"]` for the path a.b, or a value with such a name; None where there is no such thing."""
    if isinstance(value, dict) and path in value:
        return value[path]
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def in_one_line(error: BaseException) -> str:
    """An error's message without its line breaks."""
    return " ".join(str(error).split()) or type(error).__name__
