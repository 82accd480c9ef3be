"""Encode text by exactly the rules of BERT's reference tokenizer, a block of many lines at a time.

They differ from PaddleNLP's ElectraTokenizer, which splits symbols such as ～ as well, keeps special tokens
that stand in the text whole, and gives up on words of over 100 (not 200) characters.

Most characters of a Chinese text are a token of their own, whatever stands beside them. Their ids come out of a
table from code points, applied to a whole block with numpy; the runs of other characters between them go through
the rules one by one, each distinct run once.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from electra_paddle.text.characters import (
    depends_on_neighbours,
    is_ideograph,
    is_punctuation,
    is_removed,
    is_space,
    normalize,
)

if TYPE_CHECKING:
    from electra_paddle.arrays import Array
    from electra_paddle.text import Vocabulary


MAX_WORD_LENGTH = 200  # characters; a longer word is [UNK]
MAX_CACHED_RUNS = 200_000  # about 50 MB
LONGEST_CACHED_RUN = 64  # characters

# Entries of the table that are no ids.
SPACE, LINE_FEED, IN_RUN, SPECIAL, UNSEEN = -1, -2, -3, -4, -5


class Encoded(NamedTuple):
    """Tokens of a text of several lines. Shapes: T tokens, N lines."""

    ids: Array  # [T] int32
    starts: Array  # [T] int64, position in the text of a token's first character
    ends: Array  # [T] int64, position after its last character
    line_ends: Array  # [N] int64, number of tokens up to the end of each line
    code_points: Array  # [characters] uint32, the text itself


class Tokenizer:
    """Clean, split into words, split off punctuation, then greedy longest-match word pieces.

    Args:
        vocabulary: a Vocabulary.
        do_lower_case: lower-case the text.
        strip_accents: é becomes e; as `do_lower_case` unless given.
    """

    def __init__(self, vocabulary: Vocabulary, do_lower_case: bool = True, strip_accents: bool | None = None) -> None:
        self.vocabulary = vocabulary
        self.do_lower_case = do_lower_case
        self.strip_accents = do_lower_case if strip_accents is None else strip_accents
        self._table = np.full(0x110000, UNSEEN, np.int32)  # code point -> id, or one of the entries above
        self._runs = RunTable(self.encode_by_rule)

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without special tokens, as a list; "[MASK]" in the text is ordinary text."""
        return self.encode_lines(text).ids.tolist()

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[int], list[int]]:
        """(ids, starts, ends): lists; `text[start:end]` is what a token was made from.

        Tokens that came from one character, such as the letters of a Hangul syllable, share its position.
        """
        encoded = self.encode_lines(text)
        return encoded.ids.tolist(), encoded.starts.tolist(), encoded.ends.tolist()

    def encode_lines(self, text: str) -> Encoded:
        """Tokens of all lines of a text; a line ends at a line feed.

        Returns:
            Encoded; a text with N line feeds has N + 1 lines.
        """
        code_points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        entries = self._table[code_points]  # [characters]
        if UNSEEN in entries:
            self._classify(np.unique(code_points[entries == UNSEEN]))
            entries = self._table[code_points]
        line_feeds = np.flatnonzero(entries == LINE_FEED)
        pieces = [self._take_special_lines(text, entries, line_feeds), self._encode_runs(text, entries)]
        starts = np.flatnonzero(entries >= 0)  # the tokens of one character
        ids, ends = entries[starts], starts + 1
        for piece_ids, piece_starts, piece_ends in pieces:
            if len(piece_ids):
                places = np.searchsorted(starts, piece_starts)
                ids = np.insert(ids, places, piece_ids)
                starts = np.insert(starts, places, piece_starts)
                ends = np.insert(ends, places, piece_ends)
        line_ends = np.append(np.searchsorted(starts, line_feeds), len(ids))
        return Encoded(ids, starts, ends, line_ends, code_points)

    def encode_by_rule(self, text: str) -> tuple[list[int], list[int], list[int]]:
        """The rules as they are written, a character at a time: slow, and right for every text.

        Returns:
            (ids, starts, ends), lists.
        """
        ids: list[int] = []
        starts: list[int] = []
        ends: list[int] = []
        for word in self._split_words(text):
            for piece, first, last in self._pieces("".join(char for char, _ in word)):
                ids.append(piece)
                starts.append(min(position for _, position in word[first:last]))
                ends.append(max(position for _, position in word[first:last]) + 1)
        return ids, starts, ends

    def words(self, text: str) -> list[str]:
        """The normalized words and punctuation marks that word pieces are made from, as a list."""
        return ["".join(char for char, _ in word) for word in self._split_words(text)]

    def _split_words(self, text: str) -> Iterator[list[tuple[str, int]]]:
        """Yield each word as a list of (normalized character, position in the text)."""
        clean = [(char, position) for position, char in enumerate(text) if not is_removed(char)]
        for word in split(clean, is_ideograph):
            chars = normalize("".join(char for char, _ in word), self.do_lower_case, self.strip_accents)
            yield from split([(char, word[position][1]) for char, position in chars], is_punctuation)

    def _pieces(self, word: str) -> list[tuple[int, int, int]]:
        """(id, start, end) of the longest entries that make up the word from left to right, or [UNK] for all of it."""
        known, unknown = self.vocabulary.ids, [(self.vocabulary.unk, 0, len(word))]
        if len(word) > MAX_WORD_LENGTH:
            return unknown
        pieces, start = [], 0
        while start < len(word):
            prefix = "##" if start else ""
            for end in range(len(word), start, -1):
                piece = known.get(prefix + word[start:end])
                if piece is not None:
                    break
            else:
                return unknown
            pieces.append((piece, start, end))
            start = end
        return pieces

    def _classify(self, code_points: Array) -> None:
        """Enter characters that the table has not met."""
        for code_point in code_points.tolist():
            self._table[code_point] = self._entry(chr(code_point))

    def _entry(self, char: str) -> int:
        if char == "\n":
            return LINE_FEED
        if is_removed(char):
            return IN_RUN  # it does not end a word
        if is_space(char):
            return SPACE
        if depends_on_neighbours(char, self.do_lower_case, self.strip_accents):
            return SPECIAL
        parts = [part for part, _ in normalize(char, self.do_lower_case, self.strip_accents)]
        if is_ideograph(char) or (len(parts) == 1 and is_punctuation(parts[0])):
            ids, _, _ = self.encode_by_rule(char)
            return ids[0]
        return IN_RUN

    def _take_special_lines(self, text: str, entries: Array, line_feeds: Array) -> tuple[Array, Array, Array]:
        """Tokens of the few lines that hold a character which depends on its neighbours; blanks them in `entries`."""
        ids, starts, ends = [], [], []
        special = np.flatnonzero(entries == SPECIAL)
        for line in np.unique(np.searchsorted(line_feeds, special)).tolist():
            first = int(line_feeds[line - 1]) + 1 if line else 0
            last = int(line_feeds[line]) if line < len(line_feeds) else len(entries)
            line_ids, line_starts, line_ends = self.encode_by_rule(text[first:last])
            ids += line_ids
            starts += [first + start for start in line_starts]
            ends += [first + end for end in line_ends]
            entries[first:last] = SPACE
        return np.array(ids, np.int32), np.array(starts, np.int64), np.array(ends, np.int64)

    def _encode_runs(self, text: str, entries: Array) -> tuple[Array, Array, Array]:
        """Tokens of the runs of characters that are not tokens of their own."""
        in_run = entries == IN_RUN
        edges = np.flatnonzero(in_run[1:] != in_run[:-1]) + 1
        if len(in_run) and in_run[0]:
            edges = np.insert(edges, 0, 0)
        if len(in_run) and in_run[-1]:
            edges = np.append(edges, len(in_run))
        first, last = edges[::2], edges[1::2]
        runs = self._runs
        runs.forget_if_full()
        numbers = np.fromiter(
            (runs[text[start:end]] for start, end in zip(first.tolist(), last.tolist(), strict=True)),
            np.int64,
            len(first),
        )
        return runs.tokens(numbers, first)


def split(chars: Iterable[tuple[str, int]], stands_alone: Callable[[str], bool]) -> Iterator[list[tuple[str, int]]]:
    """Yield the lists of (character, position) between white space; what stands alone is a list of its own."""
    word: list[tuple[str, int]] = []
    for char, position in chars:
        alone = stands_alone(char)
        if word and (alone or is_space(char)):
            yield word
            word = []
        if alone:
            yield [(char, position)]
        elif not is_space(char):
            word.append((char, position))
    if word:
        yield word


class RunTable(dict[str, int]):
    """Run of characters -> its number; the tokens of all numbers lie one after the other in three arrays."""

    def __init__(self, encode: Callable[[str], tuple[list[int], list[int], list[int]]]) -> None:
        super().__init__()
        self._encode = encode
        self._clear()

    def _clear(self) -> None:
        self.clear()
        self._bounds, self._ids = array("q", [0]), array("i")
        self._starts, self._ends = array("q"), array("q")

    def forget_if_full(self) -> None:
        """Keep memory bounded; numbers given before are void then."""
        if len(self._bounds) > MAX_CACHED_RUNS:
            self._clear()

    def __missing__(self, run: str) -> int:
        ids, starts, ends = self._encode(run)
        self._ids.extend(ids)
        self._starts.extend(starts)
        self._ends.extend(ends)
        number = len(self._bounds) - 1
        self._bounds.append(len(self._ids))
        if len(run) <= LONGEST_CACHED_RUN:
            self[run] = number
        return number

    def tokens(self, numbers: Array, positions: Array) -> tuple[Array, Array, Array]:
        """(ids, starts, ends) arrays of the runs with these numbers [R], which begin at these positions [R]."""
        bounds = np.array(self._bounds)  # a copy: an array that lends its memory could not grow
        counts = bounds[numbers + 1] - bounds[numbers]  # [R]
        shift = np.cumsum(counts) - counts
        places = np.arange(counts.sum()) + np.repeat(bounds[numbers] - shift, counts)  # [tokens] within the lists
        base = np.repeat(positions, counts)
        ids, starts, ends = (np.asarray(values)[places] for values in (self._ids, self._starts, self._ends))
        return ids, base + starts, base + ends
