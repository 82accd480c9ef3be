"""Tasks that answer token by token; long texts go through the network in windows.

Shapes: L sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from electra_paddle.hub.prediction import windows
from electra_paddle.hub.tasks.base import Example, Task

if TYPE_CHECKING:
    from electra_paddle.arrays import Array
    from electra_paddle.hub.tasks.base import Options
    from electra_paddle.text import Tokenizer


class Windows(NamedTuple):
    """The layout of a text's tokens in windows."""

    parts: list[tuple[int, int, int, int]]  # as `windows` returns them
    places: Array  # of each thing that is answered for, the number of its token, -1 if it has none
    text: str


class TokenTask(Task):
    """A task on one text in overlapping windows."""

    def encode(self, tokenizer: Tokenizer, texts: Sequence[str], options: Options) -> Example:
        ids, places = self.tokens(tokenizer, texts[0], options)
        parts = windows(len(ids), options.max_seq_len - 2)
        vocabulary = tokenizer.vocabulary
        sequences = [[vocabulary.cls, *ids[start:end], vocabulary.sep] for start, end, _, _ in parts]
        return Example([((sequence, len(sequence)),) for sequence in sequences], Windows(parts, places, texts[0]))

    def tokens(self, tokenizer: Tokenizer, text: str, options: Options) -> tuple[list[int], Array]:
        """(ids, places as in Windows) of a text."""
        raise NotImplementedError

    def join(self, example: Example, values: Sequence[Array]) -> Array:
        """The values [tokens, ...] of all tokens, from those of the windows."""
        return np.concatenate(
            [
                value[1 + first - start : 1 + last - start]
                for value, (start, _, first, last) in zip(values, example.notes.parts, strict=True)
            ]
        )
