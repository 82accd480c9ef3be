"""Files of the formats that tasks come in, as rows; each knows its file and line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from electra_paddle.errors import DataError, reason
from electra_paddle.parsing import look_up, parse_json

if TYPE_CHECKING:
    from electra_paddle.finetuning.description import TaskDescription
    from electra_paddle.finetuning.problems import Problems


Sentence = tuple[str, list[str], list[str] | None]  # file and line, tokens, tags


class Row(NamedTuple):
    """One row of a file."""

    where: str  # file and line, for messages
    cells: dict[str, str]  # column -> text; without "label" in an unlabelled file


def read_rows(path: str | Path, layout: TaskDescription, needs_label: bool, problems: Problems) -> Iterator[Row]:
    """Yield the Rows of a file.

    Args:
        layout: a TaskDescription, of the file's split.
        needs_label: whether a file without labels is refused.
        problems: Problems.
    """
    if layout.format == "tsv":
        return read_tsv(path, layout, needs_label, problems)
    return read_objects(path, layout, needs_label, problems)


def read_bytes(path: str | Path) -> bytes:
    """The bytes of a file, without a byte order mark."""
    try:
        return Path(path).read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise DataError(path, reason(error), "a file of this task") from error


def read_lines(path: str | Path, problems: Problems) -> Iterator[tuple[str, str]]:
    """Yield (file and line, text) of the lines of a file that are not blank."""
    for number, line in enumerate(read_bytes(path).split(b"\n"), 1):
        where = f"{path}:{number}"
        try:
            text = line.decode("utf-8").removesuffix("\r")
        except UnicodeDecodeError as error:
            problems.add(where, f"invalid UTF-8 at byte {error.start} of the line", "UTF-8 text")
            continue
        if text.strip():
            yield where, text


def read_tsv(path: str | Path, layout: TaskDescription, needs_label: bool, problems: Problems) -> Iterator[Row]:
    """Rows of a file with tabs between cells, as many in each line as in the first; quotes have no meaning there."""
    columns = None
    for where, line in read_lines(path, problems):
        cells = line.split("\t")
        if columns is None:
            has_header = is_header(cells, layout) if layout.header == "auto" else layout.header
            columns = find_columns(cells, layout, has_header, needs_label, where)
            width = max(len(cells), 1 + max(columns.values()))
            if has_header:
                continue
        if len(cells) != width:
            problems.add(where, f"{len(cells)} columns", f"{width}, tab-separated")
            continue
        yield Row(where, {name: cells[number] for name, number in columns.items()})


def is_header(cells: Sequence[str], layout: TaskDescription) -> bool:
    """Whether a first line names the columns: plain identifiers all of them, and no known label."""
    if not all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", cell.strip()) for cell in cells):
        return False
    known = {*(layout.labels or ()), *layout.aliases}
    return not known.intersection(cells)


def find_columns(
    cells: Sequence[str], layout: TaskDescription, has_header: bool | str, needs_label: bool, where: str
) -> dict[str, int]:
    """Name -> number of each column of a file; the label may be missing where none is needed."""
    named = [name for name in layout.columns.values() if isinstance(name, str)]
    if named and not has_header:
        raise DataError(where, "no header", f"columns {', '.join(named)}")
    columns = {}
    for name, column in layout.columns.items():
        if isinstance(column, int):
            columns[name] = column
        elif column in cells:
            columns[name] = cells.index(column)
        elif name != "label" or needs_label:
            raise DataError(where, f"columns {', '.join(cells)}", f"a column {column!r}")
    label = columns.get("label")
    if label is not None and not needs_label and len(cells) == max(columns.values()):
        columns.pop("label")
        columns = {name: number - (number > label) for name, number in columns.items()}
    return columns


def read_objects(path: str | Path, layout: TaskDescription, needs_label: bool, problems: Problems) -> Iterator[Row]:
    """Rows of JSON objects: an array of them, or one a line."""
    is_first, has_label = True, True
    for where, value in objects(path, problems):
        if not isinstance(value, dict):
            problems.add(where, type(value).__name__, "a JSON object")
            continue
        cells = {name: look_up(value, str(key)) for name, key in layout.columns.items()}
        if is_first:
            is_first, has_label = False, needs_label or cells.get("label") is not None
        if not has_label:
            cells.pop("label", None)
        lacking = [layout.columns[name] for name, cell in cells.items() if cell is None]
        if lacking:
            problems.add(where, f"no {lacking[0]!r}", f"an object with {', '.join(map(str, layout.columns.values()))}")
            continue
        if isinstance(cells.get("label"), list):
            if len(cells["label"]) != 1:
                problems.add(where, f"{len(cells['label'])} labels", "one label")
                continue
            (cells["label"],) = cells["label"]
        yield Row(where, {name: cell if isinstance(cell, str) else str(cell) for name, cell in cells.items()})


def objects(path: str | Path, problems: Problems) -> Iterator[tuple[str, Any]]:
    """Yield (where, value) of a JSON array, or of the lines of a file."""
    content = read_bytes(path)
    if content.lstrip()[:1] == b"[":
        try:
            values = parse_json(content)
        except ValueError as error:
            raise DataError(path, f"no valid JSON ({error})", "a JSON array, or one JSON object a line") from error
        yield from ((f"{path}[{number}]", value) for number, value in enumerate(values))
        return
    for where, line in read_lines(path, problems):
        try:
            value = parse_json(line)
        except ValueError as error:
            problems.add(where, f"no valid JSON ({error})", "one JSON object a line")
            continue
        yield where, value


def read_sentences(
    path: str | Path, layout: TaskDescription, needs_tags: bool, problems: Problems
) -> Iterator[Sentence]:
    """Yield (file and line, tokens, tags) of each sentence of a file; tags are None in a file without them.

    In the format bio a line is a token and its tag, and a blank line ends a sentence; in JSON the columns `token` and
    `tag` name two lists. Of a sentence with a bad line nothing is used.
    """
    read = read_bio if layout.format == "bio" else read_token_lists
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
    token_column, tag_column = (int(layout.columns[name]) for name in ("token", "tag"))
    first, is_bad = "", False
    tokens: list[str] = []
    tags: list[str] = []
    for number, line in enumerate([*read_bytes(path).split(b"\n"), b""], 1):
        where = f"{path}:{number}"
        try:
            cells = bio_cells(line.decode("utf-8"))
        except UnicodeDecodeError as error:
            problems.add(where, f"invalid UTF-8 at byte {error.start} of the line", "UTF-8 text")
            is_bad = True
            continue
        if cells == [""]:
            if tokens and not is_bad:
                yield first, tokens, tags or None
            first, tokens, tags, is_bad = "", [], [], False
            continue
        first = first or where
        lacks_tag = len(cells) <= tag_column
        if len(cells) <= token_column or (tokens and lacks_tag == bool(tags)):
            problems.add(where, f"{len(cells)} columns", f"{max(token_column, tag_column) + 1}, a token and its tag")
            is_bad = True
            continue
        tokens.append(cells[token_column])
        if not lacks_tag:
            tags.append(cells[tag_column])


def bio_cells(line: str) -> list[str]:
    """The cells of a line; [""] for a blank one. Between tabs a space is a token like any other."""
    text = line.removesuffix("\r")
    if "\t" not in text or not text.strip(" \t"):
        return re.split(" +", text.strip(" \t"))
    return [cell.strip(" ") or " " for cell in text.split("\t") if cell]


def read_token_lists(path: str | Path, layout: TaskDescription, problems: Problems) -> Iterator[Sentence]:
    """(file and line, tokens, tags) of JSON objects."""
    for where, value in objects(path, problems):
        tokens, tags = (look_up(value, str(layout.columns[name])) for name in ("token", "tag"))
        if not isinstance(tokens, list) or not isinstance(tags, (list, type(None))):
            problems.add(where, f"no list under {layout.columns['token']!r}", "lists of tokens and of tags")
            continue
        yield where, tokens, tags
