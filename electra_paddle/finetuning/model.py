"""A network as the training loop takes it, and the directory that it is written to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paddle import nn

from electra_paddle.finetuning.ensemble import choices_of
from electra_paddle.finetuning.kinds.base import TASK, task_text
from electra_paddle.finetuning.regularization import training_output
from electra_paddle.models import pretrained_directory as pretrained
from electra_paddle.models.encoder import speed_up, unpadded
from electra_paddle.models.initialization import initialize

if TYPE_CHECKING:
    from electra_paddle.finetuning.job import Job
    from electra_paddle.finetuning.kinds.base import AnyKind


class TaskModel(nn.Layer):
    """A TaskKind's network whose forward pass takes a batch and returns the kind's output."""

    def __init__(self, kind: AnyKind, network: nn.Layer) -> None:
        super().__init__()
        speed_up(network)
        self.kind, self.network = kind, network

    def forward(self, batch: Any) -> Any:
        with unpadded(getattr(batch, "layout", None)):
            if self.training:
                return training_output(self.kind, self.network, batch)
            return self.kind.forward(self.network, batch)


class Ensemble(nn.Layer):
    """Several TaskModels of the same kind that answer as one; it is not trained."""

    def __init__(self, members: Sequence[TaskModel]) -> None:
        super().__init__()
        self.kind, self.members = members[0].kind, nn.LayerList(members)

    def forward(self, batch: Any) -> Any:
        return self.kind.combine(batch, [member(batch) for member in self.members])


AnyModel = TaskModel | Ensemble


def load_finetuned(kind: AnyKind, folders: Sequence[Path]) -> AnyModel:
    """The model of a fine-tuned directory, or the Ensemble of several; its kind is as it was chosen on dev.

    Raises:
        CheckpointError: one is not whole.
    """
    members, kind = [], kind.with_settings(choices_of(folders, kind.chosen))
    for folder in folders:
        network = kind.build_network(pretrained.load_config(folder))
        pretrained.load_model(network, folder)
        members.append(TaskModel(kind, network))
    return Ensemble(members) if len(members) > 1 else members[0]


def build_model(job: Job, seed: int, is_told: bool = True) -> TaskModel:
    """A TaskModel: encoder of the pre-trained model, head from the seed."""
    from paddlenlp.transformers import ElectraConfig

    labels = job.kind.description.classes
    electra_config = ElectraConfig.from_dict(job.network)
    if labels:
        electra_config.id2label = dict(enumerate(labels))
        electra_config.num_labels = len(labels)
    network = job.kind.build_network(electra_config)
    initialize(network, seed)
    if job.source and not job.config.random_init:
        pretrained.load_encoder(network, job.source, is_told)
    return TaskModel(job.kind, network)


def save_finetuned(job: Job, model: TaskModel, trial: int, seed: int, identity: str) -> None:
    """Write the fine-tuned directory of a trial: a pretrained directory, and task.json."""
    config, name = job.config, job.kind.description.name
    card = f"# {config.model_name} fine-tuned on {name}\n\n{config.unit.capitalize()} {trial}, seed {seed}.\n"
    tokenizer, more = job.tokenizer, {TASK: task_text(model.kind, identity)}
    case = tokenizer.do_lower_case, tokenizer.strip_accents
    pretrained.save_pretrained(model.network, job.model_dir(trial), tokenizer.vocabulary, case[0], card, more, case[1])
