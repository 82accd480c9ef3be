"""Files predicted row by row: all columns kept, answers appended, memory flat whatever the file's length."""

from __future__ import annotations

import csv
import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from electra_paddle.errors import ConfigError, DataError
from electra_paddle.finetuning.comprehension.squad import nested_entries, read_json
from electra_paddle.finetuning.description import TaskDescription
from electra_paddle.finetuning.formats import Record, read_records
from electra_paddle.finetuning.formats.headers import ROLES
from electra_paddle.finetuning.problems import Problems

if TYPE_CHECKING:
    from electra_paddle.finetuning.finetuned import Finetuned

POOL = 64  # batches of rows that are sorted by length together
FORMATS = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".json": "json", ".parquet": "parquet", ".txt": "txt"}
WRITTEN = ("csv", "tsv", "jsonl")
DELIMITERS = {"csv": ",", "tsv": "\t"}
WORDS = {  # input of a kind -> further words by which files call it
    "text": ("text_a", "tokens"),
    "context": ("passage", "document", "paragraph", "原文", "段落", "上下文", "文章"),
    "question": ("query", "query_text", "问题", "提问"),
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


def read_input(path: str | Path, form: str, encoding: str, problems: Problems) -> Iterator[Record]:
    """The Records of a file, or of standard input ("-")."""
    place = "/dev/stdin" if str(path) == "-" else path
    if form == "json" and str(path) != "-" and is_nested(content := read_json(path, encoding)):
        yield from nested_records(path, content, problems)
        return
    layout = TaskDescription(format="tsv" if form == "txt" else form, header=form != "txt", encoding=encoding)
    for record in read_records(place, layout, problems):
        yield Record(record.where, {"text": record.cells["0"]}) if form == "txt" and len(record.cells) == 1 else record


def is_nested(content: Any) -> bool:
    """Whether a JSON file holds paragraphs with their questions, as SQuAD, CJRC and CMRC 2018 do."""
    parts = content.get("data") if isinstance(content, dict) else content
    return bool(
        isinstance(parts, list) and parts and isinstance(parts[0], dict) and {"paragraphs", "qas"} & {*parts[0]}
    )


def nested_records(path: str | Path, content: Any, problems: Problems) -> Iterator[Record]:
    """A Record for each question of such a file: its entries, and the context."""
    for where, context, question in nested_entries(path, content, problems):
        if isinstance(question, dict):
            yield Record(where, {"context": context, **question})
        else:
            problems.add(where, f"a {type(question).__name__}", "an object with a question")


def find_inputs(names: Sequence[str], columns: Sequence[str], asked: Mapping[str, str]) -> dict[str, str]:
    """Input of the model -> column of the file.

    Args:
        names: of the model's inputs, such as text_a and text_b.
        columns: of the file.
        asked: those that the user names.

    Raises:
        ConfigError: a column that the file lacks, or none that is known by its name.
    """
    found = {}
    for number, name in enumerate(names):
        words = {name, *WORDS.get(name, ())}
        known = [each for each in columns if each in words or ROLES.get(each.strip().lower()) == ROLES.get(name, name)]
        plain = [str(number)] if [*columns[: len(names)]] == [str(place) for place in range(len(names))] else []
        only = list(columns) if len(names) == len(columns) == 1 else []
        choices = [asked[name]] if name in asked else known or plain or only
        if not choices or choices[0] not in columns:
            found_columns = f"columns {', '.join(columns)}"
            expected = repr(asked[name]) if name in asked else f"one called {name}"
            raise ConfigError("IN", found_columns, f"{expected} among them", f"--columns {name}=COLUMN names it")
        found[name] = choices[0]
    return found


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
    records = iter(records)
    inputs: dict[str, str] = {}
    while pool := list(itertools.islice(records, POOL * batch_size)):
        inputs = inputs or find_inputs(kind.inputs, list(pool[0].cells), columns or {})
        examples = []
        for number, record in enumerate(pool):
            values = [record.cells.get(column) for column in inputs.values()]
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
) -> int:
    """Predict a file into a stream; returns how many rows there were.

    Args:
        forms: formats of the source and of what is written.
    """
    from tqdm import tqdm

    problems = Problems(on_error)
    writer, count = Writer(out, forms[1]), 0
    rows = predict_rows(model, read_input(source, forms[0], encoding, problems), problems, columns, output, batch_size)
    for row in tqdm(rows, "predict", unit=" rows", file=sys.stderr, disable=not sys.stderr.isatty()):
        writer.write(row)
        count += 1
    problems.report(source)
    return count
