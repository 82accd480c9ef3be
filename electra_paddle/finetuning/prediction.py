"""Files predicted row by row: all columns kept, answers appended, memory flat whatever the file's length."""

from __future__ import annotations

import csv
import itertools
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from electra_paddle.errors import ConfigError, DataError
from electra_paddle.finetuning.comprehension.squad import nested_entries, read_json
from electra_paddle.finetuning.description import CHOICES, TaskDescription
from electra_paddle.finetuning.formats import Record, read_records
from electra_paddle.finetuning.formats.headers import OTHER_WORDS, ROLES, looks_like_header
from electra_paddle.finetuning.guess import guess_format
from electra_paddle.finetuning.problems import Problems

if TYPE_CHECKING:
    from electra_paddle.finetuning.finetuned import Finetuned

POOL = 64  # batches of rows that are sorted by length together
FORMATS = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".json": "json", ".parquet": "parquet", ".txt": "txt"}
WRITTEN = ("csv", "tsv", "jsonl")
DELIMITERS = {"csv": ",", "tsv": "\t"}
WORDS = {  # input of a kind -> further words by which files call it
    "text": ("text_a", "tokens"),
    "context": OTHER_WORDS["context"],
    "question": (*OTHER_WORDS["question"], "query_text"),
    "choices": OTHER_WORDS["choices"],
}


class Wanted(NamedTuple):
    """How much of a prediction is wanted."""

    with_probabilities: bool = False
    top_k: int = 0


def format_of(path: str | Path, asked: str | None, option: str) -> str:
    """The format of a file, by its name unless it is asked for; text, one a line, of standard input.

    Raises:
        ConfigError: the name does not say it.
    """
    if asked:
        return asked
    name = FORMATS.get(Path(path).suffix.lower()) or ("txt" if str(path) == "-" else None)
    if name is None:
        raise ConfigError(
            str(path), f"a name that ends in {Path(path).suffix!r}", " or ".join(FORMATS), f"give {option}"
        )
    return name


def read_input(
    path: str | Path, form: str, encoding: str, problems: Problems, has_header: bool = True
) -> Iterator[Record]:
    """The Records of a file, or of standard input ("-").

    Args:
        has_header: whether the first line of a table names its columns, which are called 0, 1 and so on otherwise.
    """
    place = "/dev/stdin" if str(path) == "-" else path
    layouts = {"txt": "tsv"}
    if form == "json" and str(path) != "-":
        layouts["json"] = of_json = guess_format(Path(path), encoding)[0]
        if of_json == "squad":
            yield from nested_records(path, read_json(path, encoding), problems)
            return
    layout = TaskDescription(format=layouts.get(form, form), header=has_header and form != "txt", encoding=encoding)
    is_first = True
    for record in read_records(place, layout, problems):
        names = list(record.cells)
        if is_first and layout.format in ("csv", "tsv") and len(names) == 1 and not is_header(names, layout):
            problems.note(f"{place}: the first line, {names[0]!r}, is taken as the header; --no-header: as a row")
        is_first = False
        yield Record(record.where, {"text": record.cells["0"]}) if form == "txt" and len(names) == 1 else record


def is_header(names: Sequence[str], layout: TaskDescription) -> bool:
    """Whether the names of columns look as if they were some, or are their numbers."""
    return not layout.header or looks_like_header(names, layout)


def nested_records(path: str | Path, content: Any, problems: Problems) -> Iterator[Record]:
    """A Record for each question of such a file: its entries, and the context."""
    for where, context, question in nested_entries(path, content, problems):
        if isinstance(question, dict):
            yield Record(where, {"context": context, **question})
        else:
            problems.add(where, f"a {type(question).__name__}", "an object with a question")


def find_inputs(
    names: Sequence[str], columns: Sequence[str], asked: Mapping[str, str], trained: Mapping[str, str] | None = None
) -> dict[str, str | list[str]]:
    """Input of the model -> column of the file, or a column for each of its choices.

    Args:
        names: of the model's inputs, such as text_a and text_b.
        columns: of the file.
        asked: those that the user names.
        trained: those of the files that the model was trained on, which count where the file has all of them.

    Raises:
        ConfigError: an input that there is not, a column that the file lacks, or none that is known by its name.
    """
    for name in asked:
        if name not in names:
            raise ConfigError("columns", f"an input {name!r}", " or ".join(names))
    inputs = {**inputs_of(names, trained or {}), **asked}
    if {*inputs} == {*names} and {*flattened(inputs.values())} <= {*columns}:
        return inputs
    found: dict[str, str | list[str]] = {}
    for number, name in enumerate(names):
        words = {name, *WORDS.get(name, ())}
        known = [each for each in columns if each in words or ROLES.get(each.strip().lower()) == ROLES.get(name, name)]
        plain = [str(number)] if [*columns[: len(names)]] == [str(place) for place in range(len(names))] else []
        only = list(columns) if len(names) == len(columns) == 1 else []
        letters = [each for each in columns if re.fullmatch(r"[A-J]|choice_\d+", each)] if name == "choices" else []
        if name not in asked and not known and len(letters) > 1:
            found[name] = letters
            continue
        choices = [asked[name]] if name in asked else known or plain or only
        if not choices or choices[0] not in columns:
            found_columns = f"columns {', '.join(columns)}"
            expected = repr(asked[name]) if name in asked else f"one called {name}"
            advice = f"--columns {name}=COLUMN names it; --no-header: the first line is a row, its columns 0, 1, ..."
            raise ConfigError("IN", found_columns, f"{expected} among them", advice)
        found[name] = choices[0]
    return found


def inputs_of(names: Sequence[str], trained: Mapping[str, str]) -> dict[str, str | list[str]]:
    """Input of the model -> column of the files that it was trained on, or columns, of choices in one each."""
    found: dict[str, str | list[str]] = {name: trained[name] for name in names if name in trained}
    choices = [trained[name] for name in CHOICES[1:] if name in trained]
    return {**found, "choices": choices} if choices and "choices" in names else found


def flattened(columns: Iterable[str | list[str]]) -> Iterator[str]:
    """The single columns among those of inputs."""
    for column in columns:
        yield from [column] if isinstance(column, str) else column


def value_of(cells: Mapping[str, Any], column: str | list[str]) -> Any:
    """What a record has in a column; of several the list, without empty cells at its end."""
    if isinstance(column, str):
        return cells.get(column)
    values = [str(cells.get(name) or "").strip() for name in column]
    while values and not values[-1]:
        values.pop()
    return values


def predict_rows(
    model: Finetuned,
    records: Iterable[Record],
    problems: Problems,
    columns: Mapping[str, str] | None = None,
    output: Wanted = Wanted(),  # noqa: B008
    batch_size: int = 32,
) -> Iterator[dict[str, Any]]:
    """Yield each record with the model's answer as further columns, in their order.

    Args:
        problems: told of rows that the model cannot take; with "skip" they come with empty answers.
        columns: input of the model -> column, where names do not tell it.
    """
    kind = model.kind.for_use()
    for name, is_wanted in output._asdict().items():
        if is_wanted and name not in kind.wanted:
            raise ConfigError(name.removeprefix("with_"), is_wanted, f"none for kind {kind.description.kind}")
    records = iter(records)
    inputs: dict[str, str | list[str]] = {}
    while pool := list(itertools.islice(records, POOL * batch_size)):
        inputs = inputs or find_inputs(kind.inputs, list(pool[0].cells), columns or {}, model.columns)
        examples = []
        for number, record in enumerate(pool):
            values = [value_of(record.cells, column) for column in inputs.values()]
            try:
                examples.append((number, kind.example(number, values if len(values) > 1 else values[0])))
            except DataError as error:
                problems.add(record.where, str(error.found), "a text that the model takes")
        answers: dict[int, dict[str, Any]] = {}
        if examples:
            predictions = model.predict_examples([example for _, example in examples], batch_size)
            for (number, example), prediction in zip(examples, predictions, strict=True):
                answers[number] = kind.output(example, prediction, output)
        empty = dict.fromkeys(next(iter(answers.values()), {"prediction": None}))
        for number, record in enumerate(pool):
            yield record.cells | renamed(answers.get(number, empty), record.cells)


def renamed(answer: Mapping[str, Any], cells: Mapping[str, Any]) -> dict[str, Any]:
    """The answer's columns, called `predicted_NAME` where the file has a column NAME."""
    return {f"predicted_{name}" if name in cells else name: value for name, value in answer.items()}


class Writer:
    """Writes rows, all with the columns of the first, as csv, tsv or JSON lines; lists are JSON in cells."""

    def __init__(self, stream: IO[str], form: str) -> None:
        self.stream, self.form = stream, form
        self._writer: Any = None

    def write(self, row: Mapping[str, Any]) -> None:
        if self.form == "jsonl":
            self.stream.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")
            return
        if self._writer is None:
            delimiter = DELIMITERS[self.form]
            self._writer = csv.DictWriter(
                self.stream, list(row), restval="", extrasaction="ignore", delimiter=delimiter, lineterminator="\n"
            )
            self._writer.writeheader()
        self._writer.writerow({name: cell(value) for name, value in row.items()})


def cell(value: Any) -> Any:
    """A value as a table's cell."""
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return f"{value:.6f}" if isinstance(value, float) else value


def predict_file(
    model: Finetuned,
    source: str | Path,
    out: IO[str],
    forms: tuple[str, str],
    encoding: str = "utf-8",
    on_error: str = "stop",
    columns: Mapping[str, str] | None = None,
    output: Wanted = Wanted(),  # noqa: B008
    batch_size: int = 32,
    has_header: bool = True,
) -> int:
    """Predict a file into a stream; returns how many rows there were.

    Args:
        forms: formats of the source and of what is written.
        has_header: of a table, see `read_input`.
    """
    from tqdm import tqdm

    problems = Problems(on_error)
    writer, count = Writer(out, forms[1]), 0
    records = read_input(source, forms[0], encoding, problems, has_header)
    rows = predict_rows(model, records, problems, columns, output, batch_size)
    for row in tqdm(rows, "predict", unit=" rows", file=sys.stderr, disable=not sys.stderr.isatty()):
        writer.write(row)
        count += 1
    problems.report(source)
    return count
