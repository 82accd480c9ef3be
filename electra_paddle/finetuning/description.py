"""A task as data: where its files are, what they look like, and which answers it knows."""

import codecs
import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from electra_paddle.config import load_config
from electra_paddle.config.entry import entry
from electra_paddle.config.pretraining import require_one_of
from electra_paddle.config.recipes import RECIPES
from electra_paddle.errors import ConfigError
from electra_paddle.task_kinds import KINDS
from electra_paddle.text.windows import DESCRIBED_TYPES

BUILT_IN = RECIPES / "task"
SPLITS = ("train", "dev", "test", "challenge")
FORMATS = ("tsv", "csv", "json", "jsonl", "parquet", "bio", "spans", "squad", "c3")
SUFFIXES = {"tsv": ".tsv", "csv": ".csv", "jsonl": ".jsonl", "parquet": ".parquet", "bio": ".txt", "spans": ".json"}
HEADERS = ("auto", True, False)
CHOICES = ("choices", *(f"choice_{number}" for number in range(1, 11)))
COLUMNS = (
    "id",
    "label",
    "text_a",
    "text_b",
    "language",
    "token",
    "tag",
    "context",
    "question",
    "answers",
    *CHOICES,
)
TABLE_COLUMNS: dict[str, int | str] = {"label": 0, "text_a": 1}
C3_COLUMNS: dict[str, int | str] = {
    "id": "id",
    "text_a": "context",
    "text_b": "question",
    "choices": "choice",
    "label": "answer",
}
SIZES = ("all", "nano", "small", "base", "large")
BUILT_IN_KINDS = tuple(KINDS)
TOKEN_COLUMNS: dict[str, dict[str, int | str]] = {  # format -> its usual columns of tokens and tags
    "bio": {"token": 0, "tag": 1},
    "tsv": {"token": 0, "tag": 1},
    "csv": {"token": 0, "tag": 1},
    "spans": {"token": "text", "tag": "label"},
    "jsonl": {"token": "tokens", "tag": "tags"},
}
TEXT_KINDS = ("classification", "multi_label", "regression", "multiple_choice")  # that answer for rows with text_a
OWNERS = {"bio": "tagging", "spans": "tagging", "squad": "reading_comprehension", "c3": "multiple_choice"}
DIFFERENCES = ("format", "encoding", "delimiter", "header", "columns", "language")  # that a split may have


@dataclasses.dataclass(frozen=True)
class TaskDescription:
    """One task, read from configs/task/NAME.yaml or a user's own file."""

    ENTRY: ClassVar[str] = "key"

    name: str = entry("task", "names the folder of its files; default: the description's file name")
    kind: str = entry("classification", "what is to be answered: " + ", ".join(KINDS))
    format: str = entry("tsv", "format of the files: " + ", ".join(FORMATS))
    encoding: str = entry("utf-8", "of text files: utf-8, gb18030, utf-16 or another")
    delimiter: str | None = entry(
        None, "between the cells of a csv; default: comma, tab, semicolon or bar, as its header has it"
    )
    header: bool | str = entry(
        "auto", "whether the first line of a table names the columns; auto: if it looks as if, see `looks_like_header`"
    )
    columns: dict[str, int | str] = entry(
        TABLE_COLUMNS, "number (from 0) or name of each column; in json the key, dots lead into objects"
    )
    language: str | None = entry(None, "rows whose language column says otherwise are left out")
    labels: tuple[str, ...] | None = entry(None, "classes or tags in the order of their ids; default: read from files")
    labels_file: str | None = entry(None, "file beside the data with one label a line; without it the training file")
    aliases: dict[str, str] = entry({}, "other names of labels")
    ignore_labels: tuple[str, ...] = entry((), "labels whose rows are left out: '-' of SNLI and OCNLI for instance")
    token_separator: str | None = entry(
        None, "what stands between tokens, and between tags, in the cells of a table, such as \\x02"
    )
    label_separator: str | None = entry(
        None, "what stands between the labels in a cell, of kinds whose texts may have several; default: a comma"
    )
    answer_types: tuple[str, ...] | None = entry(
        None, "what the answers of reading comprehension may be: span (the default), none, yes_no"
    )
    metric: str | None = entry(None, "what is compared between trials and models; default: the kind's")
    report_metrics: tuple[str, ...] = entry((), "further metrics that results and tables show")
    positive_label: str | None = entry(None, "the class of which the metrics f1, precision and recall are")
    files: dict[str, tuple[str, ...]] = entry({}, "split -> names that its file may have, in their order")
    folder: str | None = entry(None, "folder of the files, if it has another name")
    splits: dict[str, dict[str, Any]] = entry(
        {}, "split -> format, header, columns or language where they differ there"
    )
    recommended: dict[str, dict[str, Any]] = entry(
        {}, "all, nano, small, base or large -> hyper-parameters to begin with, where the user says nothing"
    )
    published_sizes: dict[str, int] = entry({}, "split -> examples of the published data; others are substitutes")

    def __post_init__(self) -> None:
        require_one_of(self, "kind", tuple(KINDS))
        require_one_of(self, "format", FORMATS)
        require_one_of(self, "header", HEADERS)
        for field, known in (("columns", COLUMNS), ("files", SPLITS), ("splits", SPLITS), ("recommended", SIZES)):
            refuse_unknown(field, getattr(self, field), known)
        for split, differences in self.splits.items():
            refuse_unknown(f"splits.{split}", differences, DIFFERENCES)
            self.of_split(split)
        if self.labels is not None and len(set(self.labels)) < len(self.labels):
            raise ConfigError("labels", "a label twice", "each label once")
        for alias, label in self.aliases.items():
            if self.labels is not None and label not in self.labels:
                raise ConfigError(f"aliases.{alias}", repr(label), one_of(self.labels))
        if self.format == "c3" and self.columns == TABLE_COLUMNS:
            object.__setattr__(self, "columns", C3_COLUMNS)
        if self.kind == "multi_label" and self.label_separator is None:
            object.__setattr__(self, "label_separator", ",")
        for name in self.answer_types or ():
            if self.kind != "reading_comprehension" or name not in DESCRIBED_TYPES.values():
                expected = f"{one_of(tuple(dict.fromkeys(DESCRIBED_TYPES.values())))}, of `kind: reading_comprehension`"
                raise ConfigError("answer_types", repr(name), expected)
        check_text(self)
        if self.format == "bio":
            for name, column in self.token_columns.items():
                if not isinstance(column, int):
                    raise ConfigError(f"columns.{name}", repr(column), "a number from 0 on", "bio files have no header")

    def of_split(self, split: str) -> "TaskDescription":
        """The description with what differs in a split."""
        return dataclasses.replace(self, splits={}, **self.splits.get(split, {}))

    def with_encoding(self, encoding: str) -> "TaskDescription":
        """The description of files in an encoding, in all splits."""
        splits = {split: {**differences, "encoding": encoding} for split, differences in self.splits.items()}
        return dataclasses.replace(self, encoding=encoding, splits=splits)

    def of_columns(self, columns: Mapping[str, int | str]) -> "TaskDescription":
        """The layout of the same files with other columns, to read rows with."""
        return TaskDescription(
            format=self.format,
            encoding=self.encoding,
            delimiter=self.delimiter,
            header=self.header,
            columns={**columns},
        )

    def folder_in(self, data_dir: Path) -> Path:
        """The folder of the task's files."""
        return data_dir / "finetuning_data" / (self.folder or self.name)

    def find_file(self, folder: str | Path, split: str) -> Path | None:
        """The file of a split in a folder, or None."""
        return next((Path(folder) / name for name in self.names(split) if (Path(folder) / name).is_file()), None)

    def names(self, split: str) -> Sequence[str]:
        """The names that the file of a split may have."""
        return self.files.get(split) or default_names(split, self.of_split(split).format)

    def label_id(self, label: str) -> int | None:
        """The id of a label or of an alias of one, or None."""
        label = self.aliases.get(label, label)
        return self.classes.index(label) if label in self.classes else None

    def with_labels(self, labels: Sequence[str]) -> "TaskDescription":
        """The description with the labels of a model or of the files.

        Raises:
            ConfigError: it names others, or an alias of another.
        """
        if self.labels is not None and set(self.labels) != set(labels):
            raise ConfigError("labels", one_of(self.labels), f"{one_of(labels)}, as the model has them")
        return dataclasses.replace(self, labels=tuple(labels))

    @property
    def token_columns(self) -> dict[str, int | str]:
        """The columns `token` and `tag`, under the names that files of the format usually give them."""
        usual = TOKEN_COLUMNS.get(self.format, TOKEN_COLUMNS["jsonl"])
        return {name: self.columns.get(name, column) for name, column in usual.items()}

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels in the order of their ids; () before they are read from files, and for kinds without labels."""
        return self.labels or ()


def check_text(description: TaskDescription) -> None:
    """Refuse an encoding or a delimiter that there is not."""
    try:
        codecs.lookup(description.encoding)
    except LookupError as error:
        raise ConfigError("encoding", repr(description.encoding), "utf-8, gb18030, utf-16 or another") from error
    if description.delimiter is not None and (len(description.delimiter) != 1 or description.delimiter in '"\r\n'):
        raise ConfigError("delimiter", repr(description.delimiter), "one character")
    if description.label_separator == "":
        raise ConfigError("label_separator", "an empty text", "one character at least")
    if description.delimiter is not None and description.format != "csv":
        raise ConfigError("delimiter", repr(description.delimiter), "none", f"the format is {description.format}")


def check_layout(description: TaskDescription) -> None:
    """Refuse a format that a kind does not have, in any split.

    Raises:
        ConfigError: says which it has.
    """
    for split in description.splits:
        check_layout(description.of_split(split))
    is_tagging, is_table = description.kind == "tagging", description.format in ("tsv", "csv")
    if is_tagging and is_table and not description.token_separator:
        advice = "a token and its tag a line are `format: bio`; for whole sentences give token_separator, such as \\x02"
        raise ConfigError("format", f"{description.format} for tagging", "bio, json, jsonl, spans or parquet", advice)
    if description.token_separator and not (is_tagging and is_table):
        raise ConfigError("token_separator", repr(description.token_separator), "none but for tagging in tsv or csv")
    if description.label_separator and description.kind in BUILT_IN_KINDS and description.kind != "multi_label":
        raise ConfigError("label_separator", repr(description.label_separator), "none but for `kind: multi_label`")
    if description.kind in TEXT_KINDS and "text_a" not in description.columns:
        raise ConfigError("columns", ", ".join(description.columns), "text_a among them, the column of texts")
    if description.ignore_labels and description.kind in ("tagging", "reading_comprehension"):
        expected = "none: only rows that have one label or several as a whole are left out by it"
        raise ConfigError("ignore_labels", one_of(description.ignore_labels), expected)
    if description.kind == "multiple_choice" and not {*CHOICES} & description.columns.keys():
        found = ", ".join(description.columns)
        raise ConfigError("columns", found, "choices, or choice_1, choice_2 and so on, among them")
    kind = OWNERS.get(description.format)
    if kind and description.kind != kind and description.kind in BUILT_IN_KINDS:
        raise ConfigError("format", f"{description.format} for {description.kind}", "tsv, csv, json, jsonl or parquet")


def default_names(split: str, format: str) -> list[str]:
    """Names of a split's file; the original calls the third one eval."""
    suffix = SUFFIXES.get(format, ".json")
    return [stem + suffix for stem in {"test": ("test", "eval")}.get(split, (split,))]


def refuse_unknown(field: str, values: Mapping[str, Any], known: Sequence[str]) -> None:
    """A mapping's keys must be known ones."""
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            raise ConfigError(f"{field}.{key}", "an unknown key", f"{near[0]!r}, perhaps" if near else one_of(known))


def one_of(labels: Sequence[str], most: int = 8) -> str:
    """Labels as text, not too many."""
    more = f" or another of {len(labels):,}" if len(labels) > most else ""
    return " or ".join(labels[:most]) + more


def built_in_tasks() -> list[str]:
    """Names of the tasks that configs/task describes."""
    return sorted(file.stem for file in BUILT_IN.glob("*.yaml"))


def load_description(task: str) -> TaskDescription:
    """The description of a built-in task by its name, or of a user's by its file.

    Raises:
        ConfigError: there is none, or an entry is unknown.
    """
    if task.endswith((".yaml", ".yml", ".json")):
        path = Path(task)
    else:
        path = BUILT_IN / f"{task}.yaml"
        if not path.is_file():
            known = " or ".join(built_in_tasks())
            raise ConfigError("task_names", repr(task), f"{known}, or a file that describes a task")
    description = load_config(TaskDescription, path)
    check_layout(description)
    return description if description.name != "task" else dataclasses.replace(description, name=path.stem)


load_task = load_description  # its name in the Python API
