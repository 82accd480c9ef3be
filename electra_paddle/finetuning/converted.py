"""What stands in task.json of a fine-tuned model that comes from elsewhere."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from electra_paddle.config import FinetuningConfig
from electra_paddle.conversion import published
from electra_paddle.errors import CheckpointError, ConfigError
from electra_paddle.finetuning.description import TaskDescription, load_description
from electra_paddle.finetuning.kinds.base import TASK, make_kind, read_task, task_text
from electra_paddle.models import pretrained_directory as pretrained
from electra_paddle.task_kinds import kind_of_architecture

LENGTH = 512  # tokens of a sequence where nothing says how many a model was fine-tuned with


def describe(
    task: str, kind: str, head: Mapping[str, Any], is_pair: bool = False
) -> tuple[tuple[str, ...] | None, dict[str, str]]:
    """(labels or None, name -> text of further files) of a fine-tuned directory.

    Args:
        kind: of the task; a task of that name and kind is looked for among the built-in ones.
        head: entries of config.json; no sequence becomes longer than its `max_position_embeddings`.
        is_pair: whether the model takes pairs of texts.
    """
    num_labels = 0 if kind in ("regression", "multiple_choice") else head.get("num_labels", 0)
    told = [str(label) for label in (head.get("id2label") or {}).values()]
    labels = tuple(told if len(told) == num_labels else map(str, range(num_labels)))
    columns: dict[str, int | str] = {"label": 0, "text_a": 1}
    if is_pair and kind in ("tagging", "reading_comprehension"):
        raise ConfigError("--pair", f"a model for {kind}", "none: its inputs are fixed")
    if is_pair:
        columns["text_b"] = 2
    description = TaskDescription(task, kind, labels=labels, columns=columns)
    with contextlib.suppress(ConfigError):
        known = load_description(task)
        if known.kind == kind and len(known.labels or labels) == num_labels:
            description = dataclasses.replace(known, labels=known.labels or labels)
    settings = {"max_seq_length": LENGTH, **description.recommended.get("all", {}), **head.get("reading", {})}
    settings["max_seq_length"] = min(settings["max_seq_length"], head.get("max_position_embeddings", LENGTH))
    text = task_text(make_kind(description, FinetuningConfig(**settings)))
    return description.labels, {TASK: text}


def fine_tuned_directory(folder: Path) -> Path:
    """The fine-tuned directory of a folder or a file in another layout: converted, and kept.

    Raises:
        CheckpointError: it has no head that this package knows, or is no ELECTRA.
    """
    found = published.own_directory(folder, describe)
    architecture = (pretrained.read_config(found).get("architectures") or ["none"])[0]
    if kind_of_architecture(architecture) is None:
        expected = "a fine-tuned model, with a head that this package has"
        raise CheckpointError(folder, f"no {TASK}, and a network of {architecture}", expected)
    read_task(found)  # says that it is missing in a directory of our own
    return found
