"""Checkpoints of fine-tuned modules, which `hub.Trainer` writes: parameters, and what one has to know to use them.

The Trainer saves what `module.state_dict()` returns, and nothing else. So one more entry there describes the module:
JSON, as bytes in a tensor, with everything that a fine-tuned directory has besides the parameters.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from electra_paddle.errors import CheckpointError
from electra_paddle.hub.weights import PAIR_TASKS
from electra_paddle.models import pretrained_directory as pretrained
from electra_paddle.parsing import ParseError, parse_json
from electra_paddle.tensors import read_state

if TYPE_CHECKING:
    from electra_paddle.arrays import Array
    from electra_paddle.hub.module import ElectraModule

ENTRY = "module_description"
PARAMETERS = "model.pdparams"  # in the folders that `hub.Trainer` writes
ENTRIES: dict[str, Any] = {  # of a description -> its type in JSON
    "task": str,
    "labels": (list, type(None)),
    "settings": dict,  # hyper-parameters that the head was fine-tuned with
    "arguments": dict,  # entries of ElectraConfig that the module was made with
    "config": dict,
    "vocabulary": list,
    "tokenizer": dict,  # do_lower_case and strip_accents
}


class Checkpoint(NamedTuple):
    """The parameters of a module, and its description; all empty where there is no checkpoint."""

    path: Path | None = None
    arrays: Mapping[str, Array] = {}
    description: Mapping[str, Any] = {}  # {} of parameters that something else saved

    @property
    def task(self) -> str | None:
        """The task that it was fine-tuned for, where it says so."""
        return self.description.get("task")

    @property
    def labels(self) -> dict[int | str, Any] | None:
        """class id -> label, where it says so."""
        labels = self.description.get("labels")
        return {number: label for number, label in enumerate(labels)} if labels else None

    @property
    def arguments(self) -> dict[str, Any]:
        """Entries of ElectraConfig that the module was made with."""
        return dict(self.description.get("arguments", {}))

    def settings(self, task: str) -> dict[str, Any]:
        """Hyper-parameters that the head of a task was fine-tuned with; {} where it has another head, or none."""
        return dict(self.description.get("settings", {})) if self.is_for(task) else {}

    def is_for(self, task: str) -> bool:
        """Whether it says that its head is that of a task; those of texts and of pairs of texts are the same."""
        return self.task is not None and single(self.task) == single(task)


def single(task: str) -> str:
    """The task on one text, of one on pairs."""
    return next((name for name, pair in PAIR_TASKS.items() if pair == task), task)


def describe(module: ElectraModule) -> Array:
    """A module's description as it stands among its parameters, uint8 [bytes]."""
    tokenizer = module.text_tokenizer
    description = {
        "task": module.task or "embedding",
        "labels": list(module.label_map.values()) if module.handler.has_classes else None,
        "settings": module.settings,
        "arguments": module.arguments,
        "config": json.loads(module.config.to_json_string()),
        "vocabulary": tokenizer.vocabulary.tokens,
        "tokenizer": {"do_lower_case": tokenizer.do_lower_case, "strip_accents": tokenizer.strip_accents},
    }
    text = json.dumps(description, ensure_ascii=False, default=plain)
    return np.frombuffer(text.encode(), np.uint8)


def plain(value: Any) -> Any:
    """A value that JSON does not have: numpy's numbers as Python's, others as text."""
    return value.item() if isinstance(value, np.generic) else str(value)


def read_checkpoint(path: str | Path | None) -> Checkpoint:
    """A file of parameters, or that in a folder that `hub.Trainer` wrote; nothing for None.

    Raises:
        CheckpointError: there is none, it is damaged, or describes itself in a way that makes no sense.
    """
    if path is None:
        return Checkpoint()
    path = find_parameters(Path(path))
    if path.exists() and not path.is_file():  # a pipe would wait for whoever writes into it
        raise CheckpointError(path, "something other than a file", "a file of parameters")
    arrays = read_state(path)
    content = arrays.pop(ENTRY, None)
    return Checkpoint(path, arrays, {} if content is None else parse_description(content, path))


def find_parameters(path: Path) -> Path:
    """The file of parameters that a path means.

    Raises:
        CheckpointError: a folder without one.
    """
    if not path.is_dir() or (path / PARAMETERS).is_file():
        return path / PARAMETERS if path.is_dir() else path
    inner = sorted(file.parent.name for file in path.glob(f"*/{PARAMETERS}"))
    advice = f"it has {', '.join(inner[:4])}: name one of them" if inner else ""
    raise CheckpointError(path, f"no {PARAMETERS}", "a folder that hub.Trainer wrote", advice)


def parse_description(content: Array, path: Path) -> dict[str, Any]:
    """The description that an array of bytes holds, its entries of the right types."""
    try:
        if content.dtype != np.uint8:
            raise ParseError(f"numbers of type {content.dtype}")
        description = parse_json(content.tobytes())
    except ValueError as error:
        raise CheckpointError(path, f"an unreadable {ENTRY} ({error})", "one in JSON") from error
    for name, kind in ENTRIES.items():
        value = description.get(name) if isinstance(description, dict) else None
        if not isinstance(value, kind):
            raise CheckpointError(path, f"{ENTRY} with {name} {value!r}", "one that this project wrote")
    pretrained.check_entries(description["arguments"], path)
    if sizes := sorted(set(description["arguments"]) & set(pretrained.SIZES)):  # which the weights have
        raise CheckpointError(path, f"{ENTRY} with the argument {sizes[0]}", "one that this project wrote")
    return description
