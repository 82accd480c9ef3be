"""A checkpoint of `hub.Trainer` as a fine-tuned directory, of which a module is made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from electra_paddle.errors import CheckpointError, ConfigError
from electra_paddle.hub.checkpoint import PARAMETERS, Checkpoint, read_checkpoint, single
from electra_paddle.hub.items import given_label_map
from electra_paddle.hub.weights import TASK, named_weights
from electra_paddle.models import pretrained_directory as pretrained
from electra_paddle.task_kinds import KINDS
from electra_paddle.text import Vocabulary

HEAD = ("classifier.weight", "classifier.out_proj.weight")  # [hidden size, classes], of one layer and of two


class Missing(NamedTuple):
    """What a checkpoint does not say, or what shall be otherwise; None for what it says."""

    task: str | None = None
    label_map: str | None = None  # as JSON, or a file of it
    pretrained: str | None = None  # the directory or published name that training began with

    def options(self) -> list[str]:
        """The command line's options that were given."""
        return [f"--{name.replace('_', '-')}" for name, value in self._asdict().items() if value is not None]


NOTHING = Missing()


def is_checkpoint(source: Path) -> bool:
    """Whether a path is a checkpoint of `hub.Trainer`: its folder, its parameters' file, or a folder of these."""
    if source.is_file():
        return source.suffix == ".pdparams"
    is_pretrained = (source / pretrained.CONFIG).is_file()
    return not is_pretrained and ((source / PARAMETERS).is_file() or any(source.glob(f"*/{PARAMETERS}")))


def write_directory(source: Path, folder: Path, missing: Missing) -> None:
    """Write the fine-tuned directory.

    Raises:
        CheckpointError, ConfigError: it cannot be read, says too little, or its task is none of a fine-tuned directory.
    """
    checkpoint = read_checkpoint(source)
    task = missing.task or checkpoint.task
    if not checkpoint.description and not (task and missing.pretrained):
        lacking = [name for name in ("--task", "--pretrained") if name not in missing.options()]
        expected = f"also {' and '.join(lacking)}, as it does not say what it was trained for or from"
        raise ConfigError(source, "parameters alone", f"{expected}; with classes also --label-map")
    entry = next((entry for entry in KINDS.values() if entry.hub_task == single(str(task))), None)
    if entry is None:
        advice = "hub.Module(..., load_checkpoint=...) takes it"
        raise ConfigError(source, f"task {task!r}", " or ".join(each.hub_task for each in KINDS.values()), advice)
    if checkpoint.task is not None and not checkpoint.is_for(str(task)):
        raise ConfigError("--task", repr(task), f"{checkpoint.task!r}, for which {source} was trained")
    if checkpoint.description and missing.pretrained:
        raise ConfigError("--pretrained", missing.pretrained, f"nothing: {source} describes its network")
    config, vocabulary, tokenizer = network_of(checkpoint, missing)
    labels = labels_of(checkpoint, missing, source)
    arrays = {name.removeprefix("model."): array for name, array in checkpoint.arrays.items()}
    num_labels = next((arrays[name].shape[-1] for name in HEAD if name in arrays), None)
    if num_labels is None or (labels is not None and len(labels) != num_labels):
        found = "no head" if num_labels is None else f"{len(labels or [])} labels for a head of {num_labels} classes"
        raise CheckpointError(source, found, "parameters of a fine-tuned module and its labels")
    task_entries = {
        "name": source.resolve().name,
        "kind": entry.name,
        "labels": labels,
        "is_pair": task != single(str(task)),
        "settings": checkpoint.settings(str(task)),
    }
    names = {"num_labels": num_labels, "architectures": [entry.architecture]}
    text = json.dumps(task_entries, indent=2, ensure_ascii=False) + "\n"
    pretrained.write_pretrained({**config, **names}, arrays, folder, vocabulary, tokenizer, "", {TASK: text})


def network_of(checkpoint: Checkpoint, missing: Missing) -> tuple[Mapping[str, Any], Vocabulary, Mapping[str, Any]]:
    """(config.json, vocabulary, tokenizer_config.json) of the network that was trained."""
    description = checkpoint.description
    if description:
        vocabulary = Vocabulary(map(str, description["vocabulary"]), f"vocabulary in {checkpoint.path}")
        return description["config"], vocabulary, description["tokenizer"]
    base = named_weights(str(missing.pretrained), "discriminator")
    config = {
        name: value for name, value in pretrained.read_config(base).items() if name not in ("id2label", "label2id")
    }
    do_lower_case, strip_accents = pretrained.read_case(base)
    tokenizer = {"do_lower_case": do_lower_case} | ({} if strip_accents is None else {"strip_accents": strip_accents})
    return config, Vocabulary.load(base / pretrained.VOCABULARY), tokenizer


def labels_of(checkpoint: Checkpoint, missing: Missing, source: Path) -> list[Any] | None:
    """The labels of its classes; None for a task without."""
    if missing.label_map is not None:
        return list(given_label_map(missing.label_map, "--label-map").values())
    if checkpoint.description:
        return list(checkpoint.labels.values()) if checkpoint.labels else None
    if missing.task is not None and single(missing.task) in ("regression", "multiple-choice"):
        return None
    raise ConfigError(source, "parameters alone", "also --label-map, as it does not name its classes")
