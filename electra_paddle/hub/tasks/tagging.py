"""Labels of tokens. Shapes: B batch, L sequence, H hidden, C classes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import paddle
import paddle.nn.functional as F
from paddlenlp.metrics import ChunkEvaluator

from electra_paddle.hub.notes import note
from electra_paddle.hub.tasks.base import SPLIT_CHAR, Positions, encode
from electra_paddle.hub.tasks.tokens import TokenTask
from electra_paddle.models.heads import ElectraTagger
from electra_paddle.text.tag_schemes import are_letters_alone, entities_of

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


class TokenLabels(list[Any]):
    """The labels of a text's tokens.

    PaddleHub's modules 2.0.2 gave labels of [CLS], [SEP] and padding besides, and their scripts take
    `labels[1 : len(text) + 1]`. A slice from 1 to beyond the end is that, and means all labels here. What others from 1
    mean cannot be known; they are those of a list, and it is said.
    """

    def __getitem__(self, place: Any) -> Any:
        if not isinstance(place, slice) or place.start != 1 or place.step is not None or not self:
            return super().__getitem__(place)
        if place.stop is not None and place.stop > len(self):
            note(
                "labels[1 : len(text) + 1] is read as in scripts for 2.0.2: all labels, which have no [CLS] before them"
            )
            return list(self)
        note(
            "labels[1:...] leaves the first token's label out; unlike those of 2.0.2, labels have no [CLS] before them"
        )
        return super().__getitem__(place)


class TokenClassification(TokenTask):
    """A label for each token of the caller's, by its first piece: those between `split_char`s where the text holds
    any, and else those of the tokenizer.
    """

    has_classes = True
    is_learned = True
    trained_by = "ElectraTagger"
    batch_names = ("input_ids", "token_type_ids", "seq_lengths", "labels")

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
        labels = [module.label_map[number] for number in probabilities.argmax(-1).tolist()]
        return TokenLabels(labels), probabilities.tolist()

    def show(self, tokenizer: Tokenizer, texts: Sequence[str], answer: Any) -> Any:
        if SPLIT_CHAR in texts[0]:
            return [list(pair) for pair in zip(texts[0].split(SPLIT_CHAR), answer[0], strict=True)]
        _, starts, ends = tokenizer.encode_with_offsets(texts[0])
        pieces = [texts[0][start:end] for start, end in zip(starts, ends, strict=True)] or [texts[0]]
        return [list(pair) for pair in zip(pieces, answer[0], strict=True)]

    def as_dict(self, module: ElectraModule, texts: Sequence[str], answer: Any, options: Options) -> dict[str, Any]:
        """{"text", "tokens": [{"text", "start", "end", "label", "probability"}], "entities": see `entities`}.

        Places are those of characters in "text": the caller's, without `split_char`s.
        """
        labels, probabilities = answer
        text, spans, begins_word = layout(module.text_tokenizer, texts[0], options.split_char)
        tokens = [
            {"text": text[start:end], "start": start, "end": end, "label": label, "probability": max(probability)}
            for (start, end), label, probability in zip(spans, labels, probabilities, strict=True)
        ]
        known, words = [str(label) for label in module.label_map.values()], merge_pieces(spans, begins_word)
        word_labels = [str(label) for label, begins in zip(labels, begins_word, strict=True) if begins]
        return {"text": text, "tokens": tokens, "entities": entities(text, words, word_labels, known, module.suffix)}

    def make_metric(self, label_map: Mapping[int, Any], suffix: bool) -> Any:
        return ChunkEvaluator([str(label) for label in label_map.values()], suffix=suffix)

    def supervise(
        self, metric: Any, logits: Tensor, probabilities: Tensor, labels: Tensor
    ) -> tuple[Tensor, dict[str, float]]:
        """(mean loss, {metric: value}) of logits and probabilities [B, L, C]."""
        loss = F.cross_entropy(logits, labels, ignore_index=IGNORED_LABEL, reduction="sum")
        num_labels = (labels != IGNORED_LABEL).sum().clip(min=1)  # Paddle's own mean counts the ignored ones too
        return loss / num_labels.astype(loss.dtype), {"f1_score": chunk_f1(metric, probabilities, labels)}


def entities(
    text: str, spans: Sequence[tuple[int, int]], labels: Sequence[str], known: Sequence[str], suffix: bool = False
) -> list[dict[str, Any]]:
    """The entities that labels mark, by BIO, BIOES, BMES and the like: [{"text", "type", "start", "end"}].

    `text[start:end]` is the entity. Its type is the class of its labels, None where they are letters alone, as in the
    segmentation of words.

    Args:
        spans: (start, end) in the text of each token.
        labels: of each token.
        known: all labels that there are.
        suffix: whether the letters stand behind the classes.

    Returns:
        no entities where the labels mark none, as those of parts of speech.
    """
    if suffix:
        labels, known = ([letter_first(label) for label in each] for each in (labels, known))
    found = entities_of(labels, has_classes=not are_letters_alone(known))
    places = [(entity.type, spans[entity.first][0], spans[entity.last][1]) for entity in found]
    return [{"text": text[start:end], "type": name, "start": start, "end": end} for name, start, end in places]


def letter_first(label: str) -> str:
    """B-PER for PER-B."""
    name, dash, letter = label.rpartition("-")
    return f"{letter}{dash}{name}"


def layout(tokenizer: Tokenizer, text: str, split_char: str) -> tuple[str, list[tuple[int, int]], list[bool]]:
    """(text without `split_char`s, (start, end) in it of each token that has a label, whether each begins a word)."""
    if split_char in text:
        words = text.split(split_char)
        ends = np.cumsum([0, *map(len, words)]).tolist()
        return "".join(words), list(itertools.pairwise(ends)), [True] * len(words)
    ids, starts, ends = tokenizer.encode_with_offsets(text)
    spans = list(zip(starts, ends, strict=True)) or [(0, len(text))]  # the label of [UNK]
    tokens = tokenizer.vocabulary.tokens
    return text, spans, [not tokens[number].startswith("##") for number in ids] or [True]


def merge_pieces(spans: Sequence[tuple[int, int]], begins_word: Sequence[bool]) -> list[tuple[int, int]]:
    """(start, end) of each word: heads are trained on its first piece, whose label is that of all of them."""
    words: list[tuple[int, int]] = []
    for (start, end), begins in zip(spans, begins_word, strict=True):
        words.append((start, end) if begins else (words.pop()[0], end))
    return words


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
