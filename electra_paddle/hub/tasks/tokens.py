"""Tasks that answer token by token; long texts go through the network in windows.

Shapes: L sequence.
"""

from typing import Any, NamedTuple

import numpy as np

from electra_paddle.hub.prediction import windows
from electra_paddle.hub.tasks.base import Example, Task


class Windows(NamedTuple):
    """How the tokens of a text were laid out."""

    parts: list  # as `windows` returns them
    places: Any  # of each thing that is answered for, the number of its token, -1 if it has none


class TokenTask(Task):
    """One text in overlapping windows."""

    def encode(self, tokenizer, texts, options):
        ids, places = self.tokens(tokenizer, texts[0], options)
        parts = windows(len(ids), options.max_seq_len - 2)
        vocabulary = tokenizer.vocabulary
        sequences = [[vocabulary.cls, *ids[start:end], vocabulary.sep] for start, end, _, _ in parts]
        return Example([((sequence, len(sequence)),) for sequence in sequences], Windows(parts, places))

    def tokens(self, tokenizer, text, options):
        """(ids, places as in Windows) of a text."""
        raise NotImplementedError

    def join(self, example, values):
        """The values [tokens, ...] of all tokens, from those of the windows."""
        return np.concatenate(
            [
                value[1 + first - start : 1 + last - start]
                for value, (start, _, first, last) in zip(values, example.notes.parts, strict=True)
            ]
        )
