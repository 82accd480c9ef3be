"""Features of a split: made once by all cores, kept on disk under a hash of everything that shapes them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from electra_paddle import __version__, runtime
from electra_paddle.config.changes import as_json, default_settings
from electra_paddle.errors import CheckpointError
from electra_paddle.files import sha256, written_whole
from electra_paddle.finetuning.workers import in_processes
from electra_paddle.tensors import read_tensors
from electra_paddle.text import Tokenizer

if TYPE_CHECKING:
    from electra_paddle.arrays import Array
    from electra_paddle.finetuning.kinds.base import AnyKind
    from electra_paddle.text import Vocabulary

TokenizerSettings = tuple["Vocabulary", bool, "bool | None"]  # the arguments of Tokenizer

VERSION = 1  # of the features; a change of what `featurize` returns makes it another
FIRST_ENTRIES = {  # of a task's description; later ones count where they say something, so that features stay valid
    "name", "kind", "format", "header", "columns", "language", "labels", "labels_file", "aliases", "metric", "files",
    "splits", "recommended", "published_sizes",
}  # fmt: skip
LEAST = 2000  # examples for which further processes are worth their start


class Features:
    """Rows of one NamedTuple class, kept as columns: numbers [N], or arrays end to end with their bounds [N + 1].

    Args:
        row_class: the NamedTuple.
        columns: field -> array; for fields that are arrays also `FIELD.bounds`.
    """

    def __init__(self, row_class: type[Any], columns: Mapping[str, Array]) -> None:
        self.row_class, self.columns = row_class, columns

    @classmethod
    def pack(cls, row_class: type[Any], rows: Sequence[Any]) -> Features:
        """Make Features of a list of rows, which must not be empty."""
        columns: dict[str, Array] = {}
        for field, values in zip(row_class._fields, zip(*rows, strict=True), strict=True):
            if np.ndim(values[0]):
                columns[field] = np.concatenate([np.asarray(value, np.int32) for value in values])
                columns[f"{field}.bounds"] = np.cumsum([0, *map(len, values)])
            else:
                numbers = np.asarray(values)
                columns[field] = numbers.astype(np.float64 if numbers.dtype.kind == "f" else np.int64)
        return cls(row_class, columns)

    @classmethod
    def join(cls, parts: Sequence[Features]) -> Features:
        """All rows of several."""
        columns = {}
        for name in parts[0].columns:
            arrays = [part.columns[name] for part in parts]
            if name.endswith(".bounds"):
                starts = np.cumsum([0, *(array[-1] for array in arrays[:-1])])
                arrays = [array[:-1] + start for array, start in zip(arrays, starts, strict=True)]
                arrays.append(np.array([len_of(parts, name.removesuffix(".bounds"))]))
            columns[name] = np.concatenate(arrays)
        return cls(parts[0].row_class, columns)

    def of_examples(self, numbers: Array) -> Features:
        """The rows of some examples, which get new numbers: their places in `numbers`."""
        examples = self.columns["example"]
        places = np.full(max(examples.max(), numbers.max()) + 1, -1)
        places[numbers] = np.arange(len(numbers))
        is_kept = places[examples] >= 0  # [N]
        columns = {}
        for field in self.row_class._fields:
            bounds = self.columns.get(f"{field}.bounds")
            if bounds is None:
                columns[field] = self.columns[field][is_kept]
                continue
            lengths = np.diff(bounds)
            columns[field] = self.columns[field][np.repeat(is_kept, lengths)]
            columns[f"{field}.bounds"] = np.cumsum([0, *lengths[is_kept]])
        return Features(self.row_class, {**columns, "example": places[columns["example"]]})

    def __len__(self) -> int:
        return len(self.columns["example"])

    def __getitem__(self, number: int) -> Any:
        values: list[int | float | Array] = []
        for field in self.row_class._fields:
            bounds, column = self.columns.get(f"{field}.bounds"), self.columns[field]
            values.append(column[number].item() if bounds is None else column[bounds[number] : bounds[number + 1]])
        return self.row_class(*values)

    def __iter__(self) -> Iterator[Any]:
        return (self[number] for number in range(len(self)))

    @property
    def lengths(self) -> Array:
        """Tokens of each row, [N]."""
        return np.diff(self.columns["input_ids.bounds"])

    def save(self, path: Path) -> None:
        """Write a .safetensors file, whole or not at all."""
        from safetensors.numpy import save_file

        with written_whole(path) as partial:
            save_file({name: np.ascontiguousarray(column) for name, column in self.columns.items()}, partial)

    @classmethod
    def load(cls, row_class: type[Any], path: Path) -> Features | None:
        """Read what `save` wrote; None if there is no such file, or a damaged one."""
        try:
            columns = read_tensors(path)
        except CheckpointError:
            return None
        return cls(row_class, columns) if set(row_class._fields) <= columns.keys() else None


def len_of(parts: Sequence[Features], field: str) -> int:
    return sum(len(part.columns[field]) for part in parts)


def fingerprint(kind: AnyKind, path: Path, split: str, tokenizer: Tokenizer) -> str:
    """A hash of everything that shapes the features of a file."""
    description = kind.description.of_split(split)
    defaults = default_settings(type(description))
    entries = as_json(dataclasses.asdict(description)).items()
    shaping: dict[str, Any] = {
        "version": [VERSION, __version__],
        "file": sha256(path),
        "vocabulary": tokenizer.vocabulary.sha256,
        "tokenizer": [tokenizer.do_lower_case, tokenizer.strip_accents],
        "description": {name: value for name, value in entries if name in FIRST_ENTRIES or value != defaults[name]},
        "settings": {name: getattr(kind.config, name) for name in (*kind.settings, "on_error", "debug")},
    }
    if split == "train" and kind.config.max_train_examples:
        shaping["max_train_examples"] = kind.config.max_train_examples
    return hashlib.sha256(json.dumps(shaping, sort_keys=True, default=str).encode()).hexdigest()


def load_features(
    folder: Path,
    kind: AnyKind,
    path: Path,
    split: str,
    examples: Sequence[Any],
    tokenizer: Tokenizer,
    use_existing: bool = True,
) -> Features:
    """The features of a split's examples: from the folder where they are kept, or made and kept now."""
    digest = fingerprint(kind, path, split, tokenizer)
    file = Path(folder) / f"{kind.description.name}_{path.stem}_{digest[:16]}.safetensors"
    features = Features.load(kind.feature_class, file) if use_existing else None
    if features is None:
        features = make_features(kind, examples, tokenizer, kind.config.num_processes or runtime.num_cores())
        features.save(file)
    return features


def make_features(kind: AnyKind, examples: Sequence[Any], tokenizer: Tokenizer, num_processes: int) -> Features:
    """The Features of examples, in their order."""
    numbered = list(enumerate(examples))
    if len(numbered) < LEAST or num_processes == 1:
        return featurize_part(kind, tokenizer, numbered)
    size = -(-len(numbered) // num_processes)
    parts = [numbered[start : start + size] for start in range(0, len(numbered), size)]
    settings = tokenizer_settings(tokenizer)
    columns = in_processes(columns_of_part, [(kind, settings, part) for part in parts], "num_processes")
    return Features.join([Features(kind.feature_class, part) for part in columns])


def tokenizer_settings(tokenizer: Tokenizer) -> TokenizerSettings:
    """The arguments that make an equal Tokenizer; they are sent to other processes instead of its large tables."""
    return tokenizer.vocabulary, tokenizer.do_lower_case, tokenizer.strip_accents


def featurize_part(kind: AnyKind, tokenizer: Tokenizer, numbered: Sequence[tuple[int, Any]]) -> Features:
    """Features of some (number, example) pairs."""
    rows = [row for number, example in numbered for row in kind.featurize(number, example, tokenizer)]
    return Features.pack(kind.feature_class, rows)


def columns_of_part(
    kind: AnyKind, settings: TokenizerSettings, numbered: Sequence[tuple[int, Any]]
) -> Mapping[str, Array]:
    return featurize_part(kind, Tokenizer(*settings), numbered).columns
