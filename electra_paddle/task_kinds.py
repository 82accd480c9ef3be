"""The kinds of tasks: one entry says who fine-tunes a kind, which head it has, and which hub task answers it.

A kind of your own is one more entry, made by `register_kind` before its first use; nothing else has to be edited.
"""

import importlib
from typing import NamedTuple

from electra_paddle.errors import ConfigError


class KindEntry(NamedTuple):
    """The parts of a kind. Classes are named as "module:Class" and loaded when they are first used."""

    name: str  # as a task's description says it: `kind: classification`
    finetuning: str  # subclass of finetuning's TaskKind
    architecture: str  # class of its network, as config.json of a fine-tuned directory names it
    hub_task: str  # name of the task with which a hub module answers it
    hub: str  # subclass of hub's Task; the page for the browser shows its `as_dict`


KINDS: dict[str, KindEntry] = {}


def register_kind(entry: KindEntry) -> None:
    """Make a kind known.

    Raises:
        ConfigError: another kind has this name or architecture.
    """
    for known in KINDS.values():
        if entry != known and (entry.name == known.name or entry.architecture == known.architecture):
            raise ConfigError(
                f"kind {entry.name}",
                f"architecture {entry.architecture}",
                "a name and an architecture that no other kind has",
                f"{known.name} has {known.architecture}",
            )
    KINDS[entry.name] = entry


def load_class(name: str) -> type:
    """The class that "module:Class" names.

    Within the copy of this package that an exported hub module holds, names of this package mean the copy's.
    """
    module, _, attribute = name.partition(":")
    root, own = __name__.rpartition(".")[0], "electra_paddle."
    if module.startswith(own):
        module = f"{root}.{module.removeprefix(own)}"
    return getattr(importlib.import_module(module), attribute)


def kind_of_architecture(architecture: str) -> KindEntry | None:
    """The kind whose fine-tuned directories have this architecture; None if there is none."""
    return next((entry for entry in KINDS.values() if entry.architecture == architecture), None)


for _entry in (
    KindEntry(
        "classification",
        "electra_paddle.finetuning.kinds.classification:Classification",
        "ElectraClassifier",
        "seq-cls",
        "electra_paddle.hub.tasks.classification:Classification",
    ),
    KindEntry(
        "tagging",
        "electra_paddle.finetuning.kinds.tagging:Tagging",
        "ElectraTagger",
        "token-cls",
        "electra_paddle.hub.tasks.tagging:TokenClassification",
    ),
    KindEntry(
        "reading_comprehension",
        "electra_paddle.finetuning.kinds.reading_comprehension:ReadingComprehension",
        "ElectraReader",
        "question-answering",
        "electra_paddle.hub.tasks.question_answering:QuestionAnswering",
    ),
    KindEntry(
        "multi_label",
        "electra_paddle.finetuning.kinds.multi_label:MultiLabel",
        "ElectraMultiLabelClassifier",
        "multi-label-cls",
        "electra_paddle.hub.tasks.multi_label:MultiLabelClassification",
    ),
    KindEntry(
        "regression",
        "electra_paddle.finetuning.kinds.regression:Regression",
        "ElectraRegressor",
        "regression",
        "electra_paddle.hub.tasks.regression:Regression",
    ),
    KindEntry(
        "multiple_choice",
        "electra_paddle.finetuning.kinds.multiple_choice:MultipleChoice",
        "ElectraChoiceScorer",
        "multiple-choice",
        "electra_paddle.hub.tasks.multiple_choice:MultipleChoice",
    ),
):
    register_kind(_entry)
