"""The items of `hub run`: a line of a file or of standard input each."""

from __future__ import annotations

import codecs
import contextlib
import itertools
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from electra_paddle.errors import ConfigError, DataError, reason
from electra_paddle.hub.inputs import read_label_map
from electra_paddle.parsing import parse_json

if TYPE_CHECKING:
    from electra_paddle.hub.tasks.base import Task

STDIN = "-"
COLUMNS = "\t"  # stands between the texts of a line


class Item(NamedTuple):
    """The texts of an item, and where they stand."""

    where: str
    texts: list[str]


def read_items(path: str, separator: str | None = COLUMNS) -> Iterator[Item]:
    """The lines of a file in UTF-8, with or without a byte order mark, as they are read.

    Args:
        path: the file; - for standard input.
        separator: what stands between the texts of a line; None where a line is one text.

    Raises:
        DataError: it cannot be read, holds nothing, or a line is empty or no UTF-8.
    """
    where = "standard input" if path == STDIN else path
    number = 0
    try:
        with contextlib.nullcontext(sys.stdin.buffer) if path == STDIN else open(path, "rb") as stream:
            for number, line in enumerate(stream, 1):
                text = decode(line.removeprefix(codecs.BOM_UTF8) if number == 1 else line, f"{where}:{number}")
                yield Item(f"{where}:{number}", text.split(separator) if separator else [text])
    except OSError as error:
        raise DataError(where, reason(error), "a text file, one item a line") from error
    if not number:
        raise DataError(where, "an empty file", "one item a line")


def decode(line: bytes, where: str) -> str:
    """The text of a line without its end."""
    try:
        text = line.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise DataError(where, f"invalid UTF-8 at byte {error.start + 1} of the line", "UTF-8 text") from error
    if not text.strip():
        raise DataError(where, "an empty line", "one item a line")
    return text


def checked(items: Iterable[Item], task: Task) -> Iterator[Item]:
    """Items, each of as many texts as a task takes, and all of as many as the first; odd ones are told on stderr.

    Raises:
        DataError: names the first that is not so.
    """
    names, first, is_noted = task.text_names, 0, False
    expected = " or ".join(f"{number}: {' and '.join(names[:number])}" for number in task.num_texts)
    for item in items:
        found = f"{len(item.texts)} {'text' if len(item.texts) == 1 else 'texts'}"
        if len(item.texts) not in task.num_texts:
            raise DataError(item.where, found, expected, "a tab stands between the texts of a line")
        if first and len(item.texts) != first:
            raise DataError(item.where, found, f"{first}, as in the first item")
        for name, text in zip(names, item.texts, strict=False):
            if not text.strip():
                raise DataError(item.where, f"an empty {name}", "texts with at least one character")
        if not is_noted and (note := task.note_on(item.texts)):
            is_noted = True
            print(f"WARNING: {item.where}: {note}", file=sys.stderr)
        first = len(item.texts)
        yield item


def in_chunks(items: Iterable[Item], least: int, most: int) -> Iterator[list[Item]]:
    """Lists of items: a short one first, so that its answers come soon, then longer ones, which are faster."""
    remaining, size = iter(items), least
    while chunk := list(itertools.islice(remaining, size)):
        yield chunk
        size = min(2 * size, most)


def given_label_map(text: str, option: str) -> dict[int, Any]:
    """class id -> label, as an option gives it.

    Args:
        text: JSON, an object {"0": label, ...} or a list of labels; or the name of a file that holds it.

    Raises:
        ConfigError: it is something else.
    """
    is_json = text.lstrip().startswith(("{", "["))
    try:
        labels = parse_json(text if is_json else Path(text).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        expected = 'JSON such as {"0": "negative", "1": "positive"}, or a file of it'
        raise ConfigError(option, f"{text} ({reason(error)})", expected) from error
    return read_label_map(dict(enumerate(labels)) if isinstance(labels, list) else labels)
