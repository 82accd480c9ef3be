"""Find where words begin, with jieba, for whole-word masking."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from electra_paddle.errors import DataError

if TYPE_CHECKING:
    from electra_paddle.arrays import Array
    from electra_paddle.text import Vocabulary
    from electra_paddle.text.tokenizer import Encoded


LONGEST = 10_000  # characters that jieba gets at once: it needs much memory for each


class WordSegmenter:
    """Marks the tokens that begin a word.

    Args:
        vocabulary: a "##" piece of it never begins a word.
        user_dict: file of words of one's own, in jieba's format.

    Raises:
        DataError: the dictionary is not in jieba's format.
    """

    def __init__(self, vocabulary: Vocabulary, user_dict: Path | None = None) -> None:
        import jieba

        self._jieba = jieba.Tokenizer()
        # As its `initialize` does, without the cache in a folder where anybody may write.
        self._jieba.FREQ, self._jieba.total = self._jieba.gen_pfdict(self._jieba.get_dict_file())
        self._jieba.initialized = True
        if user_dict is not None:
            try:
                with open(user_dict, "rb") as stream:
                    self._jieba.load_userdict(stream)
            except ValueError as error:
                raise DataError(user_dict, str(error), "a word a line, with a frequency and a tag if wanted") from error
        self._is_continuation = np.array([token.startswith("##") for token in vocabulary.tokens])

    def word_starts(self, encoded: Encoded, text: str) -> Array:
        """[T] bool for the tokens of `text`, whose Encoded form is given."""
        pieces = (
            line[at : at + LONGEST] for line in text.splitlines(keepends=True) for at in range(0, len(line), LONGEST)
        )
        word_ends = np.cumsum([len(word) for piece in pieces for word in self._jieba.cut(piece)])
        numbers = np.searchsorted(word_ends, encoded.starts, side="right")  # [T] which word a token begins in
        return (np.diff(numbers, prepend=-1) != 0) & ~self._is_continuation[encoded.ids]
