"""Sentences with a tag for each token: lines of token and tag, lists, joined tokens, spans of entities."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from electra_paddle.finetuning.formats.lines import numbered_lines
from electra_paddle.finetuning.formats.records import TABLES, objects
from electra_paddle.finetuning.formats.rows import table_rows
from electra_paddle.parsing import look_up

if TYPE_CHECKING:
    from electra_paddle.finetuning.description import TaskDescription
    from electra_paddle.finetuning.problems import Problems

Sentence = tuple[str, list[str], list[str] | None]  # file and line, tokens, tags


def read_sentences(
    path: str | Path, layout: TaskDescription, needs_tags: bool, problems: Problems
) -> Iterator[Sentence]:
    """Yield (file and line, tokens, tags) of each sentence of a file; tags are None in a file without them.

    In the format bio a line is a token and its tag, and a blank line ends a sentence. In spans, objects have a text and
    its entities (CLUENER's layout). In tables the columns `token` and `tag` hold tokens and tags with the task's
    `token_separator` between them, in objects two lists. Of a sentence with a bad line nothing is used.
    """
    if layout.format == "bio":
        read = read_bio
    elif layout.format == "spans":
        read = read_spans
    else:
        read = read_joined if layout.format in TABLES else read_token_lists
    has_tags = None
    for where, tokens, tags in read(path, layout, problems):
        if has_tags is None:
            has_tags = needs_tags or tags is not None
        if has_tags and (tags is None or len(tags) != len(tokens)):
            problems.add(where, f"{len(tags or ())} tags for {len(tokens)} tokens", "a tag for each token")
        elif not tokens:
            problems.add(where, "no tokens", "at least one")
        else:
            yield where, tokens, tags if has_tags else None


def read_bio(path: str | Path, layout: TaskDescription, problems: Problems) -> Iterator[Sentence]:
    """(file and line, tokens, tags) of paragraphs of lines."""
    token_column, tag_column = (int(layout.token_columns[name]) for name in ("token", "tag"))
    first = ""
    tokens: list[str] = []
    tags: list[str] = []
    is_bad, last = False, 0
    lines = with_end(numbered_lines(path, problems, layout.encoding))
    if layout.header is True:
        last, _ = next(lines)
    for number, line in lines:
        is_bad |= number > last + 1  # a line between was no text
        last = number
        cells = bio_cells(line)
        if cells == [""]:
            if tokens and not is_bad:
                yield first, tokens, tags or None
            first, tokens, tags, is_bad = "", [], [], False
            continue
        where = f"{path}:{number}"
        first = first or where
        lacks_tag = len(cells) <= tag_column
        if len(cells) <= token_column or (tokens and lacks_tag == bool(tags)):
            problems.add(where, f"{len(cells)} columns", f"{max(token_column, tag_column) + 1}, a token and its tag")
            is_bad = True
            continue
        tokens.append(cells[token_column])
        if not lacks_tag:
            tags.append(cells[tag_column])


def with_end(lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """The lines, and a blank one behind them, which ends the last sentence."""
    number = 0
    for number, line in lines:
        yield number, line
    yield number + 1, ""


def bio_cells(line: str) -> list[str]:
    """The cells of a line; [""] for a blank one. A space is a token like any other before a tab or another space."""
    if "\t" not in line or not line.strip(" \t"):
        cells = re.split(" +", line.strip(" \t"))
        return [" ", *cells] if len(cells) == 1 and line.startswith("  ") and cells != [""] else cells
    return [cell.strip(" ") or " " for cell in line.split("\t") if cell]


def read_token_lists(path: str | Path, layout: TaskDescription, problems: Problems) -> Iterator[Sentence]:
    """(file and line, tokens, tags) of objects with two lists; a text stands for the list of its characters."""
    for where, value in objects(path, layout, problems):
        tokens, tags = (look_up(value, str(layout.token_columns[name])) for name in ("token", "tag"))
        tokens = list(tokens) if isinstance(tokens, str) else tokens
        bad = "token" if not are_texts(tokens) else "tag" if not (tags is None or are_texts(tags)) else None
        if bad:
            found = f"no list of texts under {layout.token_columns[bad]!r}"
            problems.add(where, found, "lists of tokens and of tags, which are texts")
            continue
        yield where, tokens, tags


def are_texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def read_joined(path: str | Path, layout: TaskDescription, problems: Problems) -> Iterator[Sentence]:
    """(file and line, tokens, tags) of a table's cells with separators between tokens, as PaddleHub's data has them."""
    columns = {"text_a": layout.token_columns["token"], "label": layout.token_columns["tag"]}
    separator = str(layout.token_separator)
    for row in table_rows(path, layout.of_columns(columns), False, problems):
        tags = row.cells["label"].split(separator) if row.cells.get("label") else None
        yield row.where, row.cells["text_a"].split(separator), tags


def read_spans(path: str | Path, layout: TaskDescription, problems: Problems) -> Iterator[Sentence]:
    """(file and line, characters, tags) of objects with a text and entities.

    Entities are {class: {entity: [[first character, last character], ...]}}, as in CLUENER 2020.
    """
    for where, value in objects(path, layout, problems):
        text, entities = (look_up(value, str(layout.token_columns[name])) for name in ("token", "tag"))
        if not isinstance(text, str):
            problems.add(where, f"no text under {layout.token_columns['token']!r}", "a text")
            continue
        tags = None if entities is None else tags_of(text, entities, where, problems)
        if entities is None or tags is not None:
            yield where, list(text), tags


def tags_of(text: str, entities: Any, where: str, problems: Problems) -> list[str] | None:
    """The tags of a text's characters, O, B-CLASS and I-CLASS; None for entities that cannot be used."""
    tags = ["O"] * len(text)
    for name, first, last in spans_of(entities):
        is_whole = isinstance(first, int) and isinstance(last, int) and 0 <= first <= last < len(text)
        if not is_whole:
            problems.add(where, f"{name} from {first!r} to {last!r}", f"characters of a text of {len(text)}")
            return None
        if any(tag != "O" for tag in tags[first : last + 1]):
            problems.add(where, f"{name} from {first} to {last} over another entity", "entities side by side")
            return None
        tags[first : last + 1] = [f"B-{name}", *[f"I-{name}"] * (last - first)]
    return tags


def spans_of(entities: Any) -> Iterator[tuple[str, Any, Any]]:
    """(class, first character, last character) of CLUENER's entities; odd values come out as they are."""
    if not isinstance(entities, dict):
        yield "entities", entities, None
        return
    for name, mentions in entities.items():
        for spans in mentions.values() if isinstance(mentions, dict) else [[mentions]]:
            for span in spans if isinstance(spans, list) else [spans]:
                yield name, *(span if isinstance(span, list) and len(span) == 2 else (span, None))
