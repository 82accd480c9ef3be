"""Texts to padded sequences. Shapes: B batch, L sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from electra_paddle.batch import TokenBatch
from electra_paddle.text.windows import place_windows

if TYPE_CHECKING:
    from electra_paddle.arrays import Array
    from electra_paddle.text import Tokenizer


def encode_pair(tokenizer: Tokenizer, text_a: str, text_b: str | None, max_seq_length: int) -> tuple[list[int], int]:
    """[CLS] a [SEP], or with a second text [CLS] a [SEP] b [SEP], cut to the length.

    Of a pair the longer text loses tokens from its end, the second one where they are as long.

    Returns:
        (ids, position where the second segment begins; the length if there is none).
    """
    vocabulary = tokenizer.vocabulary
    first = tokenizer.encode(text_a)
    if text_b is None:
        ids = [vocabulary.cls, *first[: max_seq_length - 2], vocabulary.sep]
        return ids, len(ids)
    second = tokenizer.encode(text_b)
    excess = max(0, len(first) + len(second) - (max_seq_length - 3))
    for _ in range(excess):
        (first if len(first) > len(second) else second).pop()
    ids = [vocabulary.cls, *first, vocabulary.sep]
    return [*ids, *second, vocabulary.sep], len(ids)


def encode_windows(tokenizer: Tokenizer, text: str, max_seq_length: int, stride: int) -> list[tuple[list[int], int]]:
    """All of a text in windows [CLS] part [SEP] that begin `stride` tokens apart; one where all of it fits.

    Returns:
        (ids, length) of each, as `encode_pair`.
    """
    vocabulary, tokens = tokenizer.vocabulary, tokenizer.encode(text)
    starts, room = place_windows(len(tokens), max_seq_length - 2, stride)
    parts = [[vocabulary.cls, *tokens[start : start + room], vocabulary.sep] for start in starts]
    return [(part, len(part)) for part in parts]


def pad(sequences: Sequence[tuple[Sequence[int] | Array, int]], length: int | None = None) -> TokenBatch:
    """A TokenBatch [B, L] of numpy arrays from (ids, position where the second segment begins) pairs.

    Args:
        length: L; the longest sequence's length unless given.
    """
    shape = (len(sequences), length or max(len(ids) for ids, _ in sequences))
    input_ids, token_type_ids, attention_mask = (np.zeros(shape, np.int64) for _ in range(3))
    for row, (ids, second) in enumerate(sequences):
        input_ids[row, : len(ids)] = ids
        token_type_ids[row, second : len(ids)] = 1
        attention_mask[row, : len(ids)] = 1
    return TokenBatch(input_ids, token_type_ids, attention_mask)
