"""Labels of tokens. Shapes: B batch, L sequence, H hidden, C classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import paddle
import paddle.nn.functional as F
from paddlenlp.metrics import ChunkEvaluator

from electra_paddle.hub.tasks.base import SPLIT_CHAR, Positions, encode
from electra_paddle.hub.tasks.tokens import TokenTask
from electra_paddle.models.heads import ElectraTagger

if TYPE_CHECKING:
    from paddle import Tensor
    from paddle.nn import Layer
    from paddlenlp.transformers import ElectraConfig

    from electra_paddle.arrays import Array
    from electra_paddle.batch import TokenBatch
    from electra_paddle.hub.module import ElectraModule
    from electra_paddle.hub.tasks.base import Example, Options
    from electra_paddle.text import Tokenizer

IGNORED_LABEL = -100  # of padding, in PaddleHub's data sets


class TokenClassification(TokenTask):
    """A label for each token of the caller's, by its first piece: those between `split_char`s where the text holds
    any, and else those of the tokenizer.
    """

    has_classes = True
    is_learned = True
    trained_by = "ElectraTagger"
    batch_names = ("input_ids", "token_type_ids", "seq_lengths", "labels")
    components = [("HighlightedText", {"label": "labels"})]

    def build(self, module: ElectraModule, config: ElectraConfig, parameter_names: Sequence[str]) -> Layer:
        module.model = ElectraTagger(config)
        return module.model.electra

    def tokens(self, tokenizer: Tokenizer, text: str, options: Options) -> tuple[list[int], Array]:
        if options.split_char not in text:
            ids = tokenizer.encode(text) or [tokenizer.vocabulary.unk]
            return ids, np.arange(len(ids))
        words = text.split(options.split_char)
        encoded = tokenizer.encode_lines("\n".join(word.replace("\n", " ") for word in words))
        ends = encoded.line_ends.tolist()
        ids, places = [], []
        for start, end in zip([0, *ends[:-1]], ends, strict=True):
            places.append(len(ids))
            ids += encoded.ids[start:end].tolist() or [tokenizer.vocabulary.unk]  # some characters make no token
        return ids, np.array(places)

    def forward(self, module: ElectraModule, *batches: TokenBatch, position_ids: Positions = (None, None)) -> Tensor:
        hidden = encode(module.model.electra, batches[0], position_ids[0])  # [B, L, H]
        return module.model.classifier(hidden)  # [B, L, C]

    def answer(
        self, module: ElectraModule, example: Example, values: Sequence[Any], options: Options
    ) -> tuple[list[Any], list[list[float]]]:
        probabilities = self.join(example, values)[example.notes.places]  # [tokens, C]
        return [module.label_map[number] for number in probabilities.argmax(-1).tolist()], probabilities.tolist()

    def show(self, tokenizer: Tokenizer, texts: Sequence[str], answer: Any) -> Any:
        if SPLIT_CHAR in texts[0]:
            return [list(pair) for pair in zip(texts[0].split(SPLIT_CHAR), answer[0], strict=True)]
        _, starts, ends = tokenizer.encode_with_offsets(texts[0])
        pieces = [texts[0][start:end] for start, end in zip(starts, ends, strict=True)] or [texts[0]]
        return [list(pair) for pair in zip(pieces, answer[0], strict=True)]

    def view(self, module: ElectraModule, texts: Sequence[str], answer: Any) -> list[Any]:
        pairs = self.show(module.text_tokenizer, texts, answer)
        return [[(token, None if label == "O" else str(label)) for token, label in pairs]]

    def make_metric(self, label_map: Mapping[int, Any], suffix: bool) -> Any:
        return ChunkEvaluator([str(label) for label in label_map.values()], suffix=suffix)

    def supervise(
        self, metric: Any, logits: Tensor, probabilities: Tensor, labels: Tensor
    ) -> tuple[Tensor, dict[str, float]]:
        """(mean loss, {metric: value}) of logits and probabilities [B, L, C]."""
        loss = F.cross_entropy(logits, labels, ignore_index=IGNORED_LABEL, reduction="sum")
        num_labels = (labels != IGNORED_LABEL).sum().clip(min=1)  # Paddle's own mean counts the ignored ones too
        return loss / num_labels.astype(loss.dtype), {"f1_score": chunk_f1(metric, probabilities, labels)}


def chunk_f1(metric: Any, probabilities: Tensor, labels: Tensor) -> float:
    """F1 of the entities in [B, L, C]; what has no label counts nothing."""
    predicted, right = probabilities.argmax(-1).numpy(), labels.numpy()  # [B, L]
    has_label = right != IGNORED_LABEL
    lengths = has_label.sum(axis=1)
    packed = np.zeros((2, *right.shape), right.dtype)  # those with a label, without gaps
    for row, length in enumerate(lengths):
        packed[:, row, :length] = predicted[row][has_label[row]], right[row][has_label[row]]
    counts = metric.compute(lengths, *map(paddle.to_tensor, packed))
    metric.update(*(count.numpy() for count in counts))
    return float(metric.accumulate()[2])
