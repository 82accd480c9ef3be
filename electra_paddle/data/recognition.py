"""What a corpus file holds, told from its first bytes: text or JSON, in which encoding, with which line ends."""

from __future__ import annotations

import codecs
from typing import NamedTuple

from electra_paddle.parsing import parse_json

SAMPLE_BYTES = 50_000  # read of every file of a corpus before the work begins
ARTICLE, ARTICLE_END = b"<doc id=", b"</doc>"  # how lines begin around an article, as WikiExtractor writes it
LONGEST_FIRST_LINE = 50_000_000  # of a file of JSON lines
COMMON = frozenset("的一是不了人在有我他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可里后")
COMMON_TRADITIONAL = frozenset(
    "的一是不了人在有我他這中大來上國個到說們為子和你地出道也時年得就那要下以生會自著去之過家學對可裡後"
)
CANDIDATES = (("gb18030", COMMON), ("big5", COMMON_TRADITIONAL))
CONFIDENT = 0.05  # share of common characters among all; in Chinese text it is 0.15 to 0.3


class Contents(NamedTuple):
    """What was recognised."""

    layout: str  # "text", "lines" (of JSON objects), "array" (of them) or "articles" (of WikiExtractor)
    has_cr_lines: bool = False  # lines end with a carriage return alone
    likely_encoding: str | None = None  # where it is not UTF-8 and the guess is good


def recognise(sample: bytes, is_whole: bool) -> Contents:
    """What the first bytes of a file's text say.

    Args:
        sample: up to LONGEST_FIRST_LINE bytes.
        is_whole: whether the file has no more.
    """
    likely = None if is_utf8(sample[:SAMPLE_BYTES], is_whole and len(sample) <= SAMPLE_BYTES) else guess(sample)
    has_cr_lines = b"\r" in sample[:SAMPLE_BYTES] and b"\n" not in sample[:SAMPLE_BYTES]
    return Contents(layout_of(sample, is_whole), has_cr_lines, likely)


def layout_of(sample: bytes, is_whole: bool) -> str:
    """Whether the text is JSON objects, one a line or as one array, or articles between tags."""
    text = sample.removeprefix(codecs.BOM_UTF8).lstrip()
    if text.startswith(ARTICLE):
        return "articles"
    if text[:1] == b"[" and text[1:].lstrip()[:1] == b"{":
        return "array"
    if text[:1] != b"{":
        return "text"
    first, end, _ = text.partition(b"\n")
    if not end and not is_whole:
        return "text"
    try:
        return "lines" if isinstance(parse_json(first), dict) else "text"
    except ValueError:
        return "text"


def is_utf8(sample: bytes, is_whole: bool) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample, final=is_whole)
    except UnicodeDecodeError:
        return False
    return True


def guess(sample: bytes) -> str | None:
    """The encoding that a text which is not UTF-8 is most likely in; None if none is likely."""
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    best, name = CONFIDENT, None
    for candidate, common in CANDIDATES:
        try:
            text = codecs.getincrementaldecoder(candidate)().decode(sample[:SAMPLE_BYTES])
        except UnicodeDecodeError:
            continue
        letters = [char for char in text if not char.isspace() and not char.isascii()]
        share = sum(char in common for char in letters) / max(1, len(letters))
        if share > best:
            best, name = share, candidate
    return name
