"""Choices between answers as one cell of a table holds them, and as sequences."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from electra_paddle.text.encoding import encode_pair

if TYPE_CHECKING:
    from electra_paddle.text import Tokenizer

SEPARATOR = "|"


def split_choices(text: str) -> tuple[str, ...]:
    """The choices of a text: a JSON list, or what stands between `|`."""
    if text.lstrip().startswith("["):
        try:
            values = json.loads(text)
        except ValueError:
            values = None
        if isinstance(values, list):
            return tuple(value if isinstance(value, str) else json.dumps(value) for value in values)
    return tuple(part.strip() for part in text.split(SEPARATOR))


def encode_choices(
    tokenizer: Tokenizer, text_a: str, text_b: str | None, choices: Sequence[str], max_seq_length: int
) -> list[tuple[list[int], int]]:
    """[CLS] text [SEP] choice [SEP] of each choice; with a second text, a question, that stands before the choice.

    The longer segment loses tokens from its end, see `encode_pair`.

    Returns:
        (ids, position where the second segment begins) of each.
    """
    before = f"{text_b} " if text_b else ""
    return [encode_pair(tokenizer, text_a, before + choice, max_seq_length) for choice in choices]
