"""Classes of texts and of pairs of texts. Shapes: B batch, L sequence, H hidden, C classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import paddle
from paddle import nn
from paddlenlp.transformers import ElectraForSequenceClassification, ElectraModel

from electra_paddle.batch import TokenBatch
from electra_paddle.hub.tasks.base import Example, Positions, Task, encode, mean_states
from electra_paddle.models.heads import ElectraClassifier
from electra_paddle.models.probabilities import log_of, softmax
from electra_paddle.models.task_losses import weighted_classification_loss
from electra_paddle.text import encode_pair

if TYPE_CHECKING:
    from paddle import Tensor
    from paddlenlp.transformers import ElectraConfig

    from electra_paddle.arrays import Array
    from electra_paddle.hub.module import ElectraModule
    from electra_paddle.hub.tasks.base import Options
    from electra_paddle.text import Tokenizer


class OfficialClassifier(ElectraForSequenceClassification):
    """The classifier of the official modules, whose head has two layers."""

    def classify(self, hidden: Tensor) -> Tensor:
        """Logits [B, C] of the last hidden states [B, L, H]."""
        return self.classifier(hidden)


class Classification(Task):
    """A class of a text, or of a pair in one sequence, with the reference's head: a single dense layer.

    Checkpoints of the official modules have two, and bring them along.
    """

    num_texts: ClassVar[tuple[int, ...]] = (1, 2)
    has_classes = True
    is_learned = True
    trained_by: ClassVar[str | None] = "ElectraClassifier"

    def build(self, module: ElectraModule, config: ElectraConfig, parameter_names: Sequence[str]) -> nn.Layer:
        is_official = "classifier.dense.weight" in parameter_names
        module.model = (OfficialClassifier if is_official else ElectraClassifier)(config)
        return module.model.electra

    def forward(self, module: ElectraModule, *batches: TokenBatch, position_ids: Positions = (None, None)) -> Tensor:
        hidden = encode(module.model.electra, batches[0], position_ids[0])  # [B, L, H]
        return module.model.classify(hidden)  # [B, C]

    def answer(
        self, module: ElectraModule, example: Example, values: Sequence[Any], options: Options
    ) -> tuple[Any, list[float]]:
        probabilities = self.pool(values)
        return module.label_map[int(probabilities.argmax())], probabilities.tolist()

    def pool(self, values: Sequence[Array]) -> Array:
        """Probabilities [C] of a text from those of its windows: the softmax of the mean of their logits."""
        if len(values) == 1:
            return values[0]
        return softmax(log_of(values).mean(axis=0))

    def weighted_loss(self, logits: Tensor, labels: Tensor, class_weights: Sequence[float]) -> Tensor:
        """Mean loss of logits [B, C] and labels [B] or [B, 1], that of each class times its factor in [C]."""
        labels = labels.reshape([-1])
        return weighted_classification_loss(logits, labels, paddle.ones(labels.shape), class_weights) / len(labels)

    def show(self, tokenizer: Tokenizer, texts: Sequence[str], answer: Any) -> dict[str, Any]:
        label, probabilities = answer
        return {"label": label, "probability": max(probabilities)}

    def as_dict(self, module: ElectraModule, texts: Sequence[str], answer: Any, options: Options) -> dict[str, Any]:
        """{"label", "score": its probability, "probabilities": {label: probability}}."""
        label, probabilities = answer
        return {"label": label, "score": max(probabilities), "probabilities": by_label(module, probabilities)}


def by_label(module: ElectraModule, probabilities: Sequence[float]) -> dict[str, float]:
    """{label: probability}; labels are strings, as keys are in JSON."""
    return {str(label): value for label, value in zip(module.label_map.values(), probabilities, strict=True)}


class PairClassification(Classification):
    """A class of two texts in one sequence, as LCQMC, BQ and XNLI are published: the reference's head."""

    num_texts = (2,)

    def build(self, module: ElectraModule, config: ElectraConfig, parameter_names: Sequence[str]) -> nn.Layer:
        module.model = ElectraClassifier(config)
        return module.model.electra


class TextMatching(Classification):
    """A class of two texts, each encoded for itself: a dense layer on both mean states and their difference."""

    num_texts = (2,)
    inputs = ("query_", "title_")
    trained_by = None
    batch_names = ("query_input_ids", "query_token_type_ids", "title_input_ids", "title_token_type_ids", "labels")

    def build(self, module: ElectraModule, config: ElectraConfig, parameter_names: Sequence[str]) -> nn.Layer:
        module.model = ElectraModel(config)
        module.dropout = nn.Dropout(0.1)
        module.classifier = nn.Linear(3 * config.hidden_size, module.num_classes)
        return module.model

    def encode(self, tokenizer: Tokenizer, texts: Sequence[str], options: Options) -> Example:
        return Example([tuple(encode_pair(tokenizer, text, None, options.max_seq_len) for text in texts)])

    def forward(self, module: ElectraModule, *batches: TokenBatch, position_ids: Positions = (None, None)) -> Tensor:
        """Logits [B, C]."""
        first = mean_states(module.model, batches[0], position_ids[0], module.dropout)  # [B, H]
        second = mean_states(module.model, batches[1], position_ids[1], module.dropout)  # [B, H]
        return module.classifier(paddle.concat([first, second, (first - second).abs()], axis=-1))
