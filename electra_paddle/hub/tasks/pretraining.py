"""The tasks of pre-training: filling masks, and finding replaced tokens.

Shapes: B batch, L sequence, H hidden, M masks of a batch, V vocabulary.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import compress
from typing import TYPE_CHECKING, Any

import numpy as np
import paddle.nn.functional as F
from paddlenlp.transformers import ElectraDiscriminator, ElectraGenerator

from electra_paddle.errors import DataError
from electra_paddle.hub.tasks.base import Example, Positions, check_probability, encode
from electra_paddle.hub.tasks.candidates import find_candidates, probabilities_at_masks
from electra_paddle.hub.tasks.tokens import TokenTask
from electra_paddle.models.heads import replaced_logits, vocabulary_logits

if TYPE_CHECKING:
    from paddle import Tensor
    from paddle.nn import Layer
    from paddlenlp.transformers import ElectraConfig

    from electra_paddle.arrays import Array
    from electra_paddle.batch import TokenBatch
    from electra_paddle.hub.module import ElectraModule
    from electra_paddle.hub.tasks.base import Options
    from electra_paddle.hub.tasks.tokens import Windows
    from electra_paddle.text import Tokenizer

MASK = "[MASK]"


class ReplacedTokenDetection(TokenTask):
    """The probability that a character is not what once stood there, for every character of the text.

    Characters of one token share its probability; white space and other characters without a token have 0. Asked for
    candidates, the generator says what it finds more probable where a Chinese character is suspected, see
    `find_candidates`; it is always computed by the module's own layers.
    """

    has_pretrained_head = True
    takes = ("candidates", "threshold")

    def build(self, module: ElectraModule, config: ElectraConfig, parameter_names: Sequence[str]) -> Layer:
        module.model = ElectraDiscriminator(config)
        return module.model.electra

    def check_options(self, options: Options) -> None:
        super().check_options(options)
        check_probability("threshold", options.threshold)

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

    def num_values(self, module: ElectraModule, example: Example, options: Options) -> int:
        return super().num_values(module, example, options) * (1 + options.top_k if options.candidates else 1)

    def keep(self, module: ElectraModule, options: Options, arrays: Sequence[Array], *batches: TokenBatch) -> list[Any]:
        """Keep (probabilities [L], candidates) of each row."""
        if not options.candidates:
            return [(row, {}) for row in arrays[0]]
        found = find_candidates(module, options, arrays[0], batches[0], options.top_k + 1)
        return list(zip(arrays[0], found, strict=True))

    def answer(self, module: ElectraModule, example: Example, values: Sequence[Any], options: Options) -> Any:
        """A probability for each character; with candidates what `as_dict` gives."""
        rows, candidates = zip(*values, strict=True)
        probabilities = np.append(self.join(example, rows), 0)  # the last for places of -1
        answer = probabilities[example.notes.places].tolist()
        if not options.candidates:
            return answer
        better, tokens = by_token(example.notes, candidates), module.text_tokenizer.vocabulary.tokens
        text, shown = example.notes.text, []
        for start in np.flatnonzero(np.isin(example.notes.places, list(better))).tolist():
            pairs = [(tokens[token], score) for token, score in better[int(example.notes.places[start])]]
            others = [{"token": token, "score": score} for token, score in pairs if token != text[start]]
            shown.append({"start": start, "original": text[start], "candidates": others[: options.top_k]})
        return {"characters": list(text), "probabilities": answer, "suspects": shown}

    def show(self, tokenizer: Tokenizer, texts: Sequence[str], answer: Any) -> Any:
        return answer if isinstance(answer, dict) else [list(pair) for pair in zip(texts[0], answer, strict=True)]

    def as_dict(self, module: ElectraModule, texts: Sequence[str], answer: Any, options: Options) -> dict[str, Any]:
        return answer if isinstance(answer, dict) else {"characters": list(texts[0]), "probabilities": answer}


def by_token(windows: Windows, values: Sequence[Mapping[int, Any]]) -> dict[int, Any]:
    """Number of a token in its text -> the value of its place in the window that answers for it, where there is one."""
    return {
        start + place - 1: found
        for value, (start, _, first, last) in zip(values, windows.parts, strict=True)
        for place, found in value.items()
        if first <= start + place - 1 < last
    }


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
        return Example(rows, example.notes._replace(parts=parts))

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
