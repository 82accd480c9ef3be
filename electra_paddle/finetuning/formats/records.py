"""Records of files as they stand there: lines of tables, JSON objects, rows of Parquet.

A table's record has its column's names, or numbers from 0 where the file has no header; the values of objects are
those of JSON.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from electra_paddle.errors import DataError, reason
from electra_paddle.finetuning.formats.c3 import c3_questions
from electra_paddle.finetuning.formats.headers import looks_like_header
from electra_paddle.finetuning.formats.lines import numbered_lines, read_lines
from electra_paddle.parsing import parse_json

if TYPE_CHECKING:
    from electra_paddle.finetuning.description import TaskDescription
    from electra_paddle.finetuning.problems import Problems

TABLES = ("tsv", "csv")
DELIMITERS = (",", "\t", ";", "|")  # that are looked for in the first line of a csv
LONGEST_CELL = 10_000_000  # characters
BATCH = 1024  # rows of Parquet that are read at a time


class Record(NamedTuple):
    """One record of a file."""

    where: str  # file and line, for messages
    cells: dict[str, Any]  # column -> value; columns of a table without header are called "0", "1", ...


Cells = tuple[str, list[str]]  # file and line, cells of a table's line


def read_records(path: str | Path, layout: TaskDescription, problems: Problems) -> Iterator[Record]:
    """Yield the Records of a file in the layout's format, whatever columns they have."""
    if layout.format not in TABLES:
        for where, value in objects(path, layout, problems):
            if isinstance(value, dict):
                yield Record(where, value)
            else:
                problems.add(where, type(value).__name__, "a JSON object")
        return
    names: list[str] | None = None
    for where, cells in table_lines(path, layout, problems):
        if names is None:
            has_header = looks_like_header(cells, layout) if layout.header == "auto" else bool(layout.header)
            names = list(cells) if has_header else [str(number) for number in range(len(cells))]
            check_names(names, where)
            if has_header:
                continue
        if len(cells) != len(names):
            problems.add(where, *wrong_width(len(cells), len(names), layout))
        else:
            yield Record(where, dict(zip(names, cells, strict=True)))


def check_names(names: Sequence[str], where: str) -> None:
    """Refuse a header that names two columns alike."""
    twice = [name for number, name in enumerate(names) if name in names[:number]]
    if twice:
        raise DataError(where, f"two columns {twice[0]!r}", "each name once in the header")


def wrong_width(found: int, expected: int, layout: TaskDescription) -> tuple[str, str]:
    """The (found, expected) of a line with another number of cells."""
    what = "tab-separated" if layout.format == "tsv" else f"separated by {layout.delimiter!r}"
    return f"{found} columns", f"{expected}, {what}" if layout.format == "tsv" or layout.delimiter else f"{expected}"


def table_lines(path: str | Path, layout: TaskDescription, problems: Problems) -> Iterator[Cells]:
    """Yield (file and line, cells) of a table's lines that are not blank.

    In tsv quotes have no meaning, as in the published data, where they stand alone; in csv they have what spreadsheets
    and pandas give them: line ends and delimiters stand between two, and "" is one.
    """
    if layout.format == "csv":
        yield from csv_lines(path, layout, problems)
        return
    is_noted = False
    for where, line in read_lines(path, problems, layout.encoding):
        cells = line.split("\t")
        if not is_noted and '"' in line and any(len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in cells):
            problems.note(f"{where}: quotes are read as part of the text; `format: csv` takes them as a spreadsheet's")
            is_noted = True
        yield where, cells


def csv_lines(path: str | Path, layout: TaskDescription, problems: Problems) -> Iterator[Cells]:
    """Lines of a csv, as Python's csv module reads them."""
    if csv.field_size_limit() < LONGEST_CELL:
        csv.field_size_limit(LONGEST_CELL)
    lines = (f"{text}\n" for _, text in numbered_lines(path, problems, layout.encoding))
    first, start = next(lines, ""), 1
    reader = None
    while True:
        try:
            reader = reader or csv.reader(
                chained(first, lines), delimiter=layout.delimiter or sniff(first), strict=True
            )
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(
                f"{path}:{start}", f"broken quotes ({error})", "cells as spreadsheets write them"
            ) from error
        if any(cell.strip() for cell in cells):
            yield f"{path}:{start}", cells
        start = reader.line_num + 1


def chained(first: str, lines: Iterator[str]) -> Iterator[str]:
    """The first line, and the others."""
    yield first
    yield from lines


def sniff(line: str) -> str:
    """The delimiter that cuts a first line into most cells; a comma where none does."""
    return max(DELIMITERS, key=lambda delimiter: len(next(csv.reader([line], delimiter=delimiter), [])))


def objects(path: str | Path, layout: TaskDescription, problems: Problems) -> Iterator[tuple[str, Any]]:
    """Yield (where, value) of a JSON array, of the lines of a file, or of rows of Parquet."""
    if layout.format == "parquet":
        yield from parquet_rows(path)
        return
    lines = read_lines(path, problems, layout.encoding)
    for number, (where, line) in enumerate(lines):
        if number == 0 and line.lstrip().startswith("["):
            yield from array_values(path, "\n".join([line, *(line for _, line in lines)]), layout)
            return
        try:
            value = parse_json(line)
        except ValueError as error:
            problems.add(where, f"no valid JSON ({error})", "one JSON object a line")
            continue
        yield where, value


def array_values(path: str | Path, text: str, layout: TaskDescription) -> Iterator[tuple[str, Any]]:
    """(where, value) of a JSON array."""
    try:
        values = parse_json(text)
    except ValueError as error:
        raise DataError(path, f"no valid JSON ({error})", "a JSON array, or one JSON object a line") from error
    for number, value in enumerate(values):
        where = f"{path}[{number}]"
        yield from c3_questions(where, value) if layout.format == "c3" else [(where, value)]


def parquet_rows(path: str | Path) -> Iterator[tuple[str, Any]]:
    """(where, object) of the rows of a Parquet file; numbers that are none are missing values, as pandas means them."""
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(BATCH):
                for row in batch.to_pylist():
                    yield f"{path}[{number}]", {name: without_nan(value) for name, value in row.items()}
                    number += 1
    except OSError as error:
        raise DataError(path, reason(error), "a Parquet file") from error
    except pyarrow.ArrowException as error:
        raise DataError(path, f"no readable Parquet ({reason(error)})", "a Parquet file") from error


def without_nan(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
