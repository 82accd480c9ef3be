"""Construct a module: its labels, the entries of its configuration, its layers and their values."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from electra_paddle.errors import CheckpointError, ConfigError, some_of
from electra_paddle.hub.checkpoint import Checkpoint
from electra_paddle.hub.inputs import is_number, read_label_map
from electra_paddle.hub.tasks.classification import Classification
from electra_paddle.hub.tasks.multi_label import MultiLabelClassification
from electra_paddle.models import pretrained_directory as pretrained
from electra_paddle.models.encoder import speed_up
from electra_paddle.models.initialization import head_value
from electra_paddle.tensors import assign

if TYPE_CHECKING:
    from paddle.nn import Layer
    from paddlenlp.transformers import ElectraConfig

    from electra_paddle.hub.module import ElectraModule
    from electra_paddle.hub.tasks.base import Task


ARGUMENTS = (  # of a module, which mistyped ones may mean
    *("task", "load_checkpoint", "label_map", "num_classes", "suffix", "pretrained", "exported", "class_weights"),
    *("hidden_dropout_prob", "attention_probs_dropout_prob"),
)


def choose_labels(
    label_map: Mapping[int | str, Any] | Sequence[Any] | None,
    num_classes: int,
    own_labels: Sequence[Any] | None,
    assets: Path,
) -> dict[int, Any]:
    """class id -> label.

    Args:
        label_map: the caller's, or None.
        num_classes: the caller's, or that of the weights' own head.
        own_labels: those of the weights' own head; None where it is not used, [] where they are not known.
        assets: folder of the weights, for messages.
    """
    has_own_head = own_labels is not None
    if label_map is None:
        chosen = dict(enumerate(own_labels or range(num_classes)))
    else:
        chosen = read_label_map(label_map)
        if num_classes not in (2, len(chosen)) and not has_own_head:
            raise ConfigError("label_map", f"{len(chosen)} labels", f"{num_classes}, as num_classes says")
    if has_own_head and len(chosen) != num_classes:
        expected = f"{num_classes}, as the weights in {assets} were trained with"
        raise ConfigError("label_map", f"{len(chosen)} labels", expected)
    return chosen


def choose_class_weights(
    wanted: Mapping[Any, float] | None, label_map: Mapping[int, Any], task: Task
) -> list[float] | None:
    """Factors [C] of the losses of the classes; None where all are 1.

    Args:
        wanted: label -> factor; 1 for those that it does not name.

    Raises:
        ConfigError: the task has no such loss, or a label or factor is none.
    """
    if wanted is None:
        return None
    if not isinstance(task, Classification) or isinstance(task, MultiLabelClassification):
        raise ConfigError("class_weights", f"for task {type(task).__name__}", "seq-cls, pair-cls or text-matching")
    labels = list(label_map.values())
    if not isinstance(wanted, Mapping):
        raise ConfigError(
            "class_weights", repr(wanted), f"a mapping of labels to factors such as {{{labels[0]!r}: 2.0}}"
        )
    for label, factor in wanted.items():
        if label not in labels:
            raise ConfigError("class_weights", f"label {label!r}", some_of([repr(each) for each in labels]))
        if not is_number(factor, 0, sys.float_info.max):
            raise ConfigError(f"class_weights[{label!r}]", repr(factor), "a factor, 0 or more")
    return [float(wanted.get(label, 1.0)) for label in labels]


def apply_settings(config: ElectraConfig, settings: Mapping[str, Any]) -> None:
    """Set entries of an ElectraConfig; unknown ones are refused."""
    for key, value in settings.items():
        if key not in {**vars(config), **config.attribute_map}:
            near = difflib.get_close_matches(key, ARGUMENTS, n=1)
            expected = f"{near[0]!r}, perhaps" if near else "an argument of the module or an entry of ElectraConfig"
            raise ConfigError(key, "an unknown argument", expected)
        setattr(config, key, value)


def build_layers(module: ElectraModule, checkpoint: Checkpoint, has_own_head: bool) -> None:
    """Give a module its layers and their values.

    Args:
        checkpoint: fine-tuned parameters, if there are any.
        has_own_head: whether the head comes with the weights.
    """
    handler = module.handler
    arrays, path = pretrained.read_weights(module.assets)
    names = [name.removeprefix("model.") for name in checkpoint.arrays] or (list(arrays) if has_own_head else [])
    encoder = handler.build(module, module.config, names)
    if handler.has_pretrained_head or (has_own_head and not checkpoint.arrays):
        assign(module.model, arrays, path)
    else:
        assign(encoder, arrays, path, prefix=pretrained.ENCODER, allow_extra=True)
        initialize_head(module, encoder)
    if checkpoint.path is not None:
        take_checkpoint(module, checkpoint, encoder)
    speed_up(module.model)


def initialize_head(module: ElectraModule, encoder: Layer) -> None:
    """Fill what is not the encoder's; the same on every process."""
    own = {id(parameter) for parameter in encoder.parameters()}
    for name, parameter in module.named_parameters():
        if id(parameter) not in own:
            parameter.set_value(head_value(name, parameter.shape, seed=0))


def take_checkpoint(module: ElectraModule, checkpoint: Checkpoint, encoder: Layer) -> None:
    """Take fine-tuned parameters; a task that is not learned takes those of the encoder.

    Raises:
        CheckpointError: they do not fit, or say that their head is another task's.
    """
    arrays, path, task = checkpoint.arrays, checkpoint.path, module.task or "embedding"
    if module.handler.is_learned and checkpoint.task is not None and not checkpoint.is_for(task):
        raise CheckpointError(path, f"parameters of task {checkpoint.task!r}", f"those of {task!r}")
    if module.handler.is_learned or module.handler.has_pretrained_head:
        assign(module, arrays, path)
    else:
        names = {name.removeprefix("model.").removeprefix(pretrained.ENCODER): name for name in arrays}
        assign(encoder, {short: arrays[name] for short, name in names.items()}, path, allow_extra=True)
