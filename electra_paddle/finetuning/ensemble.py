"""Several fine-tuned directories that answer as one: `ensemble.json` names them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from electra_paddle.errors import CheckpointError, ConfigError, reason
from electra_paddle.files import replace_text
from electra_paddle.finetuning.kinds.base import TASK, TaskKind, read_task
from electra_paddle.models import pretrained_directory as pretrained
from electra_paddle.parsing import parse_json
from electra_paddle.text import Vocabulary

if TYPE_CHECKING:
    from electra_paddle.finetuning.kinds.base import AnyKind

ENSEMBLE = "ensemble"  # in the names of its files, where a trial has its number
AGREED = (
    "kind",
    "labels",
    "is_pair",
    "settings",
    "answer_types",
)  # entries of task.json that decide what a network is given and says


def check_combines(kind: AnyKind) -> None:
    """Refuse a kind that does not say how networks answer together."""
    if type(kind).combine is TaskKind.combine:
        raise ConfigError("ensemble", f"kind {kind.description.kind}", "a kind that has `combine`")


def write_ensemble(folder: Path, members: Sequence[Path]) -> None:
    """Write the directory of an ensemble, which names its members relative to itself."""
    names = [Path(os.path.relpath(member, folder)).as_posix() for member in members]
    replace_text(folder / pretrained.ENSEMBLE, json.dumps({"members": names}, indent=2) + "\n")


def members_of(folder: Path) -> list[Path]:
    """The fine-tuned directories that a directory stands for: those of an ensemble, or itself.

    Raises:
        CheckpointError: ensemble.json is damaged, or names a folder that is not there.
    """
    path = folder / pretrained.ENSEMBLE
    if not path.is_file():
        return [folder]
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(path, reason(error), 'an object with "members"') from error
    names = content.get("members") if isinstance(content, dict) else None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise CheckpointError(path, "no list of members", '{"members": ["../TASK_model_1", ...]}')
    lacking = [name for name in names if not (folder / name).is_dir()]
    if lacking:
        advice = "an ensemble has no weights of its own: keep the folders of its models beside it"
        raise CheckpointError(path, f"{lacking[0]}, which is not there", "the models that it names", advice)
    return [folder / name for name in names]


def agreed_task(folders: Sequence[Path]) -> dict[str, Any]:
    """The task.json of several fine-tuned directories, which must agree about what a network is given and says.

    Raises:
        CheckpointError: names the first difference.
    """
    tasks = [read_task(folder) for folder in folders]
    for folder, task in zip(folders[1:], tasks[1:], strict=True):
        for name in AGREED:
            if task.get(name) != tasks[0].get(name):
                path, first = folder / TASK, folders[0] / TASK
                raise CheckpointError(path, f"{name} {task.get(name)}", f"{tasks[0].get(name)}, as in {first}")
        for name, read in (("vocabulary", vocabulary_of), ("case", pretrained.read_case)):
            if read(folder) != read(folders[0]):
                raise CheckpointError(folder, f"another {name}", f"that of {folders[0]}")
    return tasks[0]


def choices_of(folders: Sequence[Path], names: Iterable[str]) -> dict[str, float]:
    """What was chosen on dev after training, such as the threshold of labels; of several directories the mean.

    Args:
        names: of the kind's settings that are chosen.

    Raises:
        CheckpointError: something else than numbers.
    """
    choices = [(folder, read_task(folder).get("chosen") or {}) for folder in folders]
    means = {}
    for name in names:
        values = [chosen[name] for _, chosen in choices if chosen.get(name) is not None]
        for folder, chosen in choices:
            if type(chosen.get(name)) not in (int, float, type(None)):
                raise CheckpointError(folder / TASK, f"chosen.{name} {chosen[name]!r}", "a number")
        if values:
            means[name] = sum(values) / len(values)
    return means


def vocabulary_of(folder: Path) -> str:
    return Vocabulary.load(folder / pretrained.VOCABULARY).sha256
