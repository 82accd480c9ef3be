"""What a data file seems to hold: its format, the kind of task, and which column is which."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from electra_paddle.data.recognition import SAMPLE_BYTES, is_utf8
from electra_paddle.data.recognition import guess as guess_encoding
from electra_paddle.errors import DataError, reason
from electra_paddle.finetuning.comprehension.squad import Question, read_questions
from electra_paddle.finetuning.description import OWNERS, TaskDescription
from electra_paddle.finetuning.formats import Record, read_records
from electra_paddle.finetuning.formats.headers import OTHER_WORDS, ROLES
from electra_paddle.finetuning.formats.records import TABLES
from electra_paddle.finetuning.labels import no_labels
from electra_paddle.finetuning.problems import Problems
from electra_paddle.text.windows import ANSWER_TYPES, DESCRIBED_TYPES

SUFFIXES = {".csv": "csv", ".tsv": "tsv", ".txt": "tsv", ".json": "json", ".jsonl": "jsonl", ".parquet": "parquet"}
LETTERS = "ABCDEFGHIJ"
LAYOUTS = {"bio": "a token and its tag a line", "spans": "text and spans", "c3": "texts, questions and choices"}
MOST_ROWS = 20_000  # that are looked at
MOST_CLASSES = 250
LONGEST_LABEL = 30  # characters
SEPARATORS = (",", ";", "|", "、", "，", "；", " ")  # that stand between several labels
NUMBER_WORDS = (
    "score",
    "similarity",
    "rating",
    "stars",
    "评分",
    "分数",
    "得分",
    "相似度",
)  # labels that are numbers
JOINED = "\x02"  # between tokens in PaddleHub's data
LONGEST_NAME = 20  # characters of a column's name


@dataclasses.dataclass(frozen=True)
class Guess:
    """A task's description as it seems to be, and why.

    Attributes:
        entries: of the description.
        reasons: entry -> a few words.
        examples: the first rows, column of the task -> value.
    """

    entries: dict[str, Any]
    reasons: dict[str, str]
    examples: list[dict[str, Any]]


def guess_task(path: str | Path, encoding: str | None = None) -> Guess:
    """Look at a data file.

    Args:
        encoding: of the file, if it is known.

    Raises:
        DataError: it cannot be read, or nothing in it looks like a task.
    """
    form, encoding = guess_format(Path(path), encoding)
    entries: dict[str, Any] = {"format": form} | ({"encoding": encoding} if encoding else {})
    reasons = {"encoding": "of all files"} if encoding else {}
    layout = TaskDescription(format=form, encoding=encoding or "utf-8")
    if form == "squad":
        questions = read_questions(path, Problems("skip"), layout)
        more, why = guess_answers(questions)
        reasons = {"kind": "paragraphs with questions", **reasons, **why}
        shown = [
            {"context": each.context, "question": each.text, "answers": " / ".join(each.answers)}
            for each in questions[:3]
        ]
        return Guess({"kind": "reading_comprehension", **entries, **more}, reasons, shown)
    if form in LAYOUTS:
        return Guess({"kind": OWNERS[form], **entries}, {"kind": LAYOUTS[form], **reasons}, [])
    records = list(itertools.islice(read_records(path, layout, Problems("skip")), MOST_ROWS))
    if not records:
        raise DataError(path, f"no row of {form}", "rows of a table, or objects")
    if form in TABLES and has_odd_header(records):
        records = named_by_the_first(records)
    guess = guess_objects(records)
    if guess is None:
        records = [Record(record.where, flattened(record.cells)) for record in records]
        guess = guess_table(records, path)
    columns = guess.entries["columns"]
    if "answers" in columns:
        own = dataclasses.replace(layout, kind="reading_comprehension", columns={**columns})
        more, why = guess_answers(read_questions(path, Problems("skip"), own))
        guess = Guess({**guess.entries, **more}, {**guess.reasons, **why}, guess.examples)
    examples = [{name: record.cells.get(key) for name, key in columns.items()} for record in records[:3]]
    if form in TABLES and all(key.isdigit() for key in columns.values()):
        guess.entries["columns"] = {name: int(key) for name, key in columns.items()}
        guess.entries["header"] = False
    return Guess({**guess.entries, **entries}, {**guess.reasons, **reasons}, examples)


def has_odd_header(records: Sequence[Record]) -> bool:
    """Whether the first row of a table without a known header is one: of short names, and unlike the rows below it.

    It is where the others have numbers and it has none, or where they have a few labels again and again, and it has
    another.
    """
    first, *rest = (record.cells for record in records)
    names = list(first.values())
    is_plain = all(name.strip() and len(name) <= LONGEST_NAME for name in names) and len({*names}) == len(names)
    if not is_plain or not rest or not all(name.isdigit() for name in first):
        return False
    for column, name in first.items():
        values = [cells[column] for cells in rest]
        if name not in values and not is_number(name) and (is_label(values) or all(map(is_number, values))):
            return True
    return False


def named_by_the_first(records: Sequence[Record]) -> list[Record]:
    """The rows of a table under the names that its first row gives."""
    names = list(records[0].cells.values())
    return [Record(record.where, dict(zip(names, record.cells.values(), strict=True))) for record in records[1:]]


def flattened(cells: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """The values of an object and of those in it, whose names have dots."""
    flat: dict[str, Any] = {}
    for name, value in cells.items():
        flat |= flattened(value, f"{before}{name}.") if isinstance(value, dict) and value else {before + name: value}
    return flat


def guess_format(path: Path, encoding: str | None) -> tuple[str, str | None]:
    """(format, encoding or None for UTF-8) of a file."""
    try:
        with path.open("rb") as stream:
            sample = stream.read(SAMPLE_BYTES)
    except OSError as error:
        raise DataError(path, reason(error), "a data file") from error
    if sample[:4] == b"PAR1":
        return "parquet", None
    if encoding is None and not is_utf8(sample, len(sample) < SAMPLE_BYTES):
        encoding = guess_encoding(sample)
        if encoding is None:
            raise DataError(path, "text that is no UTF-8", "UTF-8 text", "give --encoding, gb18030 for instance")
    text = sample.decode(encoding or "utf-8", errors="ignore").removeprefix("\ufeff").lstrip()
    form = SUFFIXES.get(path.suffix.lower(), "tsv")
    if text.startswith(("{", "[")):
        if re.search(r'"(paragraphs|qas)"\s*:', text):
            return "squad", encoding
        if re.match(r"\[\s*\[\s*\[", text) and '"choice"' in text:
            return "c3", encoding
        if re.search(r'"label"\s*:\s*\{\s*("[^"]*"\s*:\s*\{|\})', text):
            return "spans", encoding
        return ("jsonl" if form == "jsonl" or text[0] == "{" else "json"), encoding
    lines = text.split("\n")
    words = [line.split() for line in lines[:200] if line.strip()]
    if form == "tsv" and "" in lines[:-1] and all(len(row) == 2 for row in words):
        return "bio", encoding
    if form == "tsv" and "\t" not in lines[0] and "," in lines[0]:
        form = "csv"
    return form, encoding


def guess_objects(records: Sequence[Record]) -> Guess | None:
    """The guess where columns are called as those of reading comprehension or of choices, or are lists of tags."""
    cells = records[0].cells
    found = {role: next((name for name in cells if name.lower() in words), None) for role, words in OTHER_WORDS.items()}
    if found["context"] and found["question"] and not found["choices"]:
        names = {role: found[role] for role in ("context", "question", "answers") if found[role]}
        if "id" in cells:
            names["id"] = "id"
        return Guess(
            {"kind": "reading_comprehension", "columns": names}, {"kind": "a context and a question a row"}, []
        )
    if guess := guess_choices(cells, found):
        return guess
    token, tag = found["token"], found["tag"]
    if token and tag and isinstance(cells[token], list) and isinstance(cells[tag], list):
        return Guess(
            {"kind": "tagging", "columns": {"token": token, "tag": tag}}, {"kind": "lists of tokens and tags"}, []
        )
    return None


def guess_choices(cells: Mapping[str, Any], found: Mapping[str, str | None]) -> Guess | None:
    """The guess where a column holds choices, or columns A, B, C and so on hold one each."""
    letters = [name for name in cells if name in LETTERS]
    if not found["choices"] and letters[:3] != ["A", "B", "C"]:
        return None
    choices = {f"choice_{number}": name for number, name in enumerate(letters, 1)}
    columns = {"choices": found["choices"]} if found["choices"] else choices
    texts = [name for name in (found["context"], found["question"]) if name]
    texts = texts or [name for name in cells if ROLES.get(name.lower()) == "text_a"]
    right = next((name for name in cells if ROLES.get(name.lower()) == "label" or name == found["answers"]), None)
    if not texts:
        return None
    named = {**dict(zip(("text_a", "text_b"), texts, strict=False)), **columns, **({"label": right} if right else {})}
    return Guess({"kind": "multiple_choice", "columns": named}, {"kind": "choices in each row"}, [])


def guess_table(records: Sequence[Record], path: str | Path) -> Guess:
    """The guess for rows of texts with labels."""
    names = list(records[0].cells)
    values = {name: [record.cells.get(name) for record in records] for name in names}
    columns: dict[str, str] = {}
    reasons: dict[str, str] = {}
    for name in names:
        role = ROLES.get(name.rpartition(".")[2].strip().lower())
        if role and role not in columns and (role != "label" or is_label(values[name], of_name=True)):
            columns[role] = name
            reasons[role] = "by its name"
    free = [name for name in names if name not in columns.values()]
    if "label" not in columns:
        named = [name for name in free if name.strip().lower() in NUMBER_WORDS and is_label(values[name], of_name=True)]
        fitting = named or [name for name in free if is_label(values[name])]
        if fitting:
            columns["label"] = min(fitting, key=lambda name: len(set(map(text_of, values[name]))))
            reasons["label"] = "by its name" if named else "few values, which come again and again"
    texts = [name for name in free if name != columns.get("label") and mean_length(values[name]) >= 2]
    texts = [name for name in texts if isinstance(values[name][0], str) and len(set(values[name])) > len(records) / 4]
    texts.sort(key=lambda name: -mean_length(values[name]))
    if "text_a" not in columns and texts:
        chosen = sorted(texts[:2], key=names.index) if len(texts) > 1 and alike(values, texts) else texts[:1]
        for role, name in zip(("text_a", "text_b"), chosen, strict=False):
            columns[role] = name
            reasons[role] = "the longest texts"
    if "text_a" not in columns:
        raise DataError(path, f"columns {', '.join(names)}, none of which holds texts", "a column of texts")
    order = ("id", "label", "text_a", "text_b")
    columns = {role: columns[role] for role in order if role in columns}
    if "id" in columns and len(set(map(text_of, values[columns["id"]]))) < len(records):
        del columns["id"]  # ids have to be there once each
    entries: dict[str, Any] = {"kind": "classification", "columns": columns}
    if "label" not in columns:
        reasons["kind"] = "no column of labels: such a file can be predicted, not trained on"
        return Guess(entries, reasons, [])
    if all(JOINED in str(values[columns[role]][0]) for role in ("label", "text_a")):
        joined = {"token": columns["text_a"], "tag": columns["label"]}
        entries = {"kind": "tagging", "token_separator": JOINED, "columns": joined}
        return Guess(entries, {"kind": "joined tokens and tags"}, [])
    more, why = guess_labels(values[columns["label"]])
    return Guess({**entries, **more}, {**reasons, "kind": why}, [])


def guess_answers(questions: Sequence[Question]) -> tuple[dict[str, Any], dict[str, str]]:
    """(entries, reasons) of what the answers of questions are, where they are not all passages."""
    counts = Counter(question.own_type for question in questions)
    types = [name for name in ANSWER_TYPES if counts[name]]
    if types in ([], ["span"], ["none"]):
        return {}, {}
    described = list(dict.fromkeys(DESCRIBED_TYPES[name] for name in types))
    return {"answer_types": described}, {"answer_types": ", ".join(f"{name} {counts[name]:,}" for name in types)}


def guess_labels(labels: Sequence[Any]) -> tuple[dict[str, Any], str]:
    """(entries, why) of a column of labels."""
    known = [label for label in labels if label not in (None, "")]
    texts = [text_of(label) for label in known]
    if any(isinstance(label, list) and len(label) != 1 for label in known):
        return {"kind": "multi_label"}, "lists of labels"
    if all(is_number(text) for text in texts) and any("." in text for text in texts) and len(set(texts)) > 2:
        return {"kind": "regression"}, "labels are numbers with decimals"
    for separator in SEPARATORS:
        parts = Counter(part.strip() for text in texts for part in text.split(separator))
        if any(separator in text for text in texts) and len(parts) < len(set(texts)) and "" not in parts:
            more = {} if separator == "," else {"label_separator": separator}
            return {"kind": "multi_label", **more}, f"labels with {separator!r} between them"
    counts = Counter(texts)
    ignored = no_labels(counts)
    classes = sorted(label for label in counts if label not in ignored)
    shown = ", ".join(f"{label} {counts[label]:,}" for label in classes[:8]) + (", ..." if len(classes) > 8 else "")
    return {"ignore_labels": ignored} if ignored else {}, f"{len(classes)} labels: {shown}"


def is_label(values: Sequence[Any], of_name: bool = False) -> bool:
    """Whether a column's values are labels or lists of them: short, and few of them or numbers, but more than one.

    Args:
        of_name: whether the column is called like one, so that it may also be of numbers or of lists.
    """
    texts = [text_of(value) for value in values]
    if of_name and (any(isinstance(value, list) for value in values) or all(map(is_number, filter(None, texts)))):
        return True
    distinct = {text_of(part) for value in values for part in (value if isinstance(value, list) else [value])}
    if len(distinct) < 2:
        return of_name
    return max(map(len, distinct)) <= LONGEST_LABEL and len(distinct) <= min(MOST_CLASSES, max(2, len(texts) / 3))


def alike(values: dict[str, list[Any]], texts: Sequence[str]) -> bool:
    """Whether the two columns with the longest texts are a pair: the shorter one is no mere word beside the other."""
    first, second = (mean_length(values[name]) for name in texts[:2])
    return second >= 4 and second >= first / 8


def mean_length(values: Sequence[Any]) -> float:
    return sum(len(text_of(value)) for value in values) / len(values)


def is_number(text: str) -> bool:
    return re.fullmatch(r"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?", text.strip()) is not None


def text_of(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
