"""JSON and YAML that strangers may have written: every fault is a ValueError in a few words.

The standard parsers answer to some texts with errors of other kinds (a date that is none, a thousand brackets), or
with a structure that is small in memory and endless when it is printed (aliases of aliases).
"""

from __future__ import annotations

import functools
import json
import re
from typing import Any

NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
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

    Whole numbers are those that one writes so in JSON: 010 and 12:30 stay the words that they look like, which YAML 1.1
    reads as 8 and 750.

    Raises:
        ParseError: it is none, nested too deeply, or more than MOST_NODES large.
    """
    import yaml

    try:
        value = yaml.load(text, Loader=loader())
    except RecursionError as error:
        raise ParseError("nested too deeply") from error
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, OverflowError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}: " if mark else ""
        raise ParseError(place + str(getattr(error, "problem", None) or in_one_line(error))) from error
    check_size(value)
    return value


@functools.cache
def loader() -> type:
    """PyYAML's safe loader, for which only decimal numbers are numbers."""
    import yaml

    class DecimalLoader(yaml.SafeLoader):
        yaml_implicit_resolvers = {
            first: [(tag, pattern) for tag, pattern in resolvers if tag not in NUMBERS]
            for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    DecimalLoader.add_implicit_resolver(NUMBERS[0], re.compile(r"[-+]?(?:0|[1-9][0-9_]*)$"), list("-+0123456789"))
    digits, exponent = r"[0-9][0-9_]*", r"(?:[eE][-+]?[0-9]+)?"
    point = rf"[-+]?(?:{digits}\.[0-9_]*|\.{digits}){exponent}"
    special = r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
    DecimalLoader.add_implicit_resolver(NUMBERS[1], re.compile(f"(?:{point}|{special})$"), list("-+0123456789."))
    return DecimalLoader


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
