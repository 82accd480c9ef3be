"""Find where sentences and documents end in a block of encoded text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from electra_paddle.arrays import Array
    from electra_paddle.text.tokenizer import Encoded


END_MARKS = "。！？；!?…"
CLOSING_MARKS = "”’」』）》"
LINE_FEED = 10
OTHER, END, CLOSING = 0, 1, 2
MARKS = np.zeros(0x110000, np.uint8)
MARKS[[ord(mark) for mark in END_MARKS]] = END
MARKS[[ord(mark) for mark in CLOSING_MARKS]] = CLOSING


def sentence_cuts(code_points: Array) -> Array:
    """Positions behind 。！？； and the quotes that close there, as an array; no sentence begins with such a mark.

    A cut at a line's end is left out.

    >>> text = "他说：“好。”然后走了！真的？"
    >>> sentence_cuts(np.array([ord(char) for char in text])).tolist()
    [7, 12]
    """
    marks = MARKS[code_points]  # [characters]
    cuts = np.flatnonzero((marks[:-1] != OTHER) & (marks[1:] == OTHER)) + 1
    before = cuts - 1  # goes back over closing marks
    while (closing := marks[before] == CLOSING).any():
        before = np.where(closing & (before > 0), before - 1, before)
        if not before[closing].any():
            break
    cuts = cuts[marks[before] == END]
    return cuts[code_points[cuts] != LINE_FEED]


def boundaries(
    encoded: Encoded, text: str, split_sentences: bool = False, blanks_separate_docs: bool = True
) -> tuple[Array, Array]:
    """Ends of sentences and documents, in tokens.

    Args:
        encoded: the Encoded form of `text`, a block of whole lines.

    Returns:
        (sentence_ends, document_ends): increasing numbers of tokens; sentences without a token are left out. A
        document that goes on behind the block has no end in it; an end at 0 ends one that began before.
    """
    line_ends = encoded.line_ends
    sentence_ends = line_ends
    if split_sentences:
        cuts = np.searchsorted(encoded.starts, sentence_cuts(encoded.code_points))
        sentence_ends = np.sort(np.concatenate([line_ends, cuts]))
    sentence_ends = np.unique(sentence_ends)
    sentence_ends = sentence_ends[sentence_ends > 0]
    if not blanks_separate_docs:
        return sentence_ends, np.array([], np.int64)
    line_feeds = np.append(np.flatnonzero(encoded.code_points == LINE_FEED), len(text))
    first = np.append(0, line_feeds[:-1] + 1)
    lengths = line_feeds - first
    blank = lengths == 0
    empty = np.flatnonzero((np.diff(line_ends, prepend=0) == 0) & ~blank)
    blank[empty] = [not text[first[line] : line_feeds[line]].strip() for line in empty.tolist()]
    blank[-1] = False  # what follows the last line feed is no line
    return sentence_ends, np.unique(line_ends[blank])
