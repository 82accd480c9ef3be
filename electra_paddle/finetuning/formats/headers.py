"""Whether a table's first line names its columns, and which column is which."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from electra_paddle.errors import DataError

if TYPE_CHECKING:
    from electra_paddle.finetuning.description import TaskDescription
    from electra_paddle.finetuning.problems import Problems

WORDS = {  # column of a task -> words by which headers call it
    "id": ("id", "qid", "guid", "idx", "index", "编号", "序号"),
    "label": ("label", "labels", "class", "category", "标签", "类别", "分类", "类型", "情感", "情感倾向"),
    "text_a": (
        "text_a", "text", "sentence", "sentence1", "review", "content", "premise", "query", "文本", "评论", "内容",
        "句子", "标题", "正文", "句子1", "文本1", "文本a",
    ),
    "text_b": ("text_b", "sentence2", "hypothesis", "hypo", "句子2", "文本2", "文本b"),
}  # fmt: skip
OTHER_WORDS = {  # columns of tasks that are no classes of texts
    "context": ("context", "passage", "paragraph", "document", "原文", "段落", "上下文", "文章"),
    "question": ("question", "query", "问题", "提问"),
    "answers": ("answers", "answer", "答案"),
    "choices": ("choices", "options", "choice", "candidates", "选项", "候选"),
    "token": ("tokens", "words", "token"),
    "tag": ("tags", "ner_tags", "labels", "tag"),
}
ROLES = {word: column for column, words in WORDS.items() for word in words}
HEADER_WORDS = frozenset(word for words in (*WORDS.values(), *OTHER_WORDS.values()) for word in words)


def looks_like_header(cells: Sequence[str], layout: TaskDescription) -> bool:
    """Whether a first line names the columns.

    It does if it has those that the description names; else if all cells are plain identifiers or words of headers, and
    none is a known label.
    """
    wanted = [column for name, column in layout.columns.items() if isinstance(column, str) and name != "label"]
    if wanted and {*wanted} <= {*cells}:
        return True
    names = [cell.strip() for cell in cells]
    if not all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or name.lower() in HEADER_WORDS for name in names):
        return False
    return not {*(layout.labels or ()), *layout.aliases}.intersection(cells)


def find_columns(
    cells: Sequence[str],
    layout: TaskDescription,
    has_header: bool,
    needs_label: bool,
    where: str,
    problems: Problems,
) -> dict[str, int]:
    """Column of the task -> its number in a table; the label may be missing where none is needed.

    Args:
        cells: of the first line.

    Raises:
        DataError: a name that the file lacks, or numbers that its header contradicts.
    """
    named = [name for name in layout.columns.values() if isinstance(name, str)]
    if named and not has_header:
        advice = "`delimiter`, `encoding` and `header` in the task's description say how the file is written"
        raise DataError(where, f"columns {', '.join(cells)}", f"a header with {', '.join(named)}", advice)
    columns = {}
    for name, column in layout.columns.items():
        if isinstance(column, int):
            columns[name] = column
        elif cells.count(column) > 1:
            raise DataError(where, f"two columns {column!r}", "each name once in the header")
        elif column in cells:
            columns[name] = cells.index(column)
        elif name != "label" or needs_label:
            raise DataError(where, f"columns {', '.join(cells)}", f"a column {column!r}")
    if has_header and not named:
        columns = told_by_header(cells, columns, needs_label, where, problems)
    label = columns.get("label")
    if label is not None and not needs_label and len(cells) == max(columns.values()):
        columns.pop("label")
        columns = {name: number - (number > label) for name, number in columns.items()}
    return columns


def told_by_header(
    cells: Sequence[str], numbers: Mapping[str, int], needs_label: bool, where: str, problems: Problems
) -> dict[str, int]:
    """The numbers of columns, or other ones where the header has all of the columns' own names elsewhere.

    Raises:
        DataError: the header calls a column otherwise than the numbers say.
    """
    wanted = [name for name in numbers if needs_label or name != "label"]
    if all(name in cells for name in wanted):
        told = {name: cells.index(name) for name in numbers if name in cells}
        if any(told.get(name) != number for name, number in numbers.items()):
            found = ", ".join(f"{name} {number}" for name, number in told.items())
            problems.note(f"{where}: columns as the header names them: {found}")
        return told
    for name, number in numbers.items():
        places = [place for place, cell in enumerate(cells) if ROLES.get(cell.strip().lower()) == name]
        if len(places) == 1 and places[0] != number and (needs_label or "label" not in numbers):
            expected = f"{name} there, or {number} as the task's description has it"
            advice = f"write the header's names into it: columns: {{{name}: {cells[places[0]]}, ...}}"
            raise DataError(
                where, f"{name} {number} and a header with {cells[places[0]]!r} as {places[0]}", expected, advice
            )
    return dict(numbers)
