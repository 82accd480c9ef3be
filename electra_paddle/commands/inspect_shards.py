"""Shards as text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


DESCRIPTION = "Print examples of shards as text, with their segments and words."


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="folder of the shards")
    parser.add_argument("--vocab-file", required=True, type=Path, help="the vocabulary they were made with")
    parser.add_argument("--first", type=int, default=0, help="number of the first example [0]")
    parser.add_argument("--count", type=int, default=3, help="number of examples [3]")


def run(arguments: Namespace) -> None:
    import numpy as np

    from electra_paddle.data.shards import Shards
    from electra_paddle.errors import ConfigError
    from electra_paddle.text import Vocabulary

    vocabulary = Vocabulary.load(arguments.vocab_file)
    shards = Shards(arguments.folder, vocabulary)
    if not 0 <= arguments.first < len(shards):
        raise ConfigError("--first", arguments.first, f"0 to {len(shards) - 1}")
    print("segments end at [SEP]; words are parted by ·" if shards.has_word_starts else "segments end at [SEP]")
    for number in range(arguments.first, min(len(shards), arguments.first + arguments.count)):
        ids, lengths, _, words = shards.read(np.array([number]), shards.manifest["max_seq_length"])
        tokens = [vocabulary.tokens[index] for index in ids[0, : lengths[0]]]
        print(f"\n{number}: {lengths[0]} tokens\n{as_text(tokens, words[0] if words is not None else None)}")


def as_text(tokens: Sequence[str], word_starts: Any) -> str:
    """Tokens in a row: pieces joined, blanks between Latin words, and marks between words where they are known."""
    text = ""
    for place, token in enumerate(tokens):
        piece = token.removeprefix("##")
        if token.startswith("["):
            text += f"{' ' if text else ''}{piece} "
        elif word_starts is not None:
            text += ("·" if word_starts[place] and text[-1:] != " " else "") + piece
        else:
            text += (" " if is_latin(text[-1:]) and is_latin(token[:1]) else "") + piece
    return text.rstrip()


def is_latin(char: str) -> bool:
    return char.isascii() and char.isalnum()
