"""Task heads on the discriminator's encoder. Shapes: B batch, L sequence, H hidden, C classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import paddle.nn.functional as F
from paddle import nn
from paddlenlp.transformers import ElectraModel
from paddlenlp.transformers.electra.modeling import ElectraPretrainedModel

from electra_paddle.models.encoder import linear

if TYPE_CHECKING:
    from paddle import Tensor
    from paddlenlp.transformers import ElectraConfig


class HiddenClassifier(nn.Layer):
    """The two layers of Hugging Face's and PaddleNLP's classifiers, GELU between them."""

    def __init__(self, config: ElectraConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.out_proj = nn.Linear(config.hidden_size, config.num_labels)

    def forward(self, states: Tensor) -> Tensor:
        """Logits [B, C] of states [B, H]."""
        return self.out_proj(self.dropout(F.gelu(self.dense(states))))


class ElectraClassifier(ElectraPretrainedModel):
    """A single dense layer on the last hidden state of [CLS], as the original classifies.

    PaddleNLP's ElectraForSequenceClassification has one more layer, which `hidden_classifier` in the configuration of
    converted models says.

    Args:
        config: an ElectraConfig with `num_labels`.
    """

    def __init__(self, config: ElectraConfig) -> None:
        super().__init__(config)
        self.electra = ElectraModel(config)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        head = HiddenClassifier(config) if getattr(config, "hidden_classifier", False) else None
        self.classifier = head or nn.Linear(config.hidden_size, config.num_labels)

    def forward(
        self,
        input_ids: Tensor,
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
    ) -> Tensor:
        """Logits [B, C] of sequences [B, L]; without a mask, padding is where `input_ids` is 0."""
        if attention_mask is None:
            attention_mask = (input_ids != self.electra.pad_token_id).astype("int64")
        hidden = self.electra(
            input_ids, token_type_ids=token_type_ids, position_ids=position_ids, attention_mask=attention_mask
        )  # [B, L, H]
        return self.classify(hidden)

    def classify(self, hidden: Tensor) -> Tensor:
        """Logits [B, C] of the last hidden states [B, L, H]."""
        return self.classifier(self.dropout(hidden[:, 0]))


class ElectraMultiLabelClassifier(ElectraClassifier):
    """An ElectraClassifier each of whose logits is that of one label for itself: its sigmoid is the probability."""


class ElectraRegressor(ElectraClassifier):
    """An ElectraClassifier with one output [B, 1]: a number."""

    def __init__(self, config: ElectraConfig) -> None:
        config.num_labels = 1
        super().__init__(config)


class ElectraChoiceScorer(ElectraRegressor):
    """An ElectraRegressor whose number is the logit of a choice among others."""


class ElectraTagger(ElectraPretrainedModel):
    """A single dense layer on the last hidden state of every token, under the names of PaddleNLP's.

    Args:
        config: an ElectraConfig with `num_labels`.
    """

    def __init__(self, config: ElectraConfig) -> None:
        super().__init__(config)
        self.electra = ElectraModel(config)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)

    def forward(
        self, input_ids: Tensor, token_type_ids: Tensor | None = None, attention_mask: Tensor | None = None
    ) -> Tensor:
        """Logits [B, L, C] of sequences [B, L]; without a mask, padding is where `input_ids` is 0."""
        if attention_mask is None:
            attention_mask = (input_ids != self.electra.pad_token_id).astype("int64")
        hidden = self.electra(input_ids, token_type_ids=token_type_ids, attention_mask=attention_mask)  # [B, L, H]
        return self.classifier(hidden)  # [B, L, C]


def vocabulary_logits(generator: nn.Layer, hidden: Tensor) -> Tensor:
    """Logits [..., V] of a PaddleNLP ElectraGenerator at hidden states [..., H]: the head of pre-training.

    The word embeddings are the output layer, as in the original.
    """
    states = generator.generator_predictions(hidden)  # [..., E]
    embeddings = generator.electra.embeddings.word_embeddings.weight  # [V, E]
    return linear(states, embeddings, generator.generator_lm_head_bias, transposed=True)


def replaced_logits(discriminator: nn.Layer, hidden: Tensor) -> Tensor:
    """Logits [...] of being replaced, of a PaddleNLP ElectraDiscriminator at hidden states [..., H].

    The head is called by part: its own forward pass squeezes a batch of one.
    """
    head = discriminator.discriminator_predictions
    return head.dense_prediction(head.act(head.dense(hidden))).squeeze(-1)
