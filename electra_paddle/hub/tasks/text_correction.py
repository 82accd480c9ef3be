"""Correcting characters: the discriminator says which look wrong, the generator which stand there better.

Shapes: B batch, L sequence, V vocabulary.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import paddle
from paddlenlp.transformers import ElectraGenerator

from electra_paddle.batch import TokenBatch
from electra_paddle.errors import CheckpointError
from electra_paddle.hub.tasks.base import Example, check_probability
from electra_paddle.hub.tasks.pretraining import ReplacedTokenDetection, probabilities_at_masks
from electra_paddle.hub.weights import check_generator
from electra_paddle.models import pretrained_directory as pretrained
from electra_paddle.models.encoder import speed_up
from electra_paddle.tensors import assign
from electra_paddle.text.characters import is_ideograph

if TYPE_CHECKING:
    from paddle.nn import Layer
    from paddlenlp.transformers import ElectraConfig

    from electra_paddle.arrays import Array
    from electra_paddle.hub.module import ElectraModule
    from electra_paddle.hub.tasks.base import Options
    from electra_paddle.text import Tokenizer, Vocabulary

THRESHOLD = 0.5  # where the discriminator itself would decide
APART = 16  # which leaves 15 in 16 tokens as they are; in pre-training 15% are masked
MIN_SCORE = 0.5  # more probable than all other tokens together


class TextCorrection(ReplacedTokenDetection):
    """Chinese characters that are replaced by more probable ones, see `answer`.

    The discriminator's probability that a character is not what once stood there reaches `threshold`; the generator,
    which sees [MASK] in its place, finds another character the most probable, with a probability of `min_score` at
    least. In a copy of a window such characters are masked that are APART tokens apart at least: the generator so sees
    the characters beside each, most of which are right even where they are suspected; and a window has APART copies at
    most, however many of its characters are suspected. Only Chinese characters are suspected and suggested; what is
    not in the vocabulary stays.

    Engines compute the discriminator, the generator is always computed by the module's own layers.
    """

    second_component = "generator"
    takes = ("threshold", "min_score")

    def build(self, module: ElectraModule, config: ElectraConfig, parameter_names: Sequence[str]) -> Layer:
        folder = module.second_assets
        check_generator(folder)
        generator = pretrained.load_config(folder)
        if pretrained.load_tokenizer(folder).vocabulary.tokens != module.text_tokenizer.vocabulary.tokens:
            raise CheckpointError(folder, "another vocabulary", f"that of {module.assets}, of the same pre-training")
        if generator.max_position_embeddings < config.max_position_embeddings:
            found, expected = generator.max_position_embeddings, config.max_position_embeddings
            raise CheckpointError(folder, f"{found} positions", f"{expected}, as in {module.assets}")
        module.generator = ElectraGenerator(generator)
        assign(module.generator, *pretrained.read_weights(folder))
        speed_up(module.generator)
        return super().build(module, config, parameter_names)

    def check_options(self, options: Options) -> None:
        super().check_options(options)
        check_probability("threshold", options.threshold)
        check_probability("min_score", options.min_score)

    def encode(self, tokenizer: Tokenizer, texts: Sequence[str], options: Options) -> Example:
        example = super().encode(tokenizer, texts, options)
        return example._replace(notes=(texts[0], example.notes))

    def keep(self, module: ElectraModule, options: Options, arrays: Sequence[Array], *batches: TokenBatch) -> list[Any]:
        """Keep the corrections of each row: place -> (id of the better token, score)."""
        (batch,), threshold = batches, THRESHOLD if options.threshold is None else options.threshold
        min_score = MIN_SCORE if options.min_score is None else options.min_score
        is_candidate = chinese_characters(module.text_tokenizer.vocabulary)  # [V]
        suspected = (arrays[0] >= threshold) & is_candidate[batch.input_ids]  # [B, L]
        copies = [
            (row, group) for row, is_wrong in enumerate(suspected) for group in apart(np.flatnonzero(is_wrong).tolist())
        ]
        found: list[dict[int, tuple[int, float]]] = [{} for _ in batch.input_ids]
        for start in range(0, len(copies), options.batch_size):
            some = copies[start : start + options.batch_size]
            places = [(row, place) for row, group in some for place in group]
            tokens, scores = best_tokens(module, batch, some, is_candidate)
            for (row, place), token, score in zip(places, tokens.tolist(), scores.tolist(), strict=True):
                if token != batch.input_ids[row, place] and score >= min_score:
                    found[row][place] = token, score
        return found

    def answer(self, module: ElectraModule, example: Example, values: Sequence[Any], options: Options) -> Any:
        """{"text", "corrected", "edits": [{"start", "original", "suggestion", "score"}]}.

        `text[start]` is the original and `corrected[start]` the suggestion; the score is the generator's probability.
        """
        text, (parts, places) = example.notes
        better = {
            start + place - 1: correction
            for value, (start, _, first, last) in zip(values, parts, strict=True)
            for place, correction in value.items()
            if first <= start + place - 1 < last
        }
        corrected, edits = list(text), []
        for position in np.flatnonzero(np.isin(places, list(better))).tolist():
            token, score = better[int(places[position])]
            suggestion = corrected[position] = module.text_tokenizer.vocabulary.tokens[token]
            edit = {"start": position, "original": text[position], "suggestion": suggestion, "score": score}
            edits.append(edit)
        return {"text": text, "corrected": "".join(corrected), "edits": edits}

    def show(self, tokenizer: Tokenizer, texts: Sequence[str], answer: Any) -> Any:
        return answer

    def as_dict(self, module: ElectraModule, texts: Sequence[str], answer: Any, options: Options) -> dict[str, Any]:
        corrections: dict[str, Any] = answer
        return corrections


def apart(places: Sequence[int]) -> list[list[int]]:
    """Ascending places in groups, in each of which they are APART tokens apart at least; as few groups as possible."""
    groups: list[list[int]] = []
    for place in places:
        group = next((group for group in groups if place - group[-1] >= APART), None)
        if group is None:
            groups.append([place])
        else:
            group.append(place)
    return groups


def best_tokens(
    module: ElectraModule, batch: TokenBatch, copies: Sequence[tuple[int, list[int]]], is_candidate: Array
) -> tuple[Array, Array]:
    """(ids, probabilities) of the candidates that the generator finds most probable, for each place of each copy.

    Args:
        batch: arrays [B, L].
        copies: (row, ascending places that are masked in a copy of it) pairs.
        is_candidate: [V].
    """
    masked = TokenBatch(*(array[[row for row, _ in copies]] for array in batch))  # [copies, L]
    for ids, (_, places) in zip(masked.input_ids, copies, strict=True):
        ids[places] = module.text_tokenizer.vocabulary.mask
    with paddle.no_grad():
        tensors = TokenBatch(*map(paddle.to_tensor, masked))
        probabilities = probabilities_at_masks(module.generator, tensors, module.text_tokenizer.vocabulary).numpy()
    probabilities[:, ~is_candidate] = -1
    return probabilities.argmax(axis=-1), probabilities.max(axis=-1)


@functools.lru_cache(maxsize=8)
def chinese_characters(vocabulary: Vocabulary) -> Array:
    """[V], whether a token is a single Chinese character."""
    return np.array([len(token) == 1 and is_ideograph(token) for token in vocabulary.tokens])
