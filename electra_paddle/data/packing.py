"""Sentences to examples of one or two segments, by the corrected rule of the original.

Source: `build_pretraining_dataset.py` of google-research/electra since 2020-03-16. The Chinese release kept the
rule before that correction, under which most second segments are lost.
"""

from typing import NamedTuple

ONE_SEGMENT_PROB = 0.1  # an example that is to have one segment only, as in classification
SHORT_SEQUENCE_PROB = 0.05  # the next example gets a random length
SHORTEST = 5  # tokens of the shortest random length


class Example(NamedTuple):
    """Token ids of two segments without special tokens; the second may be empty."""

    first: list
    second: list


class Packer:
    """Collects sentences until they fill a sequence, then deals them out to two segments.

    Args:
        max_seq_length: tokens of a sequence, special tokens included.
        uniform: function without arguments that draws from [0, 1).
    """

    def __init__(self, max_seq_length, uniform):
        self.max_seq_length, self.uniform = max_seq_length, uniform
        self.sentences, self.length, self.target_length = [], 0, max_seq_length
        self.num_tokens = 0  # seen so far; truncation drops some of them

    def pack(self, documents):
        """Yield the Examples of documents, each a list of sentences, each a list of ids."""
        for sentences in documents:
            for sentence in sentences:
                self.sentences.append(sentence)
                self.length += len(sentence)
                self.num_tokens += len(sentence)
                if self.length >= self.target_length:
                    yield self._emit()
            if self.length:
                yield self._emit()

    def _emit(self):
        first, second = self._deal()
        first = first[: self.max_seq_length - 2]
        second = second[: max(0, self.max_seq_length - len(first) - 3)]
        self.sentences, self.length, self.target_length = [], 0, self.max_seq_length
        if self.uniform() < SHORT_SEQUENCE_PROB:
            self.target_length = SHORTEST + int(self.uniform() * (self.max_seq_length - SHORTEST + 1))
        return Example(first, second)

    def _deal(self):
        """The first segment takes sentences up to half the length, and one more half of the time."""
        one_segment = self.uniform() < ONE_SEGMENT_PROB
        first_length = 100_000 if one_segment else (self.target_length - 3) // 2
        first, second = [], []
        for sentence in self.sentences:
            fits = not first or len(first) + len(sentence) < first_length
            if fits or (not second and len(first) < first_length and self.uniform() < 0.5):
                first = first + sentence
            else:
                second = second + sentence
        return first, second
