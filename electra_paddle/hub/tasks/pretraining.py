"""The tasks of pre-training: filling masks, and finding replaced tokens.

Shapes: B batch, L sequence, H hidden, E embedding, M masks of a batch, V vocabulary.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import compress
from typing import TYPE_CHECKING, Any

import numpy as np
import paddle
import paddle.nn.functional as F
from paddlenlp.transformers import ElectraDiscriminator, ElectraGenerator

from electra_paddle.errors import DataError
from electra_paddle.hub.tasks.base import Example, Positions, encode
from electra_paddle.hub.tasks.tokens import TokenTask, Windows
from electra_paddle.models.heads import replaced_logits, vocabulary_logits

if TYPE_CHECKING:
    from paddle import Tensor
    from paddle.nn import Layer
    from paddlenlp.transformers import ElectraConfig

    from electra_paddle.arrays import Array
    from electra_paddle.batch import TokenBatch
    from electra_paddle.hub.module import ElectraModule
    from electra_paddle.hub.tasks.base import Options
    from electra_paddle.text import Tokenizer, Vocabulary

MASK = "[MASK]"


class ReplacedTokenDetection(TokenTask):
    """The probability that a character is not what once stood there, for every character of the text.

    Characters of one token share its probability; white space and other characters without a token have 0.
    """

    has_pretrained_head = True

    def build(self, module: ElectraModule, config: ElectraConfig, parameter_names: Sequence[str]) -> Layer:
        module.model = ElectraDiscriminator(config)
        return module.model.electra

    def tokens(self, tokenizer: Tokenizer, text: str, options: Options) -> tuple[list[int], Array]:
        ids, starts, ends = tokenizer.encode_with_offsets(text)
        places = np.full(len(text), -1)
        for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
            places[start:end] = number
        return ids, places

    def forward(self, module: ElectraModule, *batches: TokenBatch, position_ids: Positions = (None, None)) -> Tensor:
        """Logits [B, L]."""
        hidden = encode(module.model.electra, batches[0], position_ids[0])  # [B, L, H]
        return replaced_logits(module.model, hidden)

    def compute(self, module: ElectraModule, *batches: TokenBatch) -> tuple[Tensor, ...]:
        return (F.sigmoid(self.forward(module, *batches)),)  # [B, L]

    def answer(self, module: ElectraModule, example: Example, values: Sequence[Any], options: Options) -> list[float]:
        probabilities = np.append(self.join(example, values), 0)  # the last for places of -1
        return probabilities[example.notes.places].tolist()

    def show(self, tokenizer: Tokenizer, texts: Sequence[str], answer: Any) -> Any:
        return [list(pair) for pair in zip(texts[0], answer, strict=True)]

    def as_dict(self, module: ElectraModule, texts: Sequence[str], answer: Any, options: Options) -> dict[str, Any]:
        return {"characters": list(texts[0]), "probabilities": answer}


class FillMask(TokenTask):
    """The most probable tokens for every [MASK] of the text: a list of {"token", "score"} for each."""

    component = "generator"
    has_pretrained_head = True

    def build(self, module: ElectraModule, config: ElectraConfig, parameter_names: Sequence[str]) -> Layer:
        module.model = ElectraGenerator(config)
        return module.model.electra

    def tokens(self, tokenizer: Tokenizer, text: str, options: Options) -> tuple[list[int], Array]:
        parts = re.split(re.escape(MASK), text)
        if len(parts) == 1:
            raise DataError("data", f"a text without {MASK} ({text[:20]!r})", f"{MASK} where a token is to be found")
        ids = tokenizer.encode(parts[0])
        places = []
        for part in parts[1:]:
            places.append(len(ids))
            ids += [tokenizer.vocabulary.mask, *tokenizer.encode(part)]
        return ids, np.array(places)

    def encode(self, tokenizer: Tokenizer, texts: Sequence[str], options: Options) -> Example:
        example = super().encode(tokenizer, texts, options)
        places = example.notes.places
        is_asked = [((first <= places) & (places < last)).any() for _, _, first, last in example.notes.parts]
        parts, rows = (list(compress(each, is_asked)) for each in (example.notes.parts, example.rows))
        return Example(rows, Windows(parts, places))

    def forward(self, module: ElectraModule, *batches: TokenBatch, position_ids: Positions = (None, None)) -> Tensor:
        """Logits [B, L, V]."""
        return vocabulary_logits(module.model, encode(module.model.electra, batches[0], position_ids[0]))

    def compute(self, module: ElectraModule, *batches: TokenBatch) -> tuple[Tensor, ...]:
        """Probabilities [M, V] at the masks alone, in the order of rows and places."""
        return (probabilities_at_masks(module.model, batches[0], module.text_tokenizer.vocabulary),)

    def num_values(self, module: ElectraModule, example: Example, options: Options) -> int:
        return len(example.notes.places) * min(options.top_k, int(module.config.vocab_size))

    def keep(self, module: ElectraModule, options: Options, arrays: Sequence[Array], *batches: TokenBatch) -> list[Any]:
        """Keep the best tokens of each row: place -> (ids, scores)."""
        found: list[dict[int, tuple[list[int], list[float]]]] = [{} for _ in batches[0].input_ids]
        masks = np.argwhere(batches[0].input_ids == module.text_tokenizer.vocabulary.mask).tolist()  # [M, 2]
        for (row, place), scores in zip(masks, arrays[0], strict=True):
            best = np.argsort(-scores, kind="stable")[: options.top_k]
            found[row][place] = best.tolist(), scores[best].tolist()
        return found

    def answer(
        self, module: ElectraModule, example: Example, values: Sequence[Any], options: Options
    ) -> list[list[dict[str, Any]]]:
        tokens, answers = module.text_tokenizer.vocabulary.tokens, []
        for place in example.notes.places.tolist():
            for value, (start, _, first, last) in zip(values, example.notes.parts, strict=True):
                if first <= place < last:
                    pairs = zip(*value[1 + place - start], strict=True)
                    answers.append([{"token": tokens[token], "score": score} for token, score in pairs])
        return answers

    def as_dict(self, module: ElectraModule, texts: Sequence[str], answer: Any, options: Options) -> dict[str, Any]:
        return {"masks": answer}


def probabilities_at_masks(generator: Layer, batch: TokenBatch, vocabulary: Vocabulary) -> Tensor:
    """Those of all tokens [M, V] at the masks of a TokenBatch of tensors, in the order of rows and places."""
    hidden = encode(generator.electra, batch)  # [B, L, H]
    masks = paddle.nonzero(batch.input_ids == vocabulary.mask)  # [M, 2]
    return F.softmax(vocabulary_logits(generator, paddle.gather_nd(hidden, masks)), axis=-1)
