"""A question and its text as sequences of limited length: windows that overlap. Shapes: L window, T tokens of the text.

Source: `_example_to_feature` preparation of the original's question answering tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from electra_paddle.arrays import Array
    from electra_paddle.text import Vocabulary
    from electra_paddle.text.tokenizer import Encoded


ANSWER_TYPES = ("span", "none", "yes", "no")  # a passage, or what is right instead of one
DESCRIBED_TYPES = {"span": "span", "none": "none", "yes": "yes_no", "no": "yes_no"}  # as tasks are described
CENTRE_WEIGHT = 0.01  # of a window's length against a token's distance from its nearer edge


class Window(NamedTuple):
    """[CLS] question [SEP] part of the text [SEP]. Positions count from [CLS]; `end` is inclusive, `*_stop` are not."""

    example: int  # number of its question
    input_ids: Array  # [L]
    second: int  # position of the first token of the text
    doc_start: int  # number of that token in the text
    own_start: int  # answers that begin from here
    own_stop: int  # to here are this window's: elsewhere another window shows more around them
    start: int  # first and
    end: int  # last token of the answer; 0 and 0 where the window lacks any of it, -1 and -1 without labels
    char_starts: Array  # [L - second - 1] place in the text of each token's first character
    char_ends: Array  # [L - second - 1] place after its last
    answer_type: int = 0  # of the question, place in ANSWER_TYPES


class WindowSettings(NamedTuple):
    """Lengths in tokens, under the original's names."""

    max_seq_length: int
    max_query_length: int = 64
    doc_stride: int = 128


def overlapping(settings: WindowSettings) -> WindowSettings:
    """The settings with windows that overlap by a third at least: no answer falls between two of them."""
    return settings._replace(doc_stride=min(settings.doc_stride, settings.max_seq_length // 3))


def windows(
    number: int,
    question: Sequence[int],
    encoded: Encoded,
    vocabulary: Vocabulary,
    settings: WindowSettings,
    answer: tuple[int, int] | None = None,
) -> list[Window]:
    """The Windows of a question, from the beginning to the end of its text.

    Args:
        number: of the question.
        question: its token ids.
        encoded: the text as `Tokenizer.encode_lines` returns it.
        settings: WindowSettings.
        answer: numbers of the answer's first and last token in the text; (1, 0) where it has none, None if that is
            not known.
    """
    asked = question[: question_length(settings)]
    second = len(asked) + 2
    doc_starts, length = place_windows(len(encoded.ids), settings.max_seq_length - second - 1, settings.doc_stride)
    doc_stops = np.minimum(doc_starts + length, len(encoded.ids))
    first, last = answer or (1, 0)
    without = -1 if answer is None else 0
    rows = []
    for doc_start, doc_stop, (own_start, own_stop) in zip(
        doc_starts, doc_stops, own_ranges(doc_starts, doc_stops), strict=True
    ):
        part = slice(doc_start, doc_stop)
        shift = second - doc_start
        is_inside = doc_start <= first <= last < doc_stop
        rows.append(
            Window(
                number,
                np.concatenate([[vocabulary.cls, *asked, vocabulary.sep], encoded.ids[part], [vocabulary.sep]]),
                second,
                int(doc_start),
                int(own_start + shift),
                int(own_stop + shift),
                int(first + shift) if is_inside else without,
                int(last + shift) if is_inside else without,
                encoded.starts[part],
                encoded.ends[part],
            )
        )
    return rows


def question_length(settings: WindowSettings) -> int:
    """Tokens that a question may have: half of the sequence, if max_query_length leaves no room for the text."""
    leaves_room = settings.max_query_length + 3 < settings.max_seq_length
    return settings.max_query_length if leaves_room else settings.max_seq_length // 2 - 2


def place_windows(num_tokens: int, room: int, stride: int) -> tuple[Array, int]:
    """(number of each window's first token [windows], greatest number of tokens in a window)."""
    step = min(room, stride)
    num_windows = 1 + max(0, -(-(num_tokens - room) // step))
    return np.arange(num_windows) * step, room


def own_ranges(doc_starts: Array, doc_stops: Array) -> Array:
    """[windows, 2]: from which to before which token of the text a window is the one that shows it best.

    That is the window in which the token is farthest from the nearer edge; of equal ones the longer, then the first.
    """
    num_tokens = doc_stops[-1]
    best, owner = np.full(num_tokens, -np.inf), np.zeros(num_tokens, np.int64)  # [T]
    for window, (start, stop) in enumerate(zip(doc_starts, doc_stops, strict=True)):
        left = np.arange(stop - start)
        context = np.minimum(left, left[::-1]) + CENTRE_WEIGHT * (stop - start)
        is_better = context > best[start:stop]
        best[start:stop][is_better], owner[start:stop][is_better] = context[is_better], window
    windows = np.arange(len(doc_starts))
    starts, stops = np.searchsorted(owner, windows), np.searchsorted(owner, windows, "right")
    return np.stack([np.where(starts < stops, starts, doc_starts), np.where(starts < stops, stops, doc_starts)], axis=1)
