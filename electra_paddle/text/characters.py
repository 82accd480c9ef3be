"""Classes of single characters in BERT's reference tokenizer.

Source: `BasicTokenizer` of the original. Everything here depends on the Unicode version of the Python that runs it.
"""

import functools
import unicodedata
from collections.abc import Sequence

CJK = (  # first and last code points of the ideograph blocks that become words of one character
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)
FINAL_SIGMA = "Σ"  # the one character whose lower case depends on its neighbours


@functools.lru_cache(1 << 16)
def is_removed(char: str) -> bool:
    """Control characters, NUL, U+FFFD and code points that stand for nothing; white space of ASCII stays."""
    return char not in "\t\n\r" and (char in "\0\ufffd" or unicodedata.category(char).startswith("C"))


@functools.lru_cache(1 << 16)
def is_space(char: str) -> bool:
    return char.isspace() or unicodedata.category(char) == "Zs"


@functools.lru_cache(1 << 16)
def is_ideograph(char: str) -> bool:
    return any(first <= ord(char) <= last for first, last in CJK)


@functools.lru_cache(1 << 16)
def is_punctuation(char: str) -> bool:
    """Whether a character is punctuation; every ASCII symbol counts as such."""
    return (33 <= ord(char) <= 126 and not char.isalnum()) or unicodedata.category(char).startswith("P")


def normalize(word: str, do_lower_case: bool, strip_accents: bool) -> list[tuple[str, int]]:
    """A word's characters after lower-casing and without accents.

    Returns:
        list of (character, position in `word` of the character that it came from).
    """
    if not (do_lower_case or strip_accents):
        return [(char, position) for position, char in enumerate(word)]
    if word.isascii():
        return list(zip(word.lower() if do_lower_case else word, range(len(word)), strict=True))
    lowered = word.lower() if do_lower_case else word
    origins = []
    for position, char in enumerate(word):
        origins += [position] * (len(char.lower()) if do_lower_case else 1)
    pairs = list(zip(lowered, origins, strict=True))
    if not strip_accents:
        return pairs
    pairs = [(part, position) for char, position in pairs for part in unicodedata.normalize("NFD", char)]
    return [pair for pair in in_canonical_order(pairs) if unicodedata.category(pair[0]) != "Mn"]


def in_canonical_order(pairs: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """Sort each run of combining characters by combining class, as NFD does to a whole string."""
    ordered, start = [], 0
    while start < len(pairs):
        end = start + 1
        if unicodedata.combining(pairs[start][0]):
            while end < len(pairs) and unicodedata.combining(pairs[end][0]):
                end += 1
        ordered += sorted(pairs[start:end], key=lambda pair: unicodedata.combining(pair[0]))
        start = end
    return ordered


def depends_on_neighbours(char: str, do_lower_case: bool, strip_accents: bool) -> bool:
    """Whether a character may come out differently beside others than alone; there are few of those."""
    if do_lower_case and char == FINAL_SIGMA:
        return True
    parts = [part for part, _ in normalize(char, do_lower_case, strip_accents)]
    mixed = len(parts) > 1 and any(is_punctuation(part) or is_space(part) for part in parts)
    return (
        mixed
        or any(is_space(part) for part in parts)
        or (strip_accents and any(unicodedata.combining(part) for part in parts))
    )
