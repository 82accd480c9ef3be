"""Sentences to examples of one or two segments.

Three rules deal sentences out. `google` is the original's since 2020-03-16, `hfl` the one before it, which the
Chinese release kept: under it the first segment of most pairs is empty. Source: `build_pretraining_dataset.py` of
google-research/electra and of Chinese-ELECTRA. Both drop what does not fit, half of a text whose lines are long.
`lossless` deals out contiguous text by google's rule and cuts the last sentence instead, so that every token is
used once.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from electra_paddle.arrays import Array
    from electra_paddle.config.shards import ShardSettings
    from electra_paddle.text import Vocabulary


SHORTEST = 5  # tokens of the shortest random length
WHOLE = 100_000  # length of the first segment where there is to be no second
CLS, SEP = (0, 1), (1, 2)  # ranges of the pool: the special tokens stand before the text


Ranges = list[tuple[int, int]]  # first token and end of pieces of text


class Packed(NamedTuple):
    """Examples one after the other, special tokens included. Shapes: N examples, T tokens."""

    ids: Array  # [T]
    word_starts: Array | None  # [T] bool, or None
    lengths: Array  # [N]
    seconds: Array  # [N] where in the example the second segment begins; its length if there is none


class Packer:
    """Collects sentences until they fill a sequence, then deals them out to two segments.

    Args:
        vocabulary: gives [CLS] and [SEP].
        settings: ShardSettings.
        uniform: function without arguments that draws from [0, 1).
    """

    def __init__(self, vocabulary: Vocabulary, settings: ShardSettings, uniform: Callable[[], float]) -> None:
        self.max_seq_length, self.settings, self.uniform = settings.max_seq_length, settings, uniform
        self.take = self._take_lossless if settings.segment_rule == "lossless" else self._take_sentences
        self.deal = deal_hfl if settings.segment_rule == "hfl" else deal_google
        self.target_length = self.max_seq_length
        self.num_sentences = self.num_documents = self.num_tokens = self.num_kept = 0
        self._special = np.array([vocabulary.cls, vocabulary.sep], np.int32)
        self._ids: Array = self._special  # what waits for more
        self._words: Array | None = np.ones(2, bool)
        self._ends: list[int] = []
        self._in_document = False

    def add(self, ids: Array, word_starts: Array | None, sentence_ends: Array, document_ends: Array) -> Packed:
        """Take a block of text and give out the examples that are full.

        Args:
            ids: [T] token ids.
            word_starts: [T] bool, or None.
            sentence_ends, document_ends: see `sentences.boundaries`.

        Returns:
            Packed.
        """
        waiting = len(self._ids)
        ids = np.concatenate([self._ids, ids])
        words = None
        if word_starts is not None and self._words is not None:
            words = np.concatenate([self._words, word_starts])
        ends = self._ends + (sentence_ends + waiting).tolist()
        self.num_sentences += len(sentence_ends)
        self.num_tokens += len(ids) - waiting
        examples: list[tuple[Ranges, Ranges]] = []
        start, first = 2, 0  # `first`: the sentence that begins at or before token `start`
        for document_end in [*(document_ends + waiting).tolist(), None]:
            last = len(ends) if document_end is None else bisect_right(ends, document_end)
            self._in_document = self._in_document or first < last
            while first < last and ends[last - 1] - start >= self.target_length:
                start, first = self.take(ends, start, first, last, examples)
            if document_end is None:
                break
            while first < last:
                start, first = self.take(ends, start, first, last, examples)
            self.num_documents += self._in_document
            self._in_document = False
        packed = self._gather(ids, words, examples)
        self._ids = np.concatenate([self._special, ids[start:]])
        self._words = None if words is None else np.concatenate([np.ones(2, bool), words[start:]])
        self._ends = [end - start + 2 for end in ends[first:]]
        return packed

    def end_document(self) -> Packed:
        """Give out what waits, at the end of a file."""
        nothing = np.array([], np.int64)
        return self.add(nothing, None if self._words is None else nothing.astype(bool), nothing, np.array([0]))

    def _take_sentences(
        self, ends: Array, start: int, first: int, last: int, examples: list[tuple[Ranges, Ranges]]
    ) -> tuple[int, int]:
        """Deal out whole sentences until they reach the target; returns where the next example begins."""
        stop = min(last, bisect_left(ends, start + self.target_length, first) + 1)
        bounds = [start, *ends[first:stop]]
        segments = self.deal(list(itertools.pairwise(bounds)), self._first_length(), self.uniform)
        one, length = truncate(segments[0], self.max_seq_length - 2)
        two, more = truncate(segments[1], max(0, self.max_seq_length - length - 3))
        self._finish(examples, one, two, length + more)
        return bounds[-1], stop

    def _take_lossless(
        self, ends: Array, start: int, first: int, last: int, examples: list[tuple[Ranges, Ranges]]
    ) -> tuple[int, int]:
        """Deal out as many tokens as the target has room for; the last sentence goes on in the next example."""
        first_length = self._first_length()
        room = max(1, self.target_length - (2 if first_length == WHOLE else 3))
        end = min(start + room, ends[last - 1])
        stop = bisect_left(ends, end, first)
        bounds = [start, *ends[first:stop], end]
        pieces = list(itertools.pairwise(bounds))
        count = len(deal_google(pieces, first_length, self.uniform, in_order=True)[0])
        self._finish(examples, pieces[:count], pieces[count:], end - start)
        return end, stop + (ends[stop] == end)

    def _first_length(self) -> float:
        one_segment = self.uniform() < self.settings.single_segment_prob
        return WHOLE if one_segment else (self.target_length - 3) // 2

    def _finish(self, examples: list[tuple[Ranges, Ranges]], one: Ranges, two: Ranges, num_tokens: int) -> None:
        examples.append((one, two))
        self.num_kept += num_tokens
        self.target_length = self.max_seq_length
        if self.uniform() < self.settings.short_sequence_prob:
            self.target_length = SHORTEST + int(self.uniform() * (self.max_seq_length - SHORTEST + 1))

    def _gather(self, ids: Array, words: Array | None, examples: list[tuple[Ranges, Ranges]]) -> Packed:
        """Copy the ranges of all examples out of the pool at once."""
        ranges: Ranges = []
        counts: list[int] = []
        seconds = np.empty(len(examples), np.int64)
        for number, (one, two) in enumerate(examples):
            before = len(ranges)
            ranges += [CLS, *one, SEP, *two, SEP] if two else [CLS, *one, SEP]
            counts.append(len(ranges) - before)
            seconds[number] = 2 + sum(end - start for start, end in one)
        bounds = np.array(ranges, np.int64).reshape(-1, 2)
        sizes = bounds[:, 1] - bounds[:, 0]
        places = np.arange(sizes.sum()) + np.repeat(bounds[:, 0] - (np.cumsum(sizes) - sizes), sizes)
        edges = np.append(0, np.cumsum(counts, dtype=np.int64))  # of examples, in ranges
        lengths = np.diff(np.append(0, np.cumsum(sizes))[edges])
        starts = None
        if words is not None:
            starts = words[places]
            begins = np.cumsum(lengths) - lengths
            starts[begins + 1] = True  # a segment that begins within a word
            starts[(begins + seconds)[seconds < lengths]] = True
        return Packed(ids[places], starts, lengths, seconds)


def deal_google(
    sentences: Ranges, first_length: float, uniform: Callable[[], float], in_order: bool = False
) -> tuple[Ranges, Ranges]:
    """The first segment takes sentences up to its length, and one more half of the time.

    Args:
        sentences: list of ranges (start, end).
        in_order: nothing goes to the first segment any more once the second has begun.

    Returns:
        two lists of ranges.
    """
    first: Ranges = []
    second: Ranges = []
    length = 0
    for sentence in sentences:
        size = sentence[1] - sentence[0]
        if not (in_order and second) and (
            not first or length + size < first_length or (not second and length < first_length and uniform() < 0.5)
        ):
            first.append(sentence)
            length += size
        else:
            second.append(sentence)
    return first, second


def deal_hfl(sentences: Ranges, first_length: float, uniform: Callable[[], float]) -> tuple[Ranges, Ranges]:
    """The rule before google's correction: once the first segment holds something, it takes everything."""
    first: Ranges = []
    second: Ranges = []
    length = 0
    for sentence in sentences:
        size = sentence[1] - sentence[0]
        if first or length + size < first_length or (second and length < first_length and uniform() < 0.5):
            first.append(sentence)
            length += size
        else:
            second.append(sentence)
    return first, second


def truncate(ranges: Ranges, length: int) -> tuple[Ranges, int]:
    """The first `length` tokens of ranges; returns (ranges, tokens)."""
    kept, total = [], 0
    for start, end in ranges:
        if total >= length:
            break
        end = min(end, start + length - total)
        kept.append((start, end))
        total += end - start
    return kept, total
