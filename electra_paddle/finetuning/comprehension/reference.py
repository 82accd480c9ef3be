"""The original's way to find and to write answers, for `compat: reference`.

Both go by words between white space, which in Chinese may be whole paragraphs: the first occurrence of an answer in
its words is labelled instead of the annotated one, and an answer whose tokens cannot be traced back becomes all the
words that it lies in.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from electra_paddle.finetuning.comprehension.squad import Question
    from electra_paddle.text import Tokenizer
    from electra_paddle.text.tokenizer import Encoded
    from electra_paddle.text.windows import Window

WORD_SPACES = np.array([ord(char) for char in " \t\r\n\u202f"], np.uint32)


class Words:
    """The words of a text between white space.

    Attributes:
        texts: list of words.
        of_char: number of the word at each character, of the word before it at white space; -1 before the first.
    """

    def __init__(self, text: str) -> None:
        code_points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        is_space = np.isin(code_points, WORD_SPACES)
        begins = ~is_space & np.append(True, is_space[:-1])[: len(is_space)]
        self.of_char = np.cumsum(begins) - 1
        starts = np.flatnonzero(begins)
        stops = np.flatnonzero(~is_space & np.append(is_space[1:], True)[: len(is_space)]) + 1
        self.texts = [text[start:stop] for start, stop in zip(starts, stops, strict=True)]

    def join(self, first: int, last: int) -> str:
        """The words from one number to the other with single spaces between them."""
        return " ".join(self.texts[first : last + 1])


def rejection(question: Question) -> tuple[str, str] | None:
    """The reason why the original leaves out a training question, as (found, expected); None if it does not."""
    answer, start = question.answers[0], question.answer_starts[0]
    length = len(question.context)
    if not -length <= start < length or start + len(answer) > length:
        return f"answer {answer!r} at {start}", f"one that ends within the {length} characters of its text"
    words = Words(question.context)
    first, last = words.of_char[start], words.of_char[start + len(answer) - 1]
    if " ".join(answer.split()).lower() not in words.join(first, last).lower():
        return f"answer {answer!r}", f"one that stands in {words.join(first, last)!r}"
    return None


def reference_token_span(question: Question, encoded: Encoded, tokenizer: Tokenizer) -> tuple[int, int]:
    """Numbers of the first and last token of the answer as the original labels it; (1, 0) where it labels none."""
    if not question.answers or rejection(question):
        return 1, 0
    answer, start = question.answers[0], question.answer_starts[0]
    word_of_char = Words(question.context).of_char
    word_of_token = word_of_char[encoded.starts]
    first = int(np.searchsorted(word_of_token, word_of_char[start], "left"))
    last = int(np.searchsorted(word_of_token, word_of_char[start + len(answer) - 1], "right")) - 1
    wanted = np.array(tokenizer.encode(answer))
    if 0 < len(wanted) <= last + 1 - first:
        runs = np.lib.stride_tricks.sliding_window_view(encoded.ids[first : last + 1], len(wanted))
        found = np.flatnonzero((runs == wanted).all(axis=1))
        if len(found):
            first += int(found[0])
            last = first + len(wanted) - 1
    return first, last


class ReferenceWriter:
    """Writes answers as the original does.

    Args:
        tokenizer: the one that made the windows.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self._basic_text = functools.lru_cache(1 << 10)(lambda text: " ".join(tokenizer.words(text)))
        self._words = functools.lru_cache(1 << 10)(Words)

    def __call__(self, context: str, window: Window, start: int, end: int) -> str:
        """The text of the tokens from `start` to `end`, positions in a window."""
        pieces = [self.tokenizer.vocabulary.tokens[piece] for piece in window.input_ids[start : end + 1]]
        text = " ".join(" ".join(pieces).replace(" ##", "").replace("##", "").split())
        words = self._words(context)
        first, last = (words.of_char[window.char_starts[place - window.second]] for place in (start, end))
        return self._trace(text, words.join(first, last))

    def _trace(self, text: str, words: str) -> str:
        """The part of `words` that was normalized to `text`; all of them if that cannot be told."""
        normalized = self._basic_text(words)
        place = normalized.find(text)
        if place < 0 or len(normalized.replace(" ", "")) != len(words.replace(" ", "")):
            return words
        first = place - normalized.count(" ", 0, place)  # counted without spaces
        length = len(text.replace(" ", ""))
        places = [place for place, char in enumerate(words) if char != " "]
        return words[places[first] : places[first + length - 1] + 1]
