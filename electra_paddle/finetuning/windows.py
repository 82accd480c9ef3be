"""A question and its text as sequences of limited length: windows that overlap. Shapes: L window, T tokens of the text.

Source: `SquadExample` and `_example_to_feature` preparation of the original's question answering tasks.
"""

from typing import Any, NamedTuple

import numpy as np

from electra_paddle.finetuning.reference_reading import reference_token_span
from electra_paddle.finetuning.squad import answer_span

CENTRE_WEIGHT = 0.01  # of a window's length against a token's distance from its nearer edge


class Window(NamedTuple):
    """[CLS] question [SEP] part of the text [SEP]. Positions count from [CLS]; `end` is inclusive, `*_stop` are not."""

    example: int  # number of its question
    input_ids: Any  # [L]
    second: int  # position of the first token of the text
    doc_start: int  # number of that token in the text
    own_start: int  # answers that begin from here
    own_stop: int  # to here are this window's: elsewhere another window shows more around them
    start: int  # first and
    end: int  # last token of the answer; 0 and 0 where the window lacks any of it, -1 and -1 without labels
    char_starts: Any  # [L - second - 1] place in the text of each token's first character
    char_ends: Any  # [L - second - 1] place after its last


class WindowSettings(NamedTuple):
    """Lengths in tokens, under the original's names."""

    max_seq_length: int
    max_query_length: int = 64
    doc_stride: int = 128
    is_reference: bool = False  # label as the original does


def windows(number, question, tokenizer, settings):
    """The Windows of a question, from the beginning to the end of its text.

    Args:
        number: of the question.
        question: a squad.Question.
        settings: WindowSettings.
    """
    vocabulary = tokenizer.vocabulary
    asked = tokenizer.encode(question.text)[: question_length(settings)]
    encoded = tokenizer.encode_lines(question.context)
    first, last = answer_tokens(question, encoded, tokenizer, settings.is_reference)
    second = len(asked) + 2
    doc_starts, length = place_windows(len(encoded.ids), settings.max_seq_length - second - 1, settings.doc_stride)
    doc_stops = np.minimum(doc_starts + length, len(encoded.ids))
    owned = own_ranges(doc_starts, doc_stops, len(encoded.ids))
    without = 0 if question.answers else -1
    rows = []
    for doc_start, doc_stop, (own_start, own_stop) in zip(doc_starts, doc_stops, owned, strict=True):
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


def question_length(settings):
    """Tokens that a question may have: half of the sequence, if max_query_length leaves no room for the text."""
    leaves_room = settings.max_query_length + 3 < settings.max_seq_length
    return settings.max_query_length if leaves_room else settings.max_seq_length // 2 - 2


def answer_tokens(question, encoded, tokenizer, is_reference):
    """Numbers of the first and last token of the answer; (1, 0) where there is none."""
    if is_reference:
        return reference_token_span(question, encoded, tokenizer)
    span = answer_span(question)
    if span is None:
        return 1, 0
    first = int(np.searchsorted(encoded.ends, span[0], "right"))
    last = int(np.searchsorted(encoded.starts, span[1], "left")) - 1
    return (first, last) if first <= last else (1, 0)


def place_windows(num_tokens, room, stride):
    """(number of each window's first token [windows], greatest number of tokens in a window)."""
    step = min(room, stride)
    num_windows = 1 + max(0, -(-(num_tokens - room) // step))
    return np.arange(num_windows) * step, room


def own_ranges(doc_starts, doc_stops, num_tokens):
    """[windows, 2]: from which to before which token of the text a window is the one that shows it best.

    That is the window in which the token is farthest from the nearer edge; of equal ones the longer, then the first.
    """
    tokens = np.arange(num_tokens)[None]  # [1, T]
    left, right = tokens - doc_starts[:, None], doc_stops[:, None] - 1 - tokens  # [windows, T]
    context = np.minimum(left, right) + CENTRE_WEIGHT * (doc_stops - doc_starts)[:, None]
    context[(left < 0) | (right < 0)] = -np.inf
    best = context.argmax(axis=0) if num_tokens else np.zeros(0, np.int64)  # [T]
    ranges = []
    for window in range(len(doc_starts)):
        owned = np.flatnonzero(best == window)
        ranges.append((owned[0], owned[-1] + 1) if len(owned) else (doc_starts[window], doc_starts[window]))
    return np.array(ranges)
