"""A task as data: where its files are, what they look like, and which answers it knows."""

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from electra_paddle.config import load_config
from electra_paddle.config.entry import entry
from electra_paddle.config.pretraining import require_one_of
from electra_paddle.config.recipes import RECIPES
from electra_paddle.errors import ConfigError
from electra_paddle.task_kinds import KINDS

BUILT_IN = RECIPES / "task"
SPLITS = ("train", "dev", "test", "challenge")
FORMATS = ("tsv", "json", "jsonl", "bio", "squad")
HEADERS = ("auto", True, False)
COLUMNS = ("id", "label", "text_a", "text_b", "language", "token", "tag")
SIZES = ("all", "small", "base", "large")


@dataclasses.dataclass(frozen=True)
class TaskDescription:
    """One task, read from configs/task/NAME.yaml or a user's own file."""

    name: str = entry("task", "names the folder of its files; default: the description's file name")
    kind: str = entry("classification", "what is to be answered: " + ", ".join(KINDS))
    format: str = entry("tsv", "format of the files: " + ", ".join(FORMATS))
    header: bool | str = entry("auto", "whether the first line of a tsv names the columns; auto: see `is_header`")
    columns: dict[str, int | str] = entry(
        {"label": 0, "text_a": 1}, "number (from 0) or name of each column; in json the key, dots lead into objects"
    )
    language: str | None = entry(None, "rows whose language column says otherwise are left out")
    labels: tuple[str, ...] | None = entry(None, "classes or tags in the order of their ids; default: read from files")
    labels_file: str | None = entry(None, "file beside the data with one label a line; without it the training file")
    aliases: dict[str, str] = entry({}, "other names of labels")
    metric: str | None = entry(None, "what is compared between trials and models; default: the kind's")
    files: dict[str, tuple[str, ...]] = entry({}, "split -> names that its file may have, in their order")
    splits: dict[str, dict[str, Any]] = entry(
        {}, "split -> format, header, columns or language where they differ there"
    )
    recommended: dict[str, dict[str, Any]] = entry(
        {}, "all, small, base or large -> hyper-parameters for `recommended: true`"
    )
    published_sizes: dict[str, int] = entry({}, "split -> examples of the published data; others are substitutes")

    def __post_init__(self) -> None:
        require_one_of(self, "kind", tuple(KINDS))
        require_one_of(self, "format", FORMATS)
        require_one_of(self, "header", HEADERS)
        for field, known in (("columns", COLUMNS), ("files", SPLITS), ("splits", SPLITS), ("recommended", SIZES)):
            refuse_unknown(field, getattr(self, field), known)
        for split, differences in self.splits.items():
            refuse_unknown(f"splits.{split}", differences, ("format", "header", "columns", "language"))
            self.of_split(split)
        if self.labels is not None and len(set(self.labels)) < len(self.labels):
            raise ConfigError("labels", "a label twice", "each label once")
        for alias, label in self.aliases.items():
            if self.labels is not None and label not in self.labels:
                raise ConfigError(f"aliases.{alias}", repr(label), one_of(self.labels))
        if self.format == "bio":
            for name in ("token", "tag"):
                if not isinstance(self.columns.get(name), int):
                    found = repr(self.columns.get(name, "nothing"))
                    raise ConfigError(f"columns.{name}", found, "a number from 0 on", "bio files have no header")

    def of_split(self, split: str) -> "TaskDescription":
        """The description with what differs in a split."""
        return dataclasses.replace(self, splits={}, **self.splits.get(split, {}))

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
    def classes(self) -> tuple[str, ...]:
        """The labels in the order of their ids; () before they are read from files, and for kinds without labels."""
        return self.labels or ()


def default_names(split: str, format: str) -> list[str]:
    """Names of a split's file; the original calls the third one eval."""
    suffix = {"tsv": ".tsv", "jsonl": ".jsonl", "bio": ".txt"}.get(format, ".json")
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
    return description if description.name != "task" else dataclasses.replace(description, name=path.stem)


load_task = load_description  # its name in the Python API
