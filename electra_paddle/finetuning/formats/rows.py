"""Rows of a task's columns, whatever the format of their file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from electra_paddle.errors import ConfigError, DataError
from electra_paddle.finetuning.formats.headers import find_columns, looks_like_header
from electra_paddle.finetuning.formats.records import TABLES, objects, table_lines, wrong_width
from electra_paddle.parsing import look_up

if TYPE_CHECKING:
    from electra_paddle.finetuning.description import TaskDescription
    from electra_paddle.finetuning.problems import Problems

TYPES = {bool: "true or false", int: "a number", float: "a number", str: "a text"}  # of labels in JSON
SEVERAL = "`kind: multi_label` takes several; --on-error skip leaves such rows out"


class Row(NamedTuple):
    """One row of a file."""

    where: str  # file and line, for messages
    cells: dict[str, str]  # column -> text; without "label" in an unlabelled file
    labels: list[str] | None = None  # instead of the cell "label" where the task's rows have several


def read_rows(path: str | Path, layout: TaskDescription, needs_label: bool, problems: Problems) -> Iterator[Row]:
    """Yield the Rows of a file; rows of a label that is to be ignored are left out, and counted.

    Args:
        layout: a TaskDescription, of the file's split.
        needs_label: whether a file without labels is refused; else one whose label column is empty has none.
        problems: Problems.

    Raises:
        ConfigError: labels are needed, and the layout has no column of them.
    """
    if needs_label and "label" not in layout.columns:
        raise ConfigError("columns", ", ".join(layout.columns), "label among them, which train and dev need")
    read = table_rows if layout.format in TABLES else object_rows
    has_labels = None
    for row in read(path, layout, needs_label, problems):
        label = row.cells.get("label")
        said = row.labels if row.labels is not None else [label] if label is not None else []
        ignored = [each for each in said if each in layout.ignore_labels]
        if ignored:
            problems.left_out[f"of label {ignored[0]!r} left out"] += 1
            continue
        says = row.labels is not None or bool(label)
        if has_labels is None:
            has_labels = needs_label or says
        if not has_labels:
            if says:
                expected = "none, as in the first row, or one in every row"
                raise DataError(row.where, f"label {row.labels or label!r}", expected)
            row.cells.pop("label", None)
        elif label is not None and not says:
            problems.add(row.where, "an empty label", 'one; `ignore_labels: [""]` leaves such rows out')
            continue
        yield row


def table_rows(path: str | Path, layout: TaskDescription, needs_label: bool, problems: Problems) -> Iterator[Row]:
    """Rows of a table, with as many cells in each line as in the first."""
    columns = None
    for where, cells in table_lines(path, layout, problems):
        if columns is None:
            has_header = looks_like_header(cells, layout) if layout.header == "auto" else bool(layout.header)
            columns = find_columns(cells, layout, has_header, needs_label, where, problems)
            width = max(len(cells), 1 + max(columns.values()))
            if has_header:
                continue
        if len(cells) != width:
            problems.add(where, *wrong_width(len(cells), width, layout))
            continue
        yield row_of(where, {name: cells[number] for name, number in columns.items()}, layout)


def object_rows(path: str | Path, layout: TaskDescription, needs_label: bool, problems: Problems) -> Iterator[Row]:
    """Rows of objects, in which a column is a key; dots lead into objects."""
    is_first, has_label = True, True
    types: dict[str, str] = {}  # of labels -> where the first of this type stands
    for where, value in objects(path, layout, problems):
        if not isinstance(value, dict):
            problems.add(where, type(value).__name__, "a JSON object")
            continue
        cells = {name: look_up(value, str(key)) for name, key in layout.columns.items()}
        if is_first:
            is_first, has_label = False, needs_label or cells.get("label") is not None
        if not has_label and cells.get("label") is None:
            cells.pop("label", None)
        lacking = [layout.columns[name] for name, cell in cells.items() if cell is None]
        if lacking:
            problems.add(where, f"no {lacking[0]!r}", f"an object with {', '.join(map(str, layout.columns.values()))}")
            continue
        if "label" in cells:
            labels = cells["label"] if isinstance(cells["label"], list) else [cells["label"]]
            check_types(labels, where, types)
            if layout.label_separator is None:
                if len(labels) != 1:
                    problems.add(where, f"{len(labels)} labels", "one label", SEVERAL)
                    continue
                (cells["label"],) = labels
        yield row_of(where, cells, layout)


def row_of(where: str, cells: dict[str, Any], layout: TaskDescription) -> Row:
    """The Row of cells as their file has them; several labels are a list, or a text with separators.

    Space around a label is none of it.
    """
    labels = None
    if layout.label_separator is not None and "label" in cells:
        label = cells.pop("label")
        parts = label if isinstance(label, list) else text_of(label).split(layout.label_separator)
        labels = [text for text in (text_of(part).strip() for part in parts) if text]
    texts = {name: text_of(cell) for name, cell in cells.items()}
    return Row(where, {name: text.strip() if name == "label" else text for name, text in texts.items()}, labels)


def check_types(labels: Iterable[Any], where: str, types: dict[str, str]) -> None:
    """Refuse labels of several JSON types in one file: `1` and `"1"` look alike and would be one class, or two."""
    for label in labels:
        kind = TYPES.get(type(label), "another value")
        types.setdefault(kind, where)
        if len(types) > 1:
            other, place = next((other, place) for other, place in types.items() if other != kind)
            raise DataError(where, f"label {label!r}, {kind}", f"{other}, as in {place}", "write all labels alike")


def text_of(value: Any) -> str:
    """A value of JSON as text; 1.0 is 1, as pandas writes whole numbers of a column with gaps."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return value if isinstance(value, str) else str(value)
