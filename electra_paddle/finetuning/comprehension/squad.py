"""Questions about texts from files laid out as SQuAD 1.1: CMRC 2018, DRCD and the like.

CMRC 2018's other release, a list of `context_text` with `query_text`, is read as well; it has no answer offsets. So is
the layout of Hugging Face's data sets, an object a question: `id`, `context`, `question`, and `answers` with the lists
`text` and `answer_start`; as an array, one object a line (`format: jsonl`) or Parquet. In tables the answer is a text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from electra_paddle.data.recognition import SAMPLE_BYTES
from electra_paddle.errors import DataError
from electra_paddle.finetuning.formats.lines import UTF8, in_another_encoding, wrong_encoding
from electra_paddle.finetuning.formats.records import read_records
from electra_paddle.models.answers import NO, YES
from electra_paddle.parsing import look_up

if TYPE_CHECKING:
    from electra_paddle.finetuning.description import TaskDescription
    from electra_paddle.finetuning.problems import Problems

NOWHERE = -1
FLAT = ("id", "context", "question", "answers")  # of an object that holds a question and its context
Required = TypeVar("Required")


class Question(NamedTuple):
    """A question about a context, with what each annotator answered; unlabelled ones have no answers."""

    id: str
    where: str  # file and id
    text: str
    context: str
    answers: tuple[str, ...] = ()
    answer_starts: tuple[int, ...] = ()  # positions in the context as annotated, or NOWHERE
    has_places: bool = True  # whether the file says where the answers stand
    answer_type: str | None = None  # one of ANSWER_TYPES, where the questions are labelled

    @property
    def is_span(self) -> bool:
        """Whether its answer is a passage, as all are where nothing else is said."""
        return self.answer_type in (None, "span")

    @property
    def own_type(self) -> str:
        """What its answers are: none, yes or no as CJRC writes them, at no place, or a passage."""
        if not any(answer.strip() for answer in self.answers):
            return "none"
        is_placed = self.has_places and max(self.answer_starts) >= 0
        return {YES: "yes", NO: "no"}.get(self.answers[0].upper(), "span") if not is_placed else "span"


class Unusable(Exception):
    """Part of a file that cannot be used: where, found, expected."""


def read_questions(path: str | Path, problems: Problems, layout: TaskDescription | None = None) -> list[Question]:
    """The Questions of a file, in its order.

    Args:
        problems: Problems, told of what cannot be used and is left out.
        layout: the description of the file's split; default: as SQuAD.

    Raises:
        DataError: no such file, not UTF-8, not JSON, or no questions.
    """
    questions: dict[str, Question] = {}
    for place, context, entry in entries(path, problems, layout):
        try:
            question = read_question(path, place, context, entry)
        except Unusable as error:
            problems.add(*error.args)
            continue
        if question.id in questions:
            problems.add(question.where, "this id again", "an id of its own")
        else:
            questions[question.id] = question
    if not questions:
        raise DataError(path, "no questions", "at least one", " ".join(map(str, problems.errors[:1])))
    return list(questions.values())


def entries(path: str | Path, problems: Problems, layout: TaskDescription | None) -> Iterator[tuple[str, str, Any]]:
    """Yield (place in the file, context, entry) of each question."""
    if layout is not None and layout.format != "squad":
        yield from flat_entries(read_records(path, layout, problems), layout, problems)
        return
    data = read_json(path, layout.encoding if layout else UTF8)
    if isinstance(data, list) and data and isinstance(data[0], dict) and "question" in data[0]:
        values = ((f"{path}: [{number}]", value) for number, value in enumerate(data))
        yield from flat_entries(values, layout, problems)
        return
    yield from nested_entries(path, data, problems, layout)


def nested_entries(
    path: str | Path, data: Any, problems: Problems, layout: TaskDescription | None = None
) -> Iterator[tuple[str, str, Any]]:
    """Entries of paragraphs with their questions, under SQuAD's names or those that the layout gives them."""
    names = columns_of(layout)
    for place, paragraph in paragraphs(path, data):
        try:
            context, found = read_paragraph(place, paragraph, names["context"])
            found = [renamed(entry, names) for entry in found]
        except Unusable as error:
            problems.add(*error.args)
            continue
        yield from ((f"{place}.qas[{number}]", context, entry) for number, entry in enumerate(found))


def flat_entries(
    values: Iterable[tuple[str, Any]], layout: TaskDescription | None, problems: Problems
) -> Iterator[tuple[str, str, Any]]:
    """Entries of objects that hold a question and its context each, under the names that the layout gives them."""
    columns = columns_of(layout)
    for place, value in values:
        try:
            if not isinstance(value, dict):
                raise Unusable(place, f"a {type(value).__name__}", f"an object with {columns['question']!r}")
            context = require(place, value, columns["context"], str)
            entry = {name: look_up(value, columns[name]) for name in FLAT}
            entry = {name: part for name, part in entry.items() if part is not None}
            entry.setdefault("id", place.rpartition("/")[2])
            answers = entry.get("answers")
            if isinstance(answers, dict):
                entry["answers"] = paired(place, answers)
            elif isinstance(answers, str):  # of a table's cell
                entry["answers"] = [{"text": answers}]
        except Unusable as error:
            problems.add(*error.args)
            continue
        yield place, context, entry


def columns_of(layout: TaskDescription | None) -> dict[str, str]:
    """SQuAD's name of a part of a question -> its name in files of the layout."""
    return {name: str((layout.columns if layout else {}).get(name, name)) for name in FLAT}


def renamed(entry: Any, names: Mapping[str, str]) -> Any:
    """An entry with SQuAD's names for the parts that the layout calls otherwise."""
    if not isinstance(entry, dict):
        return entry
    others = {name: entry[key] for name, key in names.items() if key != name and key in entry}
    return {**entry, **others}


def paired(place: str, answers: dict[str, Any]) -> list[dict[str, Any]]:
    """The answers of Hugging Face's two lists as SQuAD has them."""
    texts = require(place, answers, "text", list)
    starts = answers.get("answer_start")
    if starts is None:
        return [{"text": text} for text in texts]
    if not isinstance(starts, list) or len(starts) != len(texts):
        raise Unusable(place, f"{len(texts)} answers and other places", "as many numbers in answer_start as texts")
    return [{"text": text, "answer_start": start} for text, start in zip(texts, starts, strict=True)]


def read_json(path: str | Path, encoding: str = UTF8) -> Any:
    """The contents of a JSON file, with or without a byte order mark.

    Raises:
        DataError: names the file, and the line of what is no JSON.
    """
    try:
        content = Path(path).read_bytes()
        return json.loads(content.decode(encoding).removeprefix("\ufeff"))
    except OSError as error:
        raise DataError(path, (error.strerror or str(error)).lower(), "a JSON file") from error
    except UnicodeDecodeError as error:
        likely = in_another_encoding(path, content[:SAMPLE_BYTES]) if encoding == UTF8 else None
        raise likely or wrong_encoding(path, encoding, error) from error
    except json.JSONDecodeError as error:
        advice = "an object a line is `format: jsonl`" if error.msg == "Extra data" else ""
        raise DataError(f"{path}:{error.lineno}", f"broken JSON ({error.msg})", "a JSON file", advice) from error
    except RecursionError as error:
        raise DataError(path, "JSON nested too deeply", "a JSON file") from error


def paragraphs(path: str | Path, data: Any) -> Iterator[tuple[str, Any]]:
    """Yield (place in the file, paragraph).

    Raises:
        DataError: the file is laid out in another way.
    """
    try:
        if isinstance(data, list):  # CMRC 2018's other release
            yield from ((f"{path}: [{number}]", paragraph) for number, paragraph in enumerate(data))
            return
        for number, article in enumerate(require(str(path), data, "data", list)):
            place = f"{path}: data[{number}]"
            for inner, paragraph in enumerate(require(place, article, "paragraphs", list)):
                yield f"{place}.paragraphs[{inner}]", paragraph
    except Unusable as error:
        raise DataError(*error.args) from None


def read_paragraph(place: str, paragraph: Any, key: str) -> tuple[str, list[Any]]:
    """(context, list of its questions as they stand in the file); CMRC 2018's other release has a key of its own."""
    key = "context_text" if isinstance(paragraph, dict) and "context_text" in paragraph else key
    context = require(place, paragraph, key, str)
    return context, require(place, paragraph, "qas", list)


def read_question(path: str | Path, place: str, context: str, entry: Any) -> Question:
    """The Question that one entry stands for."""
    is_squad = not (isinstance(entry, dict) and "query_text" in entry)
    key = "id" if is_squad else "query_id"
    is_number = isinstance(entry, dict) and type(entry.get(key)) is int
    name = str(entry[key]) if is_number else require(place, entry, key, str).strip()
    where = f"{path}: question {name}"
    text = require(where, entry, "question" if is_squad else "query_text", str)
    answers = entry.get("answers") or []
    if isinstance(answers, dict):
        answers = paired(where, answers)
    if not isinstance(answers, list):
        raise Unusable(where, f"answers that are a {type(answers).__name__}", "a list of answers")
    if not is_squad:
        answers = [{"text": answer} for answer in answers]
    texts = tuple(require(where, answer, "text", str) for answer in answers)
    if not any(text.strip() for text in texts):  # CJRC writes one empty answer where there is none
        answers, texts = [], ()
    elif is_true(entry.get("is_impossible")):
        raise Unusable(where, f"is_impossible, and the answer {texts[0]!r}", "one of both")
    starts = tuple(answer.get("answer_start", context.find(answer["text"])) for answer in answers)
    if not all(type(start) is int for start in starts):
        raise Unusable(where, f"answer_start {', '.join(map(repr, starts))}", "a whole number")
    has_places = not answers or all("answer_start" in answer for answer in answers)
    return Question(name, where, text, context, texts, starts, has_places)


def is_true(value: Any) -> bool:
    """Whether a file says yes: as JSON does, or as CJRC does."""
    return value is True or (isinstance(value, str) and value.lower() == "true")


def require(where: str, mapping: Any, key: str, kind: type[Required]) -> Required:
    """mapping[key], which must be of the kind."""
    if not isinstance(mapping, dict):
        raise Unusable(where, f"a {type(mapping).__name__}", f"an object with {key!r}")
    if key not in mapping:
        raise Unusable(where, f"no {key!r} among {', '.join(map(repr, mapping)) or 'no keys'}", f"{key!r}")
    if not isinstance(mapping[key], kind):
        raise Unusable(where, f"{key!r} that is a {type(mapping[key]).__name__}", f"a {kind.__name__}")
    return mapping[key]


def answer_span(question: Question) -> tuple[int, int] | None:
    """(first character, character after the last) of the first answer that stands in the context, or None.

    An answer that does not stand where it is annotated is looked for; the nearest occurrence is taken.
    """
    for answer, annotated in zip(question.answers, question.answer_starts, strict=True):
        start = nearest(question.context, answer, annotated) if answer.strip() else NOWHERE
        if start != NOWHERE:
            return start, start + len(answer)
    return None


def nearest(text: str, part: str, position: int) -> int:
    """Start of the occurrence of `part` nearest to a position, or NOWHERE."""
    position = max(position, 0)
    after = text.find(part, position)
    before = text.rfind(part, 0, position + len(part))
    if NOWHERE in (before, after):
        return max(before, after)
    return before if position - before <= after - position else after
